package gcml

import (
	"context"

	"github.com/gomlx/compute"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/ml/train"

	"github.com/geometric-complexity/toolkit/internal/gomlxcompat"
)

// Measure returns the geometric complexity of a model over a data set. Every example has the same
// weight, also in a shorter last batch. The model runs in evaluation mode with the variables of the
// store. Missing variables are initialized, so that an untrained model can be measured; existing
// variables and the random state of the store do not change.
//
// WithEstimator selects the estimator; without it, the hyperparameter ParamEstimator in the store's
// root scope does; without both, it is Exact. Result.Estimator names it.
//
// The data set must be finite, unless WithMaxExamples is given. Cancelling ctx stops between two
// batches and returns its error. To measure the same model repeatedly use a Measurer, which
// compiles once.
//
// Errors: an empty data set, inputs that hold NaN or Inf, a result that is not finite (the error
// names the batch), misuse as for SquaredJacobianNorm, and errors of the data set and the backend.
func Measure[F train.ModelFnCompatible](ctx context.Context, backend compute.Backend, store *model.Store,
	modelFn F, ds train.Dataset, opts ...Option) (Result, error) {
	m, err := newMeasurer(inMeasure, backend, store, gomlxcompat.ModelFn(modelFn), opts)
	if err != nil {
		return Result{}, err
	}
	defer m.Finalize()
	return m.Measure(ctx, ds)
}
