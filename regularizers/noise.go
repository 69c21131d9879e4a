package regularizers

import (
	"slices"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/ml/train"
	"github.com/gomlx/gomlx/support/exceptions"

	"example.com/geometric-complexity/internal/gomlxcompat"
	"example.com/geometric-complexity/internal/modelfn"
	"example.com/geometric-complexity/internal/random"
)

const (
	// ParamInputNoise is the standard deviation σ of the Gaussian noise that
	// [InputNoise] adds to each entry of the inputs, in the inputs' units. A
	// float64 >= 0; where it is not set, there is no noise.
	ParamInputNoise = "input_noise_sigma"

	// ParamLabelNoise is the probability p with which [LabelNoise] replaces a
	// label. A float64 in [0, 1]; where it is not set, there is no noise.
	ParamLabelNoise = "label_noise_probability"
)

// labelNoiseProbability is the coefficient of LabelNoise.
var labelNoiseProbability = modelfn.Coefficient{Param: ParamLabelNoise, Max: 1}

// InputNoise decorates modelFn so that in training it sees x + σε, with ε drawn
// from N(0, 1) for each entry of each example anew at every step, from the
// store's random number generator (model.Store.SetRNGStateFromSeed makes it
// repeatable). In evaluation it sees x. σ is [ParamInputNoise].
//
// With a squared error this is Tikhonov regularization: E‖f(x+σε) - y‖² =
// ‖f(x) - y‖² + σ²·‖∂f/∂x‖_F² + O(σ⁴), exact for linear f, so that in the mean
// over the data it acts as σ² times the geometric complexity.
//
// It panics if σ is negative or not finite, and, where σ is set, in training if an
// input that should get noise does not exist or is not floating point. Options:
// [WithCoefficient], [WithSchedule], [WithInputs].
//
// Source: Bishop (1995), which Section 4 of the paper refers to.
func InputNoise[F train.ModelFnCompatible](modelFn F, opts ...Option) train.ModelFn {
	config := newConfig("InputNoise", modelfn.Coefficient{Param: ParamInputNoise}, opts)
	fn := gomlxcompat.ModelFn(modelFn)
	return func(scope *model.Scope, spec any, inputs []*graph.Node) []*graph.Node {
		g := modelfn.GraphOf(inputs)
		sigma := config.coefficient.Node(scope, g)
		if sigma == nil {
			return fn(scope, spec, inputs)
		}
		indices := config.inputs
		if indices == nil {
			for i := range inputs {
				indices = append(indices, i)
			}
		}
		noisy := slices.Clone(inputs)
		for _, i := range indices {
			if i < 0 || i >= len(inputs) {
				exceptions.Panicf("regularizers.InputNoise: no input %d to add noise to, the model gets %d inputs", i, len(inputs))
			}
			if x := inputs[i]; !x.DType().IsFloat() {
				exceptions.Panicf("regularizers.InputNoise: input %d has shape %s, but noise can be added to floating point only: "+
					"convert it first, or name the inputs to change with WithInputs", i, x.Shape())
			}
			noise := random.Normal(scope, g, inputs[i].Shape())
			noisy[i] = graph.Add(inputs[i], graph.Mul(noise, graph.ConvertDType(sigma, noise.DType())))
		}
		return fn(scope, spec, noisy)
	}
}

// LabelNoise decorates lossFn so that in training each label is replaced, with
// probability p and anew at every step, by a class drawn uniformly from all K
// classes, its own included: a fraction p·(1 - 1/K) of the labels is wrong. In
// evaluation the labels are left alone. p is [ParamLabelNoise], read from the
// root scope; the random numbers come from the store's generator.
//
// labels[0] may hold integer classes, of the shape that lossFn wants, or one-hot
// rows (or any distribution) in floating point, of the shape of predictions[0],
// whose last axis is K. Other labels, such as masks and weights, pass unchanged.
//
// Noise that is drawn once and stays is a matter of the data set: see package
// datasets.
//
// It panics if lossFn is nil, if p is not in [0, 1], and, where p is set, in
// training if there are no labels, fewer than 2 classes, or labels of another kind.
// Options: [WithCoefficient], [WithSchedule].
//
// Source: the label noise of Section 4 of the paper; after Blanc et al. (2020).
func LabelNoise(lossFn train.LossFn, opts ...Option) train.LossFn {
	return regularizedLoss("LabelNoise", lossFn, labelNoiseProbability, opts,
		func(scope *model.Scope, p *graph.Node, labels, predictions []*graph.Node) *graph.Node {
			if len(labels) == 0 {
				exceptions.Panicf("regularizers.LabelNoise: the data set gives no labels to change")
			}
			noisy := slices.Clone(labels)
			noisy[0] = replaceLabels(scope, labels[0], predictions[0], p)
			return lossFn(noisy, predictions)
		})
}

// replaceLabels returns labels of the same shape and dtype, each replaced by a
// random class with probability p, a scalar.
func replaceLabels(scope *model.Scope, labels, logits, p *graph.Node) *graph.Node {
	g := labels.Graph()
	classes := 0
	if logits.Rank() > 0 {
		classes = logits.Shape().Dim(-1)
	}
	if classes < 2 {
		exceptions.Panicf("regularizers.LabelNoise: predictions have shape %s, but the last axis must hold at least 2 classes", logits.Shape())
	}
	positions := labels.Shape().Clone() // One entry for each label.
	oneHot := labels.DType().IsFloat()
	switch {
	case labels.DType().IsInt():
	case oneHot && slices.Equal(labels.Shape().Dimensions, logits.Shape().Dimensions):
		positions.Dimensions = positions.Dimensions[:positions.Rank()-1]
	default:
		exceptions.Panicf("regularizers.LabelNoise: labels have shape %s and predictions %s, but labels must be integer classes, "+
			"or one-hot in the predictions' shape", labels.Shape(), logits.Shape())
	}

	positions.DType = dtypes.Float32
	replace := graph.LessThan(scope.RandomUniform(g, positions), graph.ConvertDType(p, dtypes.Float32))
	positions.DType = dtypes.Int32
	random := scope.RandomIntN(g, int32(classes), positions)
	if !oneHot {
		return graph.Where(replace, graph.ConvertDType(random, labels.DType()), labels)
	}
	return graph.Where(graph.ExpandAxes(replace, -1), graph.OneHot(random, classes, labels.DType()), labels)
}
