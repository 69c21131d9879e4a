package regularizers

import (
	"slices"

	"github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/support/exceptions"
	"github.com/pkg/errors"

	"example.com/geometric-complexity/internal/modelfn"
	"example.com/geometric-complexity/schedule"
)

// Option changes what a regularizer does. Each says for which regularizers it is: given to
// another, that panics.
type Option struct {
	name  string
	takes []string // The regularizers that it is for; nil for all.
	apply func(*config)
}

// config is what the options of one regularizer say.
type config struct {
	coefficient  modelfn.Coefficient
	variables    func(v *model.Variable) bool
	convolutions func(v *model.Variable) (ConvolutionOperator, bool)
	inputs       []int
}

// WithCoefficient sets the coefficient of a penalty or the level of a noise: it sets the
// regularizer's hyperparameter, whatever the store or a checkpoint says, when the training graph
// is built for the first time. [SetCoefficient] changes it later. For all regularizers; they
// panic at once if c is negative or not finite, or for [LabelNoise] above 1.
func WithCoefficient(c float64) Option {
	return Option{"WithCoefficient", nil, func(o *config) { o.coefficient.Choose(c) }}
}

// WithSchedule multiplies the coefficient by a factor that depends on the training step, see
// package schedule. For all regularizers.
func WithSchedule(factor schedule.Func) Option {
	if factor == nil {
		exceptions.Panicf("regularizers.WithSchedule: the function is nil")
	}
	return Option{"WithSchedule", nil, func(o *config) { o.coefficient.Schedule = factor }}
}

// WithVariables penalizes exactly the trainable floating-point variables that selected accepts:
// for [L2] of any rank, and [ParamL2Biases] is then ignored; for [Spectral] kernels only.
func WithVariables(selected func(v *model.Variable) bool) Option {
	return Option{"WithVariables", []string{"L2", "Spectral"}, func(o *config) { o.variables = selected }}
}

// WithConvolutions makes [Spectral] take a convolution's kernel as the linear map that it is on
// inputs of a given size, rather than as its reshaped matrix: operator says, for each kernel,
// what that map is, or false for those that stay matrices.
func WithConvolutions(operator func(v *model.Variable) (ConvolutionOperator, bool)) Option {
	return Option{"WithConvolutions", []string{"Spectral"}, func(o *config) { o.convolutions = operator }}
}

// WithInputs makes [InputNoise] add its noise to the inputs with these indices only, which leaves
// the others, integer ones for example, alone. Without it all inputs get noise.
func WithInputs(indices ...int) Option {
	return Option{"WithInputs", []string{"InputNoise"}, func(o *config) { o.inputs = indices }}
}

// newConfig applies the options of the regularizer with this name.
func newConfig(regularizer string, coefficient modelfn.Coefficient, opts []Option) *config {
	c := &config{coefficient: coefficient}
	for _, opt := range opts {
		if opt.takes != nil && !slices.Contains(opt.takes, regularizer) {
			exceptions.Panicf("regularizers.%s: the option %s does not apply, it is for %v", regularizer, opt.name, opt.takes)
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
// [ParamInputNoise] or [ParamLabelNoise]) to c in a scope, or in the root scope of a store, and
// lets graphs that are compiled already see it from the next step on. Call it between steps.
//
// It returns an error if c is out of range, and if a training graph would not see it because
// it was built without the regularizer: its coefficient was not set then.
func SetCoefficient(scopeOrStore model.StoreProvider, param string, c float64) error {
	i := slices.IndexFunc(coefficients, func(known modelfn.Coefficient) bool { return known.Param == param })
	if i < 0 {
		return errors.Errorf("regularizers.SetCoefficient: %q is not the coefficient of a regularizer of this package", param)
	}
	coefficient := coefficients[i]
	return errors.WithMessage(coefficient.Set(scopeOrStore, c), "regularizers.SetCoefficient")
}
