package gcml

import (
	"slices"
	"strings"

	. "github.com/gomlx/gomlx/core/graph"
	. "github.com/gomlx/gomlx/support/exceptions"

	"example.com/geometric-complexity/schedule"
)

// Option changes what is measured, or how. Each says for which functions it is; given to another,
// that panics, or returns an error where it returns errors.
type Option struct {
	name  string
	apply func(*options)
}

type options struct {
	estimator      Estimator
	estimatorGiven bool
	cotangents     int
	memoryBudget   int // In bytes.
	noClosedForm   bool
	lanczosSteps   int

	// forGradient says that the value will be differentiated for sure, which
	// moves work from the gradient to the value, and variables with respect to
	// what.
	forGradient bool
	variables   []*Node

	// inRounds says that the graph can be run several times for one batch, see plan.
	inRounds bool

	transform func(*Node) *Node

	// Where the model function is called by this package. Nodes are full aliases.
	input, output           int
	inputGiven, outputGiven bool
	inputNode, outputNode   string

	// Regularize alone.
	gradientParts int
	coefficient   *float64
	schedule      schedule.Func

	// Measure alone.
	seed        int64
	maxExamples int
	progress    func(examples int)
	perOutput   bool
	perClass    bool
	perExample  bool
	layers      bool
	spectrum    bool

	// Watch alone.
	jsonLines string
	report    func(StepResult) error
}

// The functions that take options.
const (
	inSquaredJacobianNorm     = "SquaredJacobianNorm"
	inSquaredJacobianRowNorms = "SquaredJacobianRowNorms"
	inComplexity              = "Complexity"
	inJacobianSpectralNorm    = "JacobianSpectralNorm"
	inJacobianStableRank      = "JacobianStableRank"
	inRegularize              = "Regularize"
	inMeasure                 = "Measure"
	inNewMeasurer             = "NewMeasurer"
	inWatch                   = "Watch"
	inCheckSecondDerivatives  = "CheckSecondDerivatives"
)

var (
	normFunctions      = []string{inSquaredJacobianNorm, inSquaredJacobianRowNorms, inComplexity, inJacobianStableRank}
	graphFunctions     = append([]string{inJacobianSpectralNorm}, normFunctions...)
	spectralFunctions  = []string{inJacobianSpectralNorm, inJacobianStableRank}
	modelFunctions     = []string{inRegularize, inMeasure, inNewMeasurer, inWatch} // They call a model function.
	measuringFunctions = []string{inMeasure, inNewMeasurer, inWatch}
	choosingFunctions  = append([]string{inCheckSecondDerivatives}, modelFunctions...)
	allFunctions       = slices.Concat(graphFunctions, choosingFunctions)
)

// applicable says for which functions each option is. There is nothing else that refuses an option,
// and a test asserts for each option and function that it has an effect there or is refused.
var applicable = map[string][]string{
	"WithEstimator":       slices.Concat(normFunctions, modelFunctions),
	"WithCotangents":      allFunctions,
	"WithMemoryBudget":    allFunctions,
	"WithoutClosedForm":   allFunctions,
	"WithTransform":       allFunctions,
	"WithLanczosSteps":    slices.Concat(spectralFunctions, measuringFunctions),
	"WithSpectralNorm":    measuringFunctions,
	"WithInput":           choosingFunctions,
	"WithOutput":          choosingFunctions,
	"WithInputNode":       choosingFunctions,
	"WithOutputNode":      choosingFunctions,
	"WithCoefficient":     {inRegularize},
	"WithSchedule":        {inRegularize},
	"WithGradientInParts": {inRegularize},
	"WithSeed":            append([]string{inCheckSecondDerivatives}, measuringFunctions...),
	"WithMaxExamples":     measuringFunctions,
	"WithProgress":        measuringFunctions,
	"WithPerOutput":       measuringFunctions,
	"WithPerExample":      measuringFunctions,
	"WithPerClass":        measuringFunctions,
	"WithLayers":          measuringFunctions,
	"WithJSONLines":       {inWatch},
	"WithReport":          {inWatch},
}

// newOptions applies the options of the function with this name, and panics if one does not apply
// or is out of range.
func newOptions(function string, opts []Option) options {
	var o options
	for _, opt := range opts {
		if functions := applicable[opt.name]; !slices.Contains(functions, function) {
			Panicf("gcml.%s: the option %s does not apply, it is for %s", function, opt.name, strings.Join(functions, ", "))
		}
		opt.apply(&o)
	}
	if o.inputGiven && o.inputNode != "" {
		Panicf("gcml.%s: the options WithInput and WithInputNode exclude each other", function)
	}
	if o.outputGiven && o.outputNode != "" {
		Panicf("gcml.%s: the options WithOutput and WithOutputNode exclude each other", function)
	}
	return o
}

