package gcml_test

import (
	"context"
	"fmt"
	"log"

	"github.com/gomlx/compute"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/dataset"
	"github.com/gomlx/gomlx/ml/layers"
	"github.com/gomlx/gomlx/ml/layers/activation"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/ml/train"
	"github.com/gomlx/gomlx/ml/train/loss"
	"github.com/gomlx/gomlx/ml/train/metric"
	"github.com/gomlx/gomlx/ml/train/optimizer"

	"example.com/geometric-complexity/gcml"
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

// One value per example: here of x₁², whose gradient is 2·x₁.
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

// The rows of the Jacobian apart.
func ExampleSquaredGradientNorms() {
	norms, err := CallOnce(openBackend(), func(x, a *Node) *Node {
		return gcml.SquaredGradientNorms(DotProduct(x, a), x)
	}, [][]float64{{1, 2}}, [][]float64{{3, 1}, {4, 1}})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(norms.Value())
	// Output: [[25 2]]
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

// A GoMLX training with the penalty, and the GC of every step as a metric.
func ExampleRegularize() {
	network := func(scope *model.Scope, x *Node) *Node {
		x = activation.Relu(layers.Dense(scope.In("hidden"), x, true, 8))
		return layers.Dense(scope.In("output"), x, true, 1)
	}
	store := model.NewStore()
	if err := store.SetRNGStateFromSeed(1); err != nil {
		log.Fatal(err)
	}
	store.SetParam(gcml.ParamCoefficient, 0.01)
	trainer := train.NewTrainer(openBackend(), store, gcml.Regularize(network), loss.MeanSquaredError,
		optimizer.StochasticGradientDescent().WithDecay(false).WithLearningRate(0.1),
		[]metric.Interface{gcml.NewMetric("GC", "gc")}, nil)
	var metrics []*tensors.Tensor
	for range 300 {
		var err error
		metrics, err = trainer.TrainStep(train.Batch{
			Inputs: []*tensors.Tensor{tensors.FromValue([][]float64{{-1}, {0}, {1}})},
			Labels: []*tensors.Tensor{tensors.FromValue([][]float64{{1}, {0}, {1}})},
		})
		if err != nil {
			log.Fatal(err)
		}
	}
	gc := metrics[len(metrics)-1].Value().(float64)
	fmt.Println("GC between 0.1 and 3:", gc > 0.1 && gc < 3)
	// Output: GC between 0.1 and 3: true
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
