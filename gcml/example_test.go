package gcml_test

import (
	"context"
	"fmt"
	"log"
	"math"

	"github.com/gomlx/compute"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/dataset"
	"github.com/gomlx/gomlx/ml/layers/activation"
	"github.com/gomlx/gomlx/ml/model"

	"github.com/geometric-complexity/toolkit/gcml"
)

func openBackend() compute.Backend {
	backend, err := compute.NewWithConfig("go")
	if err != nil {
		log.Fatal(err)
	}
	return backend
}

// The GC of a linear function is the squared Frobenius norm of its matrix.
func ExampleComplexity() {
	gc, err := CallOnce(openBackend(), func(x, a *Node) *Node {
		return gcml.Complexity(DotProduct(x, a), x)
	}, [][]float64{{1, 2}, {3, 4}, {5, 6}}, [][]float64{{1, 2}, {2, 4}})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(gc.Value())
	// Output: 25
}

// One value per example, here for x₁², whose gradient is 2·x₁.
func ExampleSquaredJacobianNorm() {
	norms, err := CallOnce(openBackend(), func(x *Node) *Node {
		return gcml.SquaredJacobianNorm(Square(Slice(x, AxisRange(), AxisElem(0))), x)
	}, [][]float64{{1, 9}, {2, 9}, {3, 9}})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(norms.Value())
	// Output: [4 16 36]
}

// One value for each row of the Jacobian.
func ExampleSquaredJacobianRowNorms() {
	norms, err := CallOnce(openBackend(), func(x, a *Node) *Node {
		return gcml.SquaredJacobianRowNorms(DotProduct(x, a), x)
	}, [][]float64{{1, 2}}, [][]float64{{3, 1}, {4, 1}})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(norms.Value())
	// Output: [[25 2]]
}

// How sensitive the outputs are to each value of the input.
func ExampleSquaredJacobianColumnNorms() {
	norms, err := CallOnce(openBackend(), func(x, a *Node) *Node {
		return gcml.SquaredJacobianColumnNorms(DotProduct(x, a), x)
	}, [][]float64{{1, 2}}, [][]float64{{3, 1}, {4, 1}})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(norms.Value())
	// Output: [[10 17]]
}

func ExampleParseEstimator() {
	estimator, err := gcml.ParseEstimator("projection:3")
	fmt.Println(estimator == gcml.Projection(3), err)
	_, err = gcml.ParseEstimator("projektion")
	fmt.Println(err)
	// Output:
	// true <nil>
	// unknown estimator "projektion": want exact, projection:P, rademacher:N, gaussian:N or noise:SIGMA:N
}

// doubling is a model with one weight for every input.
func doubling(scope *model.Scope, x *Node) *Node {
	w := scope.VariableWithValue("w", []float64{2, 2, 2}).NodeValue(x.Graph())
	return Mul(x, InsertAxes(w, 0))
}

func ExampleMeasure() {
	backend := openBackend()
	rows, err := dataset.InMemoryFromData(backend, "rows", []any{[][]float64{{1, 2, 3}, {4, 5, 6}, {7, 8, 9}}}, nil)
	if err != nil {
		log.Fatal(err)
	}
	result, err := gcml.Measure(context.Background(), backend, model.NewStore(), doubling, rows.BatchSize(2, false))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("GC %g ± %g over %d examples, %s\n", result.GC, result.StdErr, result.Examples, result.Estimator)
	// Output: GC 12 ± 0 over 3 examples, exact
}

// The GC of the probabilities instead of the logits.
func ExampleWithTransform() {
	backend := openBackend()
	rows, err := dataset.InMemoryFromData(backend, "rows", []any{[][]float64{{0, 0, 0}}}, nil)
	if err != nil {
		log.Fatal(err)
	}
	result, err := gcml.Measure(context.Background(), backend, model.NewStore(), doubling, rows.BatchSize(1, false),
		gcml.WithTransform(func(logits *Node) *Node { return Softmax(logits) }))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%.4f\n", result.GC) // 4·‖diag(p) - p·pᵀ‖² at p = 1/3.
	// Output: 0.8889
}

// Values by class, output and inner node, besides the mean.
func ExampleMeasure_parts() {
	backend := openBackend()
	network := func(scope *model.Scope, x *Node) *Node {
		hidden := activation.Relu(MulScalar(x, 3)).WithAlias("hidden")
		return DotProduct(hidden, Const(x.Graph(), [][]float64{{1, 0}, {2, 1}}))
	}
	rows, err := dataset.InMemoryFromData(backend, "rows",
		[]any{[][]float64{{1, -1}, {1, 1}, {2, -2}}}, []any{[]int32{0, 1, 0}})
	if err != nil {
		log.Fatal(err)
	}
	result, err := gcml.Measure(context.Background(), backend, model.NewStore(), network, rows.BatchSize(3, false),
		gcml.WithPerClass(), gcml.WithPerOutput(), gcml.WithLayers())
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("GC %.0f of %d outputs by %d inputs\n", result.GC, result.Outputs, result.Inputs)
	for _, c := range result.PerClass {
		fmt.Printf("class %d: %.0f over %d examples\n", c.Class, c.GC, c.Examples)
	}
	fmt.Printf("outputs: %.0f, their sum is the GC\n", result.PerOutput)
	for _, l := range result.Layers {
		fmt.Printf("%s: %.0f for %d values\n", l.Name, l.GC, l.Size)
	}
	// Output:
	// GC 24 of 2 outputs by 2 inputs
	// class 0: 9 over 2 examples
	// class 1: 54 over 1 examples
	// outputs: [21 3], their sum is the GC
	// /hidden: 12 for 2 values
}

// Two networks with a GC of 25: one reacts to a single direction of its input, the other equally to
// two.
func ExampleJacobianStableRank() {
	for _, weights := range [][][]float64{{{1, 2}, {2, 4}}, {{math.Sqrt(12.5), 0}, {0, math.Sqrt(12.5)}}} {
		out, err := CallOnceN(openBackend(), func(x, a *Node) []*Node {
			f := DotProduct(x, a)
			return []*Node{gcml.SquaredJacobianNorm(f, x), gcml.JacobianSpectralNorm(f, x), gcml.JacobianStableRank(f, x)}
		}, [][]float64{{1, 2}}, weights)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Printf("GC %.1f, largest singular value %.3f, stable rank %.1f\n", out[0].Value(), out[1].Value(), out[2].Value())
	}
	// Output:
	// GC [25.0], largest singular value [5.000], stable rank [1.0]
	// GC [25.0], largest singular value [3.536], stable rank [2.0]
}