// WithEstimator sets the estimator. The default is Exact. For all functions but
// JacobianSpectralNorm; SquaredJacobianRowNorms and WithPerOutput take Exact alone. It goes before
// the hyperparameter ParamEstimator, which Regularize, Measure, NewMeasurer and Watch read.
func WithEstimator(e Estimator) Option {
	return Option{"WithEstimator", func(o *options) { o.estimator, o.estimatorGiven = e, true }}
}

// WithCotangents sets how many vector-Jacobian products are carried at once. More makes wider
// products and a smaller graph, and takes memory in proportion. The default, 0, goes by the
// backend, the sizes and the budget of WithMemoryBudget. For all functions, and for all estimators
// but ForwardNoise, which has no vector-Jacobian products. What the gradient of a penalty keeps in
// memory does not depend on it: see WithGradientInParts.
func WithCotangents(n int) Option {
	return Option{"WithCotangents", func(o *options) {
		if n < 0 {
			Panicf("gcml.WithCotangents: cannot carry %d cotangents at once, want 1 or more, or 0 for the default", n)
		}
		o.cotangents = n
	}}
}

// WithMemoryBudget chooses how many vector-Jacobian products are carried at once so that their
// adjoints take about that many bytes at most, beside what the model and its loss take without GC.
// The default, 0, is 512 MiB on a CPU, and 8 GiB on an accelerator. It is an estimate, made of the
// sizes of the nodes of the model: see docs/cost.md for how near it comes.
//
// Where the penalty of Regularize would keep more than the budget for its gradient, that is taken
// in parts, as with WithGradientInParts, which says what then has no gradient: give WithCotangents
// to have it taken by the nodes whatever memory it needs. Where parts cost time (see there) the
// default on a CPU is 4 GiB.
//
// For all functions, and for all estimators but ForwardNoise, which has no vector-Jacobian
// products; not together with WithCotangents or WithGradientInParts, nor below what a single
// vector-Jacobian product takes. JacobianSpectralNorm keeps the whole Jacobian where it computes
// it, whatever the budget is.
func WithMemoryBudget(bytes int) Option {
	return Option{"WithMemoryBudget", func(o *options) {
		if bytes < 0 {
			Panicf("gcml.WithMemoryBudget: a budget of %d bytes cannot be, want 1 or more, or 0 for the default", bytes)
		}
		o.memoryBudget = bytes
	}}
}

// WithGradientInParts takes the gradient of the penalty for n cotangents at a time, one part after
// the other, where it is otherwise taken for all of them at the end: what a part keeps for its
// gradient is gone before the next one begins, so that the memory of a training step does not grow
// with the number of outputs. With piecewise linear activations a step takes as long as before, up
// to two thirds longer with smooth ones or with batch norm in training mode. For Regularize, and
// for all estimators but ForwardNoise; not together with WithCotangents or WithMemoryBudget.
// Without it the gradient is taken in parts only where it has to be, see WithMemoryBudget.
//
// The penalty then has a gradient with respect to the trainable variables that the model uses,
// which is all that an optimizer asks for, and no other. A gradient with respect to an input of the
// graph, or to a variable that is not trainable, panics. One with respect to a node within the
// model is not noticed, and misses the penalty: give WithCotangents instead where you need it.
func WithGradientInParts(n int) Option {
	return Option{"WithGradientInParts", func(o *options) {
		if n < 1 {
			Panicf("gcml.WithGradientInParts: cannot take the gradient of %d cotangents at a time, want 1 or more", n)
		}
		o.gradientParts = n
	}}
}

// WithoutClosedForm builds the Jacobian with respect to the input even where
// its norm can be had from the Gram matrix of the first layer's weights. For all functions.
func WithoutClosedForm() Option {
	return Option{"WithoutClosedForm", func(o *options) { o.noClosedForm = true }}
}

// WithLanczosSteps computes largest singular values by n steps of the Lanczos iteration, whatever
// the sizes of the Jacobian are. The default, 0, goes by the sizes, and takes 24 steps where they
// are large. See JacobianSpectralNorm. For that, JacobianStableRank, and beside WithSpectralNorm
// Measure, NewMeasurer and Watch.
func WithLanczosSteps(n int) Option {
	return Option{"WithLanczosSteps", func(o *options) {
		if n < 0 {
			Panicf("gcml.WithLanczosSteps: cannot take %d steps, want 1 or more, or 0 for the default", n)
		}
		o.lanczosSteps = n
	}}
}

