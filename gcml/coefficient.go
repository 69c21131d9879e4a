package gcml

import (
	"github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/support/exceptions"
	"github.com/pkg/errors"

	"example.com/geometric-complexity/internal/modelfn"
	"example.com/geometric-complexity/schedule"
)

// ParamCoefficient is the hyperparameter that multiplies the GC of the batch in the training
// loss. A float64, 0 or more. Where it is not set, and WithCoefficient is not given, there is
// no penalty and the graph stays as it was. Where it is 0, the penalty is in the graph, and
// costs its time, because SetCoefficient may change it.
//
// It is read when a training graph is built; after the first step change it with
// SetCoefficient, as store.SetParam alone does not reach graphs that are compiled. See the
// package comment for where to start: for inputs scaled to [0, 1] that is often between 1e-4
// and 1e-2.
const ParamCoefficient = "gc_coefficient"

// WithCoefficient sets the coefficient of Regularize's penalty: it sets the hyperparameter
// ParamCoefficient, whatever the store or a checkpoint says, when the training graph is built for
// the first time. SetCoefficient changes it later. Regularize panics at once if c is negative
// or not finite. For Regularize.
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

// SetCoefficient sets the hyperparameter ParamCoefficient to c in a scope, or in the root scope
// of a store, and lets graphs that are compiled already see it from the next step on. Call it
// between steps.
//
// It returns an error if c is negative or not finite, and if a training graph would not see it
// because it was built without the penalty: the coefficient was not set then.
func SetCoefficient(scopeOrStore model.StoreProvider, c float64) error {
	coefficient := modelfn.Coefficient{Param: ParamCoefficient}
	return errors.WithMessage(coefficient.Set(scopeOrStore, c), "gcml.SetCoefficient")
}

// penaltyCoefficient is the coefficient of a decorator with these options.
func (o *options) penaltyCoefficient() *modelfn.Coefficient {
	c := &modelfn.Coefficient{Param: ParamCoefficient, Schedule: o.schedule}
	if o.coefficient != nil {
		c.Choose(*o.coefficient)
	}
	return c
}
