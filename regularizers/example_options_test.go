package regularizers_test

import (
	"fmt"

	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/ml/train"
	"github.com/gomlx/gomlx/ml/train/loss"

	"github.com/geometric-complexity/toolkit/gcml"
	"github.com/geometric-complexity/toolkit/regularizers"
)

// Package gcml's penalty combines with the others.
func ExampleWith() {
	store := model.NewStore()
	store.SetParam(regularizers.ParamL2, 0.5)
	store.SetParam(gcml.ParamCoefficient, 1.0) // The GC of a linear map is the squared norm of its matrix.
	modelFn := regularizers.Combine(linear,
		regularizers.With(regularizers.L2),
		regularizers.With(gcml.Regularize, gcml.WithEstimator(gcml.Projection(2))))
	oneStep(store, modelFn, loss.MeanSquaredError)
	// Output: training 19.500, evaluation 0.000
}

// Label noise comes first, so that Flatness penalizes the gradient of the noisy loss.
func ExampleCombineLoss() {
	store := model.NewStore()
	store.SetParam(regularizers.ParamFlatness, 0.5)
	lossFn := regularizers.CombineLoss(loss.MeanSquaredError,
		regularizers.With(regularizers.LabelNoise), regularizers.With(regularizers.Flatness))
	oneStep(store, regularizers.Combine(linear), lossFn) // At a minimum the gradient is 0.
	// Output: training 0.000, evaluation 0.000
}

// The penalty applies only to the variables that a function selects.
func ExampleWithVariables() {
	product := func(scope *model.Scope, x *graph.Node) *graph.Node {
		first := scope.In("first").VariableWithValue("w", [][]float64{{3, 0}, {0, 1}})
		second := scope.In("second").VariableWithValue("w", [][]float64{{1, 0}, {0, 2}})
		return graph.Dot(graph.Dot(x, first.NodeValue(x)).Product(), second.NodeValue(x)).Product()
	}
	inSecond := func(v *model.Variable) bool { return v.Scope() == "/second" }
	store := model.NewStore()
	store.SetParam(regularizers.ParamL2, 1.0)
	oneStep(store, regularizers.L2(product, regularizers.WithVariables(inSecond)), loss.MeanSquaredError)
	// Output: training 5.000, evaluation 0.000
}

// A kernel of three ones acts on padded signals of length 2. As a matrix [3, 1] its largest
// singular value is √3; as the linear map {{1, 1}, {1, 1}} it is 2.
func ExampleWithConvolutions() {
	convolution := func(scope *model.Scope, x *graph.Node) *graph.Node {
		kernel := scope.VariableWithValue("kernel", [][][]float64{{{1}}, {{1}}, {{1}}})
		return graph.Squeeze(graph.Convolve(graph.InsertAxes(x, -1), kernel.NodeValue(x)).PadSame().Done(), -1)
	}
	operator := func(v *model.Variable) (regularizers.ConvolutionOperator, bool) {
		return regularizers.ConvolutionOperator{InputSize: []int{2}, Paddings: regularizers.PadSame(3)}, v.Name() == "kernel"
	}
	for _, modelFn := range []train.ModelFn{
		regularizers.Spectral(convolution),
		regularizers.Spectral(convolution, regularizers.WithConvolutions(operator)),
	} {
		store := model.NewStore()
		store.SetParam(regularizers.ParamSpectral, 1.0)
		oneStep(store, modelFn, loss.MeanSquaredError)
	}
	// Output:
	// training 5.500, evaluation 2.500
	// training 6.500, evaluation 2.500
}

func ExampleSquaredParameterGradientNorm() {
	// L = a·b² at a = 1, b = 2: ∇L = (4, 4).
	norm := graph.MustExecOnce(pureGo(), func(a, b *graph.Node) *graph.Node {
		return regularizers.SquaredParameterGradientNorm(graph.Mul(a, graph.Square(b)), a, b)
	}, 1.0, 2.0)
	fmt.Println(norm.Value())
	// Output: 32
}
