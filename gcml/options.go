package gcml

import (
	"slices"
	"strings"

	. "github.com/gomlx/gomlx/core/graph"
	. "github.com/gomlx/gomlx/support/exceptions"

	"github.com/geometric-complexity/toolkit/schedule"
)

// Option changes what is measured, or how. Each option lists the functions that accept it. Other
// functions panic when they get it, or return an error if they return errors.
type Option struct {
	name  string
	apply func(*options)
}

type options struct {
	estimator      Estimator
	estimatorGiven bool
	cotangents     int
	memoryBudget   int // Bytes; 0 for the default.
	noClosedForm   bool
	lanczosSteps   int

	// forGradient says that the value will be differentiated with respect to variables. The plan
	// then moves work from the gradient to the value.
	forGradient bool
	variables   []*Node

	// inRounds says that the caller can run the graph several times for one batch, see plan.
	inRounds bool

	transform func(*Node) *Node

	// For functions that call a model function. inputNode and outputNode are full aliases.
	input, output           int
	inputGiven, outputGiven bool
	inputNode, outputNode   string

	// For Regularize only.
	gradientParts int
	coefficient   *float64
	schedule      schedule.Func

	// For Measure, NewMeasurer and Watch; seed for CheckSecondDerivatives too.
	seed        int64
	maxExamples int
	progress    func(examples int)
	perOutput   bool
	perClass    bool
	perExample  bool
	layers      bool
	spectrum    bool

	// For Watch only.
	jsonLines string
	report    func(StepResult) error
}

// The functions that take options.
const (
	inSquaredJacobianNorm        = "SquaredJacobianNorm"
	inSquaredJacobianRowNorms    = "SquaredJacobianRowNorms"
	inSquaredJacobianColumnNorms = "SquaredJacobianColumnNorms"
	inComplexity                 = "Complexity"
	inJacobianSpectralNorm       = "JacobianSpectralNorm"
	inJacobianStableRank         = "JacobianStableRank"
	inRegularize                 = "Regularize"
	inMeasure                    = "Measure"
	inNewMeasurer                = "NewMeasurer"
	inWatch                      = "Watch"
	inCheckSecondDerivatives     = "CheckSecondDerivatives"
)

var (
	normFunctions       = []string{inSquaredJacobianNorm, inSquaredJacobianRowNorms, inComplexity, inJacobianStableRank}
	graphFunctions      = append([]string{inJacobianSpectralNorm, inSquaredJacobianColumnNorms}, normFunctions...)
	spectralFunctions   = []string{inJacobianSpectralNorm, inJacobianStableRank}
	modelFunctions      = []string{inRegularize, inMeasure, inNewMeasurer, inWatch} // They call one.
	measuringFunctions  = []string{inMeasure, inNewMeasurer, inWatch}
	choosingFunctions   = append([]string{inCheckSecondDerivatives}, modelFunctions...)
	allFunctions        = slices.Concat(graphFunctions, choosingFunctions)
	closedFormFunctions = append([]string{inSquaredJacobianNorm, inSquaredJacobianRowNorms, inComplexity},
		choosingFunctions...) // They may use one.
)

