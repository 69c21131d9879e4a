package regularizers

import (
	"slices"

	"github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/support/exceptions"
	"github.com/pkg/errors"

	"github.com/geometric-complexity/toolkit/internal/modelfn"
	"github.com/geometric-complexity/toolkit/schedule"
)

// Option configures a regularizer. Its documentation names the regularizers that accept it; the
// others panic.
type Option struct {
	name       string
	acceptedBy []string // Names of regularizers; nil for all.
	apply      func(*config)
}

// config holds the options of one regularizer.
type config struct {
	coefficient  modelfn.Coefficient
	variables    func(v *model.Variable) bool
	convolutions func(v *model.Variable) (ConvolutionOperator, bool)
	inputs       []int
}

// WithCoefficient sets the coefficient of a penalty or the level of a noise: when the training
// graph is built for the first time, it sets the regularizer's hyperparameter and so overrides the
// store and a checkpoint. [SetCoefficient] changes it later. All regularizers accept this option;
// they panic at once if c is negative or not finite, or for [LabelNoise] above 1.
func WithCoefficient(c float64) Option {
	return Option{"WithCoefficient", nil, func(o *config) { o.coefficient.Choose(c) }}
}

// WithSchedule multiplies the coefficient by a factor that depends on the training step, see
// package schedule. All regularizers accept this option.
func WithSchedule(factor schedule.Func) Option {
	if factor == nil {
		exceptions.Panicf("regularizers.WithSchedule: the function is nil")
	}
	return Option{"WithSchedule", nil, func(o *config) { o.coefficient.Schedule = factor }}
}

// WithVariables penalizes exactly the trainable floating-point variables for which selected returns
// true. [L2] accepts variables of any rank and then ignores [ParamL2Biases]; [Spectral] accepts
// kernels only. It panics if selected is nil.
func WithVariables(selected func(v *model.Variable) bool) Option {
	if selected == nil {
		exceptions.Panicf("regularizers.WithVariables: the function is nil")
	}
	return Option{"WithVariables", []string{"L2", "Spectral"}, func(o *config) { o.variables = selected }}
}

// WithConvolutions makes [Spectral] use the norm of a convolution as a linear map on inputs of a
// given size, instead of the norm of its kernel reshaped to a matrix. operator returns the
// convolution of a kernel, or false for a kernel that is to be reshaped. It panics if operator is
// nil.
func WithConvolutions(operator func(v *model.Variable) (ConvolutionOperator, bool)) Option {
	if operator == nil {
		exceptions.Panicf("regularizers.WithConvolutions: the function is nil")
	}
	return Option{"WithConvolutions", []string{"Spectral"}, func(o *config) { o.convolutions = operator }}
}

// WithInputs makes [InputNoise] add noise only to the inputs with these indices, and not to integer
// inputs for example. By default all inputs get noise. It panics without an index.
func WithInputs(indices ...int) Option {
	if len(indices) == 0 {
		exceptions.Panicf("regularizers.WithInputs: no index is given: give those of the inputs that get noise")
	}
	return Option{"WithInputs", []string{"InputNoise"}, func(o *config) { o.inputs = indices }}
}

// newConfig applies the options to the configuration of the named regularizer.
func newConfig(regularizer string, coefficient modelfn.Coefficient, opts []Option) *config {
	c := &config{coefficient: coefficient}
	for _, opt := range opts {
		if opt.acceptedBy != nil && !slices.Contains(opt.acceptedBy, regularizer) {
			exceptions.Panicf("regularizers.%s: the option %s does not apply: it is for %v",
				regularizer, opt.name, opt.acceptedBy)
		}
		opt.apply(c)
	}
	return c
}

// coefficients are the hyperparameters that [SetCoefficient] sets.
var coefficients = []modelfn.Coefficient{
	{Param: ParamL2}, {Param: ParamSpectral}, {Param: ParamFlatness}, {Param: ParamInputNoise}, labelNoiseProbability,
}

// SetCoefficient sets the hyperparameter param ([ParamL2], [ParamSpectral], [ParamFlatness],
// [ParamInputNoise] or [ParamLabelNoise]) to c in a scope, or in the root scope of a store. Graphs
// that are already compiled use it from the next step on. Call it between steps.
//
// It returns an error if c is out of range, or if a training graph would ignore it because the
// graph was built while the coefficient was not set, and so without the regularizer.
func SetCoefficient(scopeOrStore model.StoreProvider, param string, c float64) error {
	i := slices.IndexFunc(coefficients, func(known modelfn.Coefficient) bool { return known.Param == param })
	if i < 0 {
		return errors.Errorf("regularizers.SetCoefficient: no regularizer of this package has a coefficient %q", param)
	}
	coefficient := coefficients[i]
	return errors.WithMessage(coefficient.Set(scopeOrStore, c), "regularizers.SetCoefficient")
}
