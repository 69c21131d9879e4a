package experiments

import (
	"github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/ml/train"

	"example.com/geometric-complexity/gcml"
)

// trainingModel is the network with its penalties, as the trainer gets it.
func (t *Train) trainingModel(store *model.Store, fn modelFn) (train.ModelFn, error) {
	estimator := t.GCEstimator
	if estimator == "" {
		estimator = gcml.Exact().String()
	}
	if _, err := gcml.ParseEstimator(estimator); err != nil {
		return nil, err
	}
	store.SetParam(gcml.ParamCoefficient, t.Penalties["gc"])
	store.SetParam(gcml.ParamEstimator, estimator)
	return gcml.Regularize(fn), nil
}