// applicable lists for each option the functions that accept it. Options are refused by this table
// only. A test asserts for each option and function that the option has an effect or is refused.
var applicable = map[string][]string{
	"WithEstimator":       slices.Concat([]string{inSquaredJacobianColumnNorms}, normFunctions, modelFunctions),
	"WithCotangents":      allFunctions,
	"WithMemoryBudget":    allFunctions,
	"WithoutClosedForm":   closedFormFunctions,
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

// newOptions applies the options that the named function was given. It panics if the function does
// not accept one, or if two exclude each other.
func newOptions(function string, opts []Option) options {
	var o options
	for _, opt := range opts {
		if functions := applicable[opt.name]; !slices.Contains(functions, function) {
			Panicf("gcml.%s: the option %s does not apply here: it is for %s", function, opt.name, strings.Join(functions, ", "))
		}
		opt.apply(&o)
	}
	if o.inputGiven && o.inputNode != "" {
		Panicf("gcml.%s: the options WithInput and WithInputNode exclude each other: give one", function)
	}
	if o.outputGiven && o.outputNode != "" {
		Panicf("gcml.%s: the options WithOutput and WithOutputNode exclude each other: give one", function)
	}
	return o
}

// WithEstimator sets the estimator. The default is Exact. For all functions but
// JacobianSpectralNorm and CheckSecondDerivatives, which are exact; SquaredJacobianRowNorms and
// WithPerOutput accept only Exact, SquaredJacobianColumnNorms all but ForwardNoise. WithEstimator
// overrides the hyperparameter ParamEstimator, which Regularize, Measure, NewMeasurer and Watch
// read.
func WithEstimator(e Estimator) Option {
	return Option{"WithEstimator", func(o *options) { o.estimator, o.estimatorGiven = e, true }}
}

// WithCotangents sets how many vector-Jacobian products are computed together. A larger number
// makes wider products and a smaller graph, and takes memory in proportion. The default, 0, chooses
// by the backend, the sizes and the budget of WithMemoryBudget. For all functions, and for all
// estimators but ForwardNoise, which has no vector-Jacobian products. It does not change what the
// gradient of a penalty keeps in memory: see WithGradientInParts.
func WithCotangents(n int) Option {
	return Option{"WithCotangents", func(o *options) {
		if n < 0 {
			Panicf("gcml.WithCotangents: the number of cotangents is %d, want 1 or more, or 0 for the default", n)
		}
		o.cotangents = n
	}}
}

// WithMemoryBudget limits the vector-Jacobian products that are computed together so that their
// adjoints take at most about this many bytes, beyond the memory that the model and its loss take
// without GC. The default, 0, is 512 MiB on a CPU and 8 GiB on an accelerator. The memory is
// estimated from the sizes of the model's nodes; docs/cost.md compares the estimate with
// measurements.
//
// If the gradient of Regularize's penalty would exceed the budget, it is computed in parts as by
// WithGradientInParts, which describes the gradients that are then missing. WithCotangents prevents
// this and has no memory limit. If computing in parts takes longer (see WithGradientInParts), the
// default on a CPU is 4 GiB. For other networks with convolutions, XLA compiles every part
// separately. On XLA's CPU backend their default is therefore the memory of one part when the
// cotangents are divided into eight parts, but at least 512 MiB and at most 4 GiB.
//
// For all functions, and for all estimators but ForwardNoise, which has no vector-Jacobian
// products; it excludes WithCotangents and WithGradientInParts. A budget below the memory of one
// vector-Jacobian product panics. The budget does not limit the whole Jacobian that
// JacobianSpectralNorm may keep.
func WithMemoryBudget(bytes int) Option {
	return Option{"WithMemoryBudget", func(o *options) {
		if bytes < 0 {
			Panicf("gcml.WithMemoryBudget: the budget is %d bytes, want 1 or more, or 0 for the default", bytes)
		}
		o.memoryBudget = bytes
	}}
}

// WithGradientInParts computes the gradient of the penalty for n cotangents at a time, instead of
// for all of them at the end. The memory of a part is free before the next one begins, so the
// memory of a training step does not grow with the number of outputs. With piecewise linear
// activations a step takes about as long; with smooth ones or with batch norm in training mode
// it takes up to two thirds longer. For Regularize, and for all estimators but ForwardNoise; it
// excludes WithCotangents and WithMemoryBudget. Without it the gradient is computed in parts only
// if memory requires it, see WithMemoryBudget.
//
// The penalty then has gradients only with respect to the trainable variables that the model uses,
// which are all that an optimizer needs. Gradient panics for an input of the graph and for a
// variable that is not trainable. For an inner node of the model it does not panic, but its result
// lacks the penalty: use WithCotangents if you need that gradient.
func WithGradientInParts(n int) Option {
	return Option{"WithGradientInParts", func(o *options) {
		if n < 1 {
			Panicf("gcml.WithGradientInParts: the number of cotangents is %d, want 1 or more", n)
		}
		o.gradientParts = n
	}}
}

// WithoutClosedForm computes derivatives with respect to the input even if the Gram matrix of the
// first layer's weights would be cheaper. For all functions but SquaredJacobianColumnNorms,
// JacobianSpectralNorm and JacobianStableRank, which always do.
//
// In float32 the closed form loses digits where the outputs hardly depend on a direction in which
// the weights are large: for example, if all units share weights that layer norm then subtracts.
// Measure notices that and measures such a data set without the closed form. The graph functions,
// metrics and penalties cannot notice it: give them this option for such a model.
func WithoutClosedForm() Option {
	return Option{"WithoutClosedForm", func(o *options) { o.noClosedForm = true }}
}

// WithLanczosSteps computes largest singular values by n steps of the Lanczos iteration for every
// size of the Jacobian. The default, 0, uses 24 steps for large Jacobians and none for small ones,
// see JacobianSpectralNorm. For JacobianSpectralNorm and JacobianStableRank, and together with
// WithSpectralNorm for Measure, NewMeasurer and Watch.
func WithLanczosSteps(n int) Option {
	return Option{"WithLanczosSteps", func(o *options) {
		if n < 0 {
			Panicf("gcml.WithLanczosSteps: the number of steps is %d, want 1 or more, or 0 for the default", n)
		}
		o.lanczosSteps = n
	}}
}

// WithTransform replaces the outputs by fn(outputs). Both have a shape [batch, ...]. For all
// functions. This gives the GC of the probabilities instead of the logits:
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
// 0. For Regularize, Measure, NewMeasurer, Watch and CheckSecondDerivatives.
func WithInput(i int) Option {
	return Option{"WithInput", func(o *options) {
		if i < 0 {
			Panicf("gcml.WithInput: the index is %d, want 0 or more", i)
		}
		o.input, o.inputGiven = i, true
	}}
}

// WithOutput differentiates the i-th output of the model. The default is the first, 0. For
// Regularize, Measure, NewMeasurer, Watch and CheckSecondDerivatives.
func WithOutput(i int) Option {
	return Option{"WithOutput", func(o *options) {
		if i < 0 {
			Panicf("gcml.WithOutput: the index is %d, want 0 or more", i)
		}
		o.output, o.outputGiven = i, true
	}}
}

// WithSeed sets the seed for all random numbers of a measurement: those of random estimators, and
// those that the model draws in evaluation mode. The default is 0. For Measure, NewMeasurer, Watch
// and CheckSecondDerivatives; other functions draw from the store.
func WithSeed(seed int64) Option { return Option{"WithSeed", func(o *options) { o.seed = seed }} }

// WithMaxExamples measures only the first n examples. The default, 0, measures the whole data set,
// which must then be finite. For Measure, NewMeasurer and Watch.
func WithMaxExamples(n int) Option {
	return Option{"WithMaxExamples", func(o *options) {
		if n < 0 {
			Panicf("gcml.WithMaxExamples: the number of examples is %d, want 1 or more, or 0 for all", n)
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

// WithPerOutput reports the mean squared gradient norm of each output. It requires the estimator
// Exact. For Measure, NewMeasurer and Watch; in a graph use SquaredJacobianRowNorms.
func WithPerOutput() Option { return Option{"WithPerOutput", func(o *options) { o.perOutput = true }} }

// WithPerExample reports the squared Jacobian norm of every example, in the order of the data set.
// For Measure, NewMeasurer and Watch; in a graph use SquaredJacobianNorm.
func WithPerExample() Option {
	return Option{"WithPerExample", func(o *options) { o.perExample = true }}
}

// WithPerClass reports the GC over the examples of each class, by the integer labels of the data
// set, of shape [batch] or [batch, 1]. For Measure, NewMeasurer and Watch.
func WithPerClass() Option { return Option{"WithPerClass", func(o *options) { o.perClass = true }} }

// WithLayers reports the GC of inner nodes too: of every node between input and output that the
// model named by Node.WithAlias and that has the shape [batch, ...]. The estimator is the same for
// all nodes: choose a random one if a layer has many values. For Measure, NewMeasurer and Watch.
func WithLayers() Option { return Option{"WithLayers", func(o *options) { o.layers = true }} }

// WithSpectralNorm reports the largest singular value of each example's Jacobian, which is the
// local Lipschitz constant, and its stable rank, see SpectrumResult. This takes about as long as
// another exact GC, or as 72 vector-Jacobian products if there are more than 128 outputs and more
// than 128 inputs. For Measure, NewMeasurer and Watch; in a graph use JacobianSpectralNorm.
func WithSpectralNorm() Option {
	return Option{"WithSpectralNorm", func(o *options) { o.spectrum = true }}
}

// transformed applies WithTransform to an output.
func (o *options) transformed(output *Node) *Node {
	if o.transform == nil {
		return output
	}
	return o.transform(output)
}
