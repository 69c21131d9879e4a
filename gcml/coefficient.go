package gcml

import (
	"github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/support/exceptions"
	"github.com/pkg/errors"

	"github.com/geometric-complexity/toolkit/internal/modelfn"
	"github.com/geometric-complexity/toolkit/schedule"
)

// ParamCoefficient is the hyperparameter that multiplies the GC of the batch in the training loss.
// A float64, 0 or more. If it is not set and WithCoefficient is not given, there is no penalty and
// the graph does not change. If it is 0, the penalty is in the graph and takes its time, because
// SetCoefficient may change it.
//
// It is read when a training graph is built. After the first step change it with SetCoefficient,
// because store.SetParam does not reach compiled graphs. The package comment says how to choose the
// first value; for inputs scaled to [0, 1] it is often between 1e-4 and 1e-2.
const ParamCoefficient = "gc_coefficient"

// WithCoefficient sets the coefficient of Regularize's penalty. When the training graph is first
// built, it sets the hyperparameter ParamCoefficient and overrides the store's and the checkpoint's
// value. SetCoefficient changes it later. Regularize panics at once if c is negative or not finite.
// For Regularize.
func WithCoefficient(c float64) Option {
	return Option{"WithCoefficient", func(o *options) { o.coefficient = &c }}
}

// WithSchedule multiplies the coefficient of Regularize's penalty by a factor that depends on the
// training step, see package schedule. For Regularize.
func WithSchedule(factor schedule.Func) Option {
	return Option{"WithSchedule", func(o *options) {
		if factor == nil {
			exceptions.Panicf("gcml.WithSchedule: the function is nil")
		}
		o.schedule = factor
	}}
}

// SetCoefficient sets the hyperparameter ParamCoefficient to c in a scope, or in the root scope of
// a store, and compiled graphs use it from the next step on. Call it between steps.
//
// It returns an error if c is negative or not finite, and if a training graph was built without the
// penalty, because no coefficient was set then.
func SetCoefficient(scopeOrStore model.StoreProvider, c float64) error {
	coefficient := modelfn.Coefficient{Param: ParamCoefficient}
	return errors.WithMessage(coefficient.Set(scopeOrStore, c), "gcml.SetCoefficient")
}

// penaltyCoefficient returns the coefficient that these options set.
func (o *options) penaltyCoefficient() *modelfn.Coefficient {
	c := &modelfn.Coefficient{Param: ParamCoefficient, Schedule: o.schedule}
	if o.coefficient != nil {
		c.Choose(*o.coefficient)
	}
	return c
}
