package gcml_test

import (
	"context"
	"fmt"
	"log"

	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/dataset"
	"github.com/gomlx/gomlx/ml/layers"
	"github.com/gomlx/gomlx/ml/model"

	"github.com/geometric-complexity/toolkit/gcml"
)

// A Measurer compiles once, and uses the current weights in each measurement.
func ExampleNewMeasurer() {
	backend, store := openBackend(), model.NewStore()
	rows, err := dataset.InMemoryFromData(backend, "rows", []any{[][]float64{{1, 2, 3}, {4, 5, 6}}}, nil)
	if err != nil {
		log.Fatal(err)
	}
	measurer, err := gcml.NewMeasurer(backend, store, doubling)
	if err != nil {
		log.Fatal(err)
	}
	defer measurer.Finalize()
	for _, weights := range [][]float64{{2, 2, 2}, {3, 0, 0}} { // A training would change them.
		w := store.RootScope().VariableWithValue("w", weights)
		if err := w.SetValue(tensors.MustFromAnyValue(weights)); err != nil {
			log.Fatal(err)
		}
		result, err := measurer.Measure(context.Background(), rows.BatchSize(1, false))
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(result.GC)
	}
	// Output:
	// 12
	// 9
}

// Integers have no derivative, so GC is measured with respect to a node that the model names: the
// embedding of three tokens in two numbers each.
func ExampleWithInputNode() {
	classifier := func(scope *model.Scope, tokens *Node) *Node {
		embedded := layers.Embedding(scope.In("words"), tokens, dtypes.Float64, 100, 2).WithAlias("embedded")
		return MulScalar(ReduceSum(embedded, 1), 3) // [batch, 2]
	}
	backend := openBackend()
	sentences, err := dataset.InMemoryFromData(backend, "sentences", []any{[][]int32{{5, 17, 3}, {9, 9, 1}}}, nil)
	if err != nil {
		log.Fatal(err)
	}
	result, err := gcml.Measure(context.Background(), backend, model.NewStore(), classifier, sentences.BatchSize(2, false),
		gcml.WithInputNode("embedded"))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("GC %g, Jacobian %d x %d\n", result.GC, result.Outputs, result.Inputs)
	// Output: GC 54, Jacobian 2 x 6
}

// The spread of the examples, and the uncertainty of a mean over so few of them. The squared norm
// of x² is 4x².
func ExampleResult() {
	backend := openBackend()
	rows, err := dataset.InMemoryFromData(backend, "rows", []any{[][]float64{{1}, {2}, {3}, {4}, {5}}}, nil)
	if err != nil {
		log.Fatal(err)
	}
	result, err := gcml.Measure(context.Background(), backend, model.NewStore(),
		func(_ *model.Scope, x *Node) *Node { return Square(x) }, rows.BatchSize(2, false), gcml.WithPerExample())
	if err != nil {
		log.Fatal(err)
	}
	low, high := result.Interval(0.95)
	fmt.Println(result.PerExample)
	fmt.Printf("GC %g ± %.1f, 95 %% interval %.0f to %.0f, median %g\n", result.GC, result.StdErr, low, high,
		result.Quantiles.Median)
	// Output:
	// [4 16 36 64 100]
	// GC 44 ± 17.3, 95 % interval -4 to 92, median 36
}
