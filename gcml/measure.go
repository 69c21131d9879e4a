package gcml

import (
	"context"

	"github.com/gomlx/compute"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/ml/train"

	"example.com/geometric-complexity/internal/gomlxcompat"
)

// Measure returns the geometric complexity of a model over a data set: every example counts the
// same, a last batch that is shorter too. The model runs in evaluation mode, with the variables of
// the store; variables that are missing are initialized, so that an untrained model can be
// measured. Neither the other variables nor the random state of the store change.
//
// The estimator is that of WithEstimator; where it is not given, that of the hyperparameter
// ParamEstimator in the store's root scope; else Exact. The result says which.
//
// The data set must be finite, or WithMaxExamples given. Cancelling ctx stops between two batches
// and returns its error. To measure the same model again and again use a Measurer, which compiles
// once.
//
// Errors: an empty data set, inputs that hold NaN or Inf, a result that is not finite (it names the
// batch), misuse as for SquaredJacobianNorm, and what the data set or the backend return.
func Measure[F train.ModelFnCompatible](ctx context.Context, backend compute.Backend, store *model.Store,
	modelFn F, ds train.Dataset, opts ...Option) (Result, error) {
	m, err := newMeasurer(inMeasure, backend, store, gomlxcompat.ModelFn(modelFn), opts)
	if err != nil {
		return Result{}, err
	}
	defer m.Finalize()
	return m.Measure(ctx, ds)
}
