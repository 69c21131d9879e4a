package gcml_test

import (
	"errors"
	"fmt"
	"log"

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

	"github.com/geometric-complexity/toolkit/gcml"
	"github.com/geometric-complexity/toolkit/schedule"
)

// bump is a training set of three points: f(-1) = 1, f(0) = 0, f(1) = 1.
func bump() train.Batch {
	return train.Batch{
		Inputs: []*tensors.Tensor{tensors.FromValue([][]float64{{-1}, {0}, {1}})},
		Labels: []*tensors.Tensor{tensors.FromValue([][]float64{{1}, {0}, {1}})},
	}
}

// A GoMLX training without and with the penalty, with the GC of every step as a metric.
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

// The metric of an evaluation: its loss has no penalty, and its GC is the mean over all examples.
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

// onePoint trains f(x) = w·x, whose GC is w², on a point that it fits, and prints w after each
// step. A step with learning rate h multiplies w by 1 - 2·h·coefficient.
func onePoint(trainer *train.Trainer, store *model.Store, steps int) {
	for range steps {
		_, err := trainer.TrainStep(train.Batch{
			Inputs: []*tensors.Tensor{tensors.FromValue([][]float64{{0}})},
			Labels: []*tensors.Tensor{tensors.FromValue([][]float64{{0}})},
		})
		if err != nil {
			log.Fatal(err)
		}
		fmt.Printf("%.4f ", store.GetVariable("/w").MustValue().Value())
	}
}

func slope(scope *model.Scope, x *Node) *Node {
	return Mul(x, scope.VariableWithValue("w", 1.0).NodeValue(x.Graph()))
}

// A new coefficient from the next step on, without compiling the training graph again.
func ExampleSetCoefficient() {
	store := model.NewStore()
	trainer := train.NewTrainer(openBackend(), store, gcml.Regularize(slope, gcml.WithCoefficient(0)),
		loss.MeanSquaredError,
		optimizer.StochasticGradientDescent().WithDecay(false).WithLearningRate(0.1), nil, nil)
	for _, coefficient := range []float64{0, 1, 2.5} {
		if err := gcml.SetCoefficient(store, coefficient); err != nil {
			log.Fatal(err)
		}
		onePoint(trainer, store, 2)
	}
	// Output: 1.0000 1.0000 0.8000 0.6400 0.3200 0.1600
}

// The coefficient is 0 in the first step, 0.5 in the second and 1 from the third on.
func ExampleWithSchedule() {
	store := model.NewStore()
	modelFn := gcml.Regularize(slope, gcml.WithCoefficient(1), gcml.WithSchedule(schedule.WarmUp(2)))
	trainer := train.NewTrainer(openBackend(), store, modelFn, loss.MeanSquaredError,
		optimizer.StochasticGradientDescent().WithDecay(false).WithLearningRate(0.1), nil, nil)
	onePoint(trainer, store, 4)
	// Output: 1.0000 0.9000 0.7200 0.5760
}

// A square root has no derivative at 0. The step on the batch that contains a 0 is not applied.
func ExampleStopAtNonFinite() {
	network := func(scope *model.Scope, x *Node) *Node {
		return layers.Dense(scope.In("output"), x, false, 1).WithAlias("output")
	}
	length := func(y *Node) *Node { return Sqrt(Square(y)).WithAlias("length") }
	backend, store := openBackend(), model.NewStore()
	if err := store.SetRNGStateFromSeed(1); err != nil {
		log.Fatal(err)
	}
	modelFn := gcml.Regularize(network, gcml.WithTransform(length), gcml.WithCoefficient(0.1))
	trainer := train.NewTrainer(backend, store, modelFn,
		loss.MeanSquaredError, optimizer.StochasticGradientDescent(), nil, nil)
	loop := train.NewLoop(trainer)
	data, err := dataset.InMemoryFromData(backend, "bump", []any{[][]float64{{-1}, {0}, {1}}},
		[]any{[][]float64{{1}, {0}, {1}}})
	if err != nil {
		log.Fatal(err)
	}
	watched, err := gcml.StopAtNonFinite(loop, data.BatchSize(3, true).Infinite(true))
	if err != nil {
		log.Fatal(err)
	}
	_, err = loop.RunSteps(watched, 100)
	var nonFinite *gcml.NonFiniteError
	if !errors.As(err, &nonFinite) {
		log.Fatal(err)
	}
	fmt.Printf("step %d: %s\n%s\n", nonFinite.Step, nonFinite.What, nonFinite.Origin)
	// Output:
	// step 0: the penalty
	// it begins at Div (Float64)[3, 1], computed from Constant (Float64) and Sqrt (Float64)[3, 1] with alias "/length", after FusedDense (Float64)[3, 1] with alias "/output"
}
