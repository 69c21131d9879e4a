package gcml_test

import (
	"fmt"
	"log"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/layers"
	"github.com/gomlx/gomlx/ml/layers/activation"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/ml/train"
	"github.com/gomlx/gomlx/ml/train/loss"
	"github.com/gomlx/gomlx/ml/train/metric"
	"github.com/gomlx/gomlx/ml/train/optimizer"

	"example.com/geometric-complexity/gcml"
)

// bump is a training set of three points: f(-1) = 1, f(0) = 0, f(1) = 1.
func bump() train.Batch {
	return train.Batch{
		Inputs: []*tensors.Tensor{tensors.FromValue([][]float64{{-1}, {0}, {1}})},
		Labels: []*tensors.Tensor{tensors.FromValue([][]float64{{1}, {0}, {1}})},
	}
}

// A GoMLX training without and with the penalty, the GC of every step as a metric.
func ExampleRegularize() {
	network := func(scope *model.Scope, x *Node) *Node {
		x = activation.Relu(layers.Dense(scope.In("hidden"), x, true, 8))
		return layers.Dense(scope.In("output"), x, true, 1)
	}
	for _, coefficient := range []float64{0, 0.1} {
		store := model.NewStore()
		if err := store.SetRNGStateFromSeed(1); err != nil {
			log.Fatal(err)
		}
		store.SetParam(gcml.ParamCoefficient, coefficient)
		trainer := train.NewTrainer(openBackend(), store, gcml.Regularize(network), loss.MeanSquaredError,
			optimizer.StochasticGradientDescent().WithDecay(false).WithLearningRate(0.1),
			[]metric.Interface{gcml.NewMetric("GC", "gc")}, nil)
		var metrics []*tensors.Tensor
		for range 300 {
			var err error
			if metrics, err = trainer.TrainStep(bump()); err != nil {
				log.Fatal(err)
			}
		}
		fmt.Printf("coefficient %g: GC %.2f at the last step\n", coefficient, metrics[len(metrics)-1].Value())
	}
	// Output:
	// coefficient 0: GC 0.68 at the last step
	// coefficient 0.1: GC 0.39 at the last step
}

// The evaluation's metric: the loss of an evaluation carries no penalty, and the
// GC is that over all its examples.
func ExampleNewMeanMetric() {
	double := func(scope *model.Scope, x *Node) *Node {
		return Mul(x, scope.VariableWithValue("w", 2.0).NodeValue(x.Graph()))
	}
	store := model.NewStore()
	store.SetParam(gcml.ParamCoefficient, 1.0)
	trainer := train.NewTrainer(openBackend(), store, gcml.Regularize(double), loss.MeanSquaredError,
		optimizer.StochasticGradientDescent(), nil, []metric.Interface{gcml.NewMeanMetric("GC", "gc")})
	metrics, err := trainer.EvalStep(bump())
	if err != nil {
		log.Fatal(err)
	}
	for i, m := range trainer.EvalMetrics() {
		fmt.Printf("%s %.3f\n", m.Name(), metrics[i].Value())
	}
	// Output:
	// Mean Loss 3.333
	// GC 4.000
}
