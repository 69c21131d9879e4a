package training

import (
	"github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/ml/train"

	"github.com/geometric-complexity/toolkit/gcml"
	"github.com/geometric-complexity/toolkit/regularizers"
)

// The names of the penalties in Train.Penalties.
const (
	PenaltyGC       = "gc"
	PenaltyL2       = "l2"
	PenaltySpectral = "spectral"
	PenaltyFlatness = "flatness"
	// PenaltyEmbeddingGC is GC of the embedding in the place of the logits.
	PenaltyEmbeddingGC = "embedding_gc"
)

// penaltyParams are the hyperparameters that hold the penalties' coefficients.
var penaltyParams = map[string]string{
	PenaltyGC:       gcml.ParamCoefficient,
	PenaltyL2:       regularizers.ParamL2,
	PenaltySpectral: regularizers.ParamSpectral,
	PenaltyFlatness: regularizers.ParamFlatness,

	PenaltyEmbeddingGC: gcml.ParamCoefficient,
}

// regularized wraps the network and the loss in the task's penalties and noises, for the trainer.
// Penalties and noises that the task does not request add nothing to the graph.
func (t *Train) regularized(store *model.Store, fn modelFn, data *loaded) (train.ModelFn, train.LossFn, error) {
	estimator := t.GCEstimator
	if estimator == "" {
		estimator = gcml.Exact().String()
	}
	if _, err := gcml.ParseEstimator(estimator); err != nil {
		return nil, nil, err
	}
	store.SetParam(gcml.ParamEstimator, estimator)
	// A coefficient of 0 is not set, because its term would still be computed.
	for name, param := range penaltyParams {
		setAboveZero(store, param, t.Penalties[name])
	}
	setAboveZero(store, regularizers.ParamInputNoise, t.InputNoise)
	setAboveZero(store, regularizers.ParamLabelNoise, t.LabelNoise)
	penalized := gcml.Regularize(fn, data.differentiated()...)
	if t.Penalties[PenaltyEmbeddingGC] > 0 {
		embedded, err := t.Network.withEmbedding(data.outputs)
		if err != nil {
			return nil, nil, err
		}
		penalized = gcml.Regularize(embedded, gcml.WithOutput(1))
	}
	// The input noise wraps the penalties, so that GC is measured at the same noisy inputs as the
	// loss.
	modelFn := regularizers.Combine(penalized, regularizers.With(regularizers.L2),
		regularizers.With(regularizers.Spectral), regularizers.With(regularizers.InputNoise))
	return modelFn, regularizers.CombineLoss(data.lossFn,
		regularizers.With(regularizers.LabelNoise), regularizers.With(regularizers.Flatness)), nil
}

func setAboveZero(store *model.Store, param string, value float64) {
	if value > 0 {
		store.SetParam(param, value)
	}
}
