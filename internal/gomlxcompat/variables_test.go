package gomlxcompat_test

import (
	"context"
	"math"
	"slices"
	"testing"

	"github.com/gomlx/compute"
	_ "github.com/gomlx/compute/gobackend" // As in a program that does not use this module's package backend.
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/dataset"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/ml/model/checkpoint"
	"github.com/gomlx/gomlx/ml/train"
	"github.com/gomlx/gomlx/ml/train/loss"
	"github.com/gomlx/gomlx/ml/train/metric"
	"github.com/gomlx/gomlx/ml/train/optimizer"

	"github.com/geometric-complexity/toolkit/gcml"
)

// scaled is y = w·x, whose GC is w² for one output.
func scaled(scope *model.Scope, x *Node) *Node {
	return Mul(x, scope.VariableWithValue("w", 1.0).NodeValue(x.Graph()))
}

func goBackend(t *testing.T) compute.Backend {
	t.Helper()
	if slices.Contains(compute.List(), "xla") {
		t.Fatal("this test imports package backend, but it is about programs that do not")
	}
	b, err := compute.NewWithConfig("go")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Finalize)
	return b
}

// weight returns the current value of w.
func weight(t *testing.T, store *model.Store) float64 {
	t.Helper()
	value, err := store.RootScope().GetVariable("w").Value()
	if err != nil {
		t.Fatal(err)
	}
	return scalar(value)
}

func scalar(x *tensors.Tensor) float64 { return tensors.ToScalar[float64](x) }

// TestGraphsSeeChangedVariables checks that graphs compiled before a training step see the weights
// after it: evaluation, measurement, metrics and the program's own Exec. The program opens the
// backend itself and imports only gcml.
func TestGraphsSeeChangedVariables(t *testing.T) {
	b := goBackend(t)
	store := model.NewStore()
	store.SetParam(gcml.ParamCoefficient, 0.1)
	batch := train.Batch{
		Inputs: []*tensors.Tensor{tensors.FromValue([][]float64{{1}, {2}})},
		Labels: []*tensors.Tensor{tensors.FromValue([][]float64{{5}, {10}})},
	}
	trainer := train.NewTrainer(b, store, gcml.Regularize(scaled), loss.MeanSquaredError,
		optimizer.StochasticGradientDescent().WithDecay(false).WithLearningRate(0.05),
		[]metric.Interface{gcml.NewMetric("GC", "gc")}, []metric.Interface{gcml.NewMeanMetric("GC", "gc")})
	own := model.MustNewExec(b, store, scaled)
	data, err := dataset.InMemoryFromData(b, "two", []any{[][]float64{{1}, {2}}}, []any{[][]float64{{5}, {10}}})
	if err != nil {
		t.Fatal(err)
	}
	data.BatchSize(2, false)
	measurer, err := gcml.NewMeasurer(b, store, scaled)
	if err != nil {
		t.Fatal(err)
	}
	defer measurer.Finalize()

	check := func(when string) {
		t.Helper()
		w := weight(t, store)
		is := func(what string, got, want float64) {
			t.Helper()
			if math.Abs(got-want) > 1e-6*want {
				t.Errorf("%s, the weight is %g, and %s %g, want %g", when, w, what, got, want)
			}
		}
		evaluated, err := trainer.Eval(data)
		if err != nil {
			t.Fatal(err)
		}
		is("the evaluation's metric", scalar(evaluated[len(evaluated)-1]), w*w)
		is("the evaluation's loss", scalar(evaluated[0]), 2.5*(5-w)*(5-w))
		is("the program's own Exec gives", scalar(own.MustCall1(1.0)), w)
		measured, err := measurer.Measure(context.Background(), data)
		if err != nil {
			t.Fatal(err)
		}
		is("Measurer gives", measured.GC, w*w)
		measured, err = gcml.Measure(context.Background(), b, store, scaled, data)
		if err != nil {
			t.Fatal(err)
		}
		is("Measure gives", measured.GC, w*w)
	}
	step := func() {
		before := weight(t, store)
		metrics, err := trainer.TrainStep(batch)
		if err != nil {
			t.Fatal(err)
		}
		if gc := scalar(metrics[len(metrics)-1]); math.Abs(gc-before*before) > 1e-6*gc {
			t.Errorf("the training's metric is %g, want %g", gc, before*before)
		}
		if weight(t, store) == before {
			t.Fatal("training does not change the weight")
		}
	}

	own.MustCall1(1.0)
	check("before training")
	for range 3 {
		step()
		check("after a step")
	}
}

// TestGraphsSeeSetVariables checks that a graph that ran with the variables of a checkpoint sees
// the values that the program sets later.
func TestGraphsSeeSetVariables(t *testing.T) {
	b, dir := goBackend(t), t.TempDir()
	trained := model.NewStore()
	trained.RootScope().VariableWithValue("w", 3.0)
	handler, err := checkpoint.Build(trained).Dir(dir).Done()
	if err != nil {
		t.Fatal(err)
	}
	if err = handler.Save(); err != nil {
		t.Fatal(err)
	}

	store := model.NewStore()
	if _, err = checkpoint.Load(store).Dir(dir).Done(); err != nil {
		t.Fatal(err)
	}
	own := model.MustNewExec(b, store, scaled)
	if got := scalar(own.MustCall1(1.0)); got != 3 {
		t.Fatalf("after loading the result is %g, want 3", got)
	}
	if err = store.RootScope().GetVariable("w").SetValue(tensors.FromValue(4.0)); err != nil {
		t.Fatal(err)
	}
	if got := scalar(own.MustCall1(1.0)); got != 4 {
		t.Errorf("after setting the variable the result is %g, want 4", got)
	}
}