// WithTransform takes fn of the outputs instead of the outputs. Both have a shape [batch, ...]. For
// all functions. For the GC of the probabilities instead of the logits:
//
//	gcml.WithTransform(func(logits *Node) *Node { return Softmax(logits) })
func WithTransform(fn func(output *Node) *Node) Option {
	return Option{"WithTransform", func(o *options) {
		if fn == nil {
			Panicf("gcml.WithTransform: the function is nil")
		}
		o.transform = fn
	}}
}

// WithInput differentiates with respect to the i-th input of the model. The default is the first,
// 0. For Regularize, Measure, NewMeasurer and Watch.
func WithInput(i int) Option {
	return Option{"WithInput", func(o *options) {
		if i < 0 {
			Panicf("gcml.WithInput: there is no input #%d", i)
		}
		o.input, o.inputGiven = i, true
	}}
}

// WithOutput takes the i-th output of the model. The default is the first, 0. For Regularize,
// Measure, NewMeasurer and Watch.
func WithOutput(i int) Option {
	return Option{"WithOutput", func(o *options) {
		if i < 0 {
			Panicf("gcml.WithOutput: there is no output #%d", i)
		}
		o.output, o.outputGiven = i, true
	}}
}

// WithSeed sets the seed of all that a measurement draws: the random estimators, and a model that
// draws in evaluation mode. The default is 0. For Measure, NewMeasurer and Watch; elsewhere random
// numbers come from the store.
func WithSeed(seed int64) Option { return Option{"WithSeed", func(o *options) { o.seed = seed }} }

// WithMaxExamples stops after the first n examples. The default, 0, measures all of a data set,
// which must then be finite. For Measure, NewMeasurer and Watch.
func WithMaxExamples(n int) Option {
	return Option{"WithMaxExamples", func(o *options) {
		if n < 0 {
			Panicf("gcml.WithMaxExamples: cannot measure %d examples, want 1 or more, or 0 for all", n)
		}
		o.maxExamples = n
	}}
}

// WithProgress calls fn after every batch with the number of examples done. For Measure,
// NewMeasurer and Watch.
func WithProgress(fn func(examples int)) Option {
	return Option{"WithProgress", func(o *options) {
		if fn == nil {
			Panicf("gcml.WithProgress: the function is nil")
		}
		o.progress = fn
	}}
}

// WithPerOutput reports every output's own squared gradient norm. It needs the exact estimator. For
// Measure, NewMeasurer and Watch; in a graph use SquaredJacobianRowNorms.
func WithPerOutput() Option { return Option{"WithPerOutput", func(o *options) { o.perOutput = true }} }

// WithPerExample reports the squared Jacobian norm of every example, in the order of the data set.
// For Measure and NewMeasurer and Watch; in a graph use SquaredJacobianNorm.
func WithPerExample() Option {
	return Option{"WithPerExample", func(o *options) { o.perExample = true }}
}

// WithPerClass reports the GC over the examples of each class, by the integer labels of the data
// set, of shape [batch] or [batch, 1]. For Measure, NewMeasurer and Watch.
func WithPerClass() Option { return Option{"WithPerClass", func(o *options) { o.perClass = true }} }

// WithLayers reports the GC of inner nodes too: of every node between input and output that the
// model named by Node.WithAlias and that has the shape [batch, ...]. The estimator is the same for
// all: choose one that is not exact where a layer has many values. For Measure, NewMeasurer and
// Watch.
func WithLayers() Option { return Option{"WithLayers", func(o *options) { o.layers = true }} }

// WithSpectralNorm reports the largest singular value of the Jacobian of the examples, their local
// Lipschitz constant, and its stable rank, see SpectrumResult. That takes about as long again as
// the exact GC, or as 72 vector-Jacobian products where there are more than 128 outputs and inputs.
// For Measure, NewMeasurer and Watch; in a graph use JacobianSpectralNorm.
func WithSpectralNorm() Option {
	return Option{"WithSpectralNorm", func(o *options) { o.spectrum = true }}
}

// transformed returns what is measured of an output.
func (o *options) transformed(output *Node) *Node {
	if o.transform == nil {
		return output
	}
	return o.transform(output)
}
