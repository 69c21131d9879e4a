package regularizers

import (
	"slices"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/ml/train"
	"github.com/gomlx/gomlx/support/exceptions"

	"github.com/geometric-complexity/toolkit/internal/gomlxcompat"
	"github.com/geometric-complexity/toolkit/internal/modelfn"
	"github.com/geometric-complexity/toolkit/internal/random"
)

const (
	// ParamInputNoise is the standard deviation σ of the Gaussian noise that [InputNoise] adds to
	// each entry of the inputs, in the inputs' units. A float64 >= 0; unset means no noise.
	ParamInputNoise = "input_noise_sigma"

	// ParamLabelNoise is the probability p with which [LabelNoise] replaces a label. A float64 in
	// [0, 1]; unset means no noise.
	ParamLabelNoise = "label_noise_probability"
)

// labelNoiseProbability is the coefficient of LabelNoise.
var labelNoiseProbability = modelfn.Coefficient{Param: ParamLabelNoise, Max: 1}

// InputNoise decorates modelFn so that in training it gets the inputs x + σε, with a new ε ~ N(0,
// 1) for each entry at every step, from the store's random number generator
// (model.Store.SetRNGStateFromSeed makes it repeatable). In evaluation it gets x. σ is
// [ParamInputNoise].
//
// With a squared error and a smooth f,
//
//	E‖f(x+σε) - y‖² = ‖f(x) - y‖² + σ²·(‖∂f/∂x‖²_F + (f(x) - y)·Δf(x)) + O(σ⁴)
//
// with the Laplacian Δf of each output. Its term is 0 where f is linear (the equation is then
// exact) and where f fits the labels. Then this is Tikhonov regularization: averaged over the data,
// the noise acts as a penalty of σ² times the geometric complexity.
//
// It panics if σ is negative or not finite, and in training with σ set if an input that should get
// noise does not exist or is not floating point. Options: [WithCoefficient], [WithSchedule],
// [WithInputs].
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
				exceptions.Panicf("regularizers.InputNoise: input %d of WithInputs does not exist: the model gets %d inputs",
					i, len(inputs))
			}
			if x := inputs[i]; !x.DType().IsFloat() {
				exceptions.Panicf("regularizers.InputNoise: input %d with shape %s is not floating point: "+
					"convert it, or select the inputs that get noise with WithInputs", i, x.Shape())
			}
			noise := random.Normal(scope, g, inputs[i].Shape())
			noisy[i] = graph.Add(inputs[i], graph.Mul(noise, graph.ConvertDType(sigma, noise.DType())))
		}
		return fn(scope, spec, noisy)
	}
}

// LabelNoise decorates lossFn so that at every training step each label is replaced, with
// probability p, by a class drawn uniformly from all K classes. The draw includes the label's own
// class, so on average a fraction p·(1 - 1/K) of the labels is wrong. In evaluation the labels do
// not change. p is [ParamLabelNoise], read from the root scope; the random numbers come from the
// store's generator.
//
// labels[0] may hold integer classes, in the shape that lossFn wants, or floating-point rows,
// one-hot or any other distribution, in the shape of predictions[0], whose last axis is K. Other
// labels, such as masks and weights, pass unchanged.
//
// For wrong labels that are drawn once and then stay the same, change the data set: see package
// datasets.
//
// It panics if lossFn is nil, if p is not in [0, 1], and in training with p set if there are no
// labels, fewer than 2 classes, or labels of another kind. Options: [WithCoefficient],
// [WithSchedule].
//
// Source: the label noise of Section 4 of the paper; after Blanc et al. (2020).
func LabelNoise(lossFn train.LossFn, opts ...Option) train.LossFn {
	return regularizedLoss("LabelNoise", lossFn, labelNoiseProbability, opts,
		func(scope *model.Scope, p *graph.Node, labels, predictions []*graph.Node) *graph.Node {
			if len(labels) == 0 {
				exceptions.Panicf("regularizers.LabelNoise: the data set has no labels")
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
		exceptions.Panicf("regularizers.LabelNoise: predictions have shape %s, want at least 2 classes on the last axis",
			logits.Shape())
	}
	positions := labels.Shape().Clone() // One entry for each label.
	oneHot := labels.DType().IsFloat()
	switch {
	case labels.DType().IsInt():
	case oneHot && slices.Equal(labels.Shape().Dimensions, logits.Shape().Dimensions):
		positions.Dimensions = positions.Dimensions[:positions.Rank()-1]
	default:
		exceptions.Panicf("regularizers.LabelNoise: labels have shape %s and predictions %s, want integer classes "+
			"or one-hot labels in the predictions' shape", labels.Shape(), logits.Shape())
	}

	positions.DType = dtypes.Float32
	replace := graph.LessThan(scope.RandomUniform(g, positions), graph.ConvertDType(p, dtypes.Float32))
	positions.DType = dtypes.Int32
	classIndices := scope.RandomIntN(g, int32(classes), positions)
	if !oneHot {
		return graph.Where(replace, graph.ConvertDType(classIndices, labels.DType()), labels)
	}
	return graph.Where(graph.ExpandAxes(replace, -1), graph.OneHot(classIndices, classes, labels.DType()), labels)
}
