package training

import (
	"github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/ml/train"

	"example.com/geometric-complexity/gcml"
	"example.com/geometric-complexity/regularizers"
)

// The names of the penalties in Train.Penalties.
const (
	PenaltyGC       = "gc"
	PenaltyL2       = "l2"
	PenaltySpectral = "spectral"
	PenaltyFlatness = "flatness"
)

// penaltyParams are the hyperparameters that hold the penalties' coefficients.
var penaltyParams = map[string]string{
	PenaltyGC:       gcml.ParamCoefficient,
	PenaltyL2:       regularizers.ParamL2,
	PenaltySpectral: regularizers.ParamSpectral,
	PenaltyFlatness: regularizers.ParamFlatness,
}

// regularized is the network and the loss with the task's penalties and noises,
// as the trainer gets them. What is not asked for leaves the graph as it was.
func (t *Train) regularized(store *model.Store, fn modelFn, lossFn train.LossFn) (train.ModelFn, train.LossFn, error) {
	estimator := t.GCEstimator
	if estimator == "" {
		estimator = gcml.Exact().String()
	}
	if _, err := gcml.ParseEstimator(estimator); err != nil {
		return nil, nil, err
	}
	store.SetParam(gcml.ParamEstimator, estimator)
	// A coefficient of 0 is not set: its term would be in the graph and cost its time.
	for name, param := range penaltyParams {
		setAboveZero(store, param, t.Penalties[name])
	}
	setAboveZero(store, regularizers.ParamInputNoise, t.InputNoise)
	setAboveZero(store, regularizers.ParamLabelNoise, t.LabelNoise)
	// The penalties are inside of the noise on the inputs: GC is taken where the
	// loss is.
	modelFn := regularizers.Combine(fn, regularizers.With(gcml.Regularize), regularizers.With(regularizers.L2),
		regularizers.With(regularizers.Spectral), regularizers.With(regularizers.InputNoise))
	return modelFn, regularizers.CombineLoss(lossFn,
		regularizers.With(regularizers.LabelNoise), regularizers.With(regularizers.Flatness)), nil
}

func setAboveZero(store *model.Store, param string, value float64) {
	if value > 0 {
		store.SetParam(param, value)
	}
}
