package gcml_test

import (
	"strings"
	"testing"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/layers/activation"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/ml/train"
	"github.com/gomlx/gomlx/ml/train/loss"
	"github.com/gomlx/gomlx/ml/train/optimizer"

	"github.com/geometric-complexity/toolkit/gcml"
	"github.com/geometric-complexity/toolkit/internal/gctest"
)

// TestMeasurerFollowsTraining checks that after each training step a Measurer, compiled before,
// gives the slow oracle's value for the current weights, and that it does not change the training.
func TestMeasurerFollowsTraining(t *testing.T) {
	p := problem{inputs: []int{6, 5}, outputs: 3, model: mlp(activation.TypeTanh)}
	gctest.ForEachBackend(t, func(t *testing.T, b compute.Backend) {
		rows := testRows(t, 6, 5)
		rows.sizes = []int{3, 3}
		x := mustBatch(t, batches{flat: rows.flat, features: 5, sizes: []int{6}, dtype: dtypes.Float64})
		y := inputsFor(t, dtypes.Float64, []int{6, 3})
		trainer := func() (*model.Store, *train.Trainer) {
			store := newStore(t, 2)
			store.SetParam(optimizer.ParamLearningRate, 0.2)
			return store, train.NewTrainer(b, store, p.model, loss.MeanSquaredError,
				optimizer.StochasticGradientDescent().WithDecay(false), nil, nil)
		}
		store, watched := trainer()
		plainStore, plain := trainer()
		m, err := gcml.NewMeasurer(b, store, p.model)
		if err != nil {
			t.Fatal(err)
		}
		defer m.Finalize()
		last := 0.0
		for step := range 4 {
			got, err := m.Measure(t.Context(), rows)
			if err != nil {
				t.Fatal(err)
			}
			want := 0.0
			for _, v := range oracle(t, store, p, x) {
				want += v / 6
			}
			gctest.AssertClose(t, []float64{got.GC}, []float64{want}, 1e-7, 0, "GC")
			if step > 0 && got.GC == last {
				t.Errorf("step %d: GC is still %g", step, last)
			}
			last = got.GC
			for _, trainer := range []*train.Trainer{watched, plain} {
				batch, err := train.Batch{Inputs: []*tensors.Tensor{x}, Labels: []*tensors.Tensor{y}}.Clone()
				if err != nil {
					t.Fatal(err)
				}
				if _, err := trainer.TrainStep(batch); err != nil {
					t.Fatal(err)
				}
			}
		}
		for i, values := range parameters(t, store) {
			gctest.AssertClose(t, values, parameters(t, plainStore)[i], 0, 0, "weights with and without measuring")
		}
	})
}

// TestMeasurerNamesItself: errors name the function that the user called.
func TestMeasurerNamesItself(t *testing.T) {
	for want, opts := range map[string][]gcml.Option{
		"gcml.NewMeasurer: WithPerOutput requires the estimator exact": {gcml.WithPerOutput(),
			gcml.WithEstimator(gcml.Projection(1))},
		"gcml.NewMeasurer: WithLanczosSteps(3) has no effect": {gcml.WithLanczosSteps(3)},
	} {
		_, err := gcml.NewMeasurer(gctest.GoBackend(t), newStore(t, 1), mlp(activation.TypeTanh), opts...)
		if err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
		}
	}
}

// TestMeasurerRepeats checks that a random estimator starts from its seed in each measurement,
// whatever else draws from the store, and that it does not change how a model is initialized.
func TestMeasurerRepeats(t *testing.T) {
	fn := mlp(activation.TypeTanh)
	gctest.ForEachBackend(t, func(t *testing.T, b compute.Backend) {
		rows := testRows(t, 6, 5)
		rows.sizes = []int{2, 2, 2}
		measure := func(store *model.Store, seed int64) float64 {
			m, err := gcml.NewMeasurer(b, store, fn, gcml.WithEstimator(gcml.Projection(1)), gcml.WithSeed(seed))
			if err != nil {
				t.Fatal(err)
			}
			defer m.Finalize()
			first, err := m.Measure(t.Context(), rows)
			if err != nil {
				t.Fatal(err)
			}
			run(t, b, store, func(scope *model.Scope,
				g *Graph) *Node {
				return scope.RandomNormal(g, shapes.Make(dtypes.Float64))
			})
			second, err := m.Measure(t.Context(), rows)
			if err != nil {
				t.Fatal(err)
			}
			if first.GC != second.GC {
				t.Errorf("seed %d gave %g, then %g", seed, first.GC, second.GC)
			}
			return first.GC
		}
		plain, measured, other := newStore(t, 4), newStore(t, 4), newStore(t, 4)
		run(t, b, plain, fn, mustBatch(t, rows))
		if a, c := measure(measured, 1), measure(other, 2); a == c {
			t.Errorf("seeds 1 and 2 both gave %g", a)
		}
		for _, store := range []*model.Store{measured, other} {
			for i, values := range parameters(t, store) {
				gctest.AssertClose(t, values, parameters(t, plain)[i], 0, 0, "initial weights")
			}
		}
	})
}

// TestMeasureModelThatDraws measures a model that draws random numbers in evaluation mode. WithSeed
// has to seed it, the noise has to be the same in all rounds of a batch and another in the next
// batch, and the store's own random state must not change.
func TestMeasureModelThatDraws(t *testing.T) {
	const outputs = 40
	fn := func(scope *model.Scope, x *Node) *Node { // Linear, with a factor per example.
		factor := scope.RandomUniform(x.Graph(), shapes.Make(x.DType(), x.Shape().Dimensions[0], 1))
		return Mul(BroadcastToDims(ReduceAndKeep(x, ReduceSum, 1), x.Shape().Dimensions[0], outputs), factor)
	}
	gctest.ForEachBackend(t, func(t *testing.T, b compute.Backend) {
		rows := testRows(t, 4, 5)
		rows.sizes = []int{2, 2}
		store := newStore(t, 4)
		state := func() []uint64 {
			return tensors.MustCopyFlatData[uint64](store.GetVariable("/#rngState").MustValue())
		}
		before := state()
		measure := func(opts ...gcml.Option) gcml.Result {
			got, err := gcml.Measure(t.Context(), b, store, fn, rows, opts...)
			if err != nil {
				t.Fatal(err)
			}
			return got
		}
		whole := measure(gcml.WithCotangents(outputs))
		gctest.AssertClose(t, []float64{measure(gcml.WithCotangents(2)).GC}, []float64{whole.GC}, 1e-12, 0, "in rounds")
		if other := measure(gcml.WithSeed(1)); other.GC == whole.GC {
			t.Errorf("seeds 0 and 1 both gave %g", whole.GC)
		}
		if whole.StdErr == 0 {
			t.Error("all examples have the same noise")
		}
		for i, v := range state() {
			if v != before[i] {
				t.Fatalf("the random state changed from %v to %v", before, state())
			}
		}
	})
}

// TestMeasureEstimatorHyperparameter checks that gc_estimator of the root scope is used unless an
// option gives an estimator.
func TestMeasureEstimatorHyperparameter(t *testing.T) {
	b := gctest.GoBackend(t)
	rows := testRows(t, 6, 5)
	measure := func(hyperparameter string, opts ...gcml.Option) (gcml.Result, error) {
		store := newStore(t, 1)
		store.SetParam(gcml.ParamEstimator, hyperparameter)
		return gcml.Measure(t.Context(), b, store, mlp(activation.TypeTanh), rows, opts...)
	}
	values := map[string]float64{}
	for _, c := range []struct {
		hyperparameter, want string
		opts                 []gcml.Option
	}{
		{"", "exact", nil},
		{"projection:1", "projection:1", nil},
		{"projection:1", "exact", []gcml.Option{gcml.WithEstimator(gcml.Exact())}},
		{"projection:1", "gaussian:2", []gcml.Option{gcml.WithEstimator(gcml.Hutchinson(2, gcml.Gaussian))}},
	} {
		got, err := measure(c.hyperparameter, c.opts...)
		if err != nil {
			t.Fatal(err)
		}
		if got.Estimator != c.want {
			t.Errorf("hyperparameter %q and %d options: estimator %q, want %q", c.hyperparameter, len(c.opts), got.Estimator,
				c.want)
		}
		if v, ok := values[c.want]; ok && v != got.GC {
			t.Errorf("%s gave %g, then %g", c.want, v, got.GC)
		}
		values[c.want] = got.GC
	}
	if len(values) != 3 || values["exact"] == values["projection:1"] {
		t.Errorf("the estimators gave %v", values)
	}
	for hyperparameter, want := range map[string]string{
		"exakt": `hyperparameter "gc_estimator" in scope "/": unknown estimator "exakt"`, "projection:4": "use at most 3"} {
		if _, err := measure(hyperparameter); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got error %v, want one with %q", err, want)
		}
	}
}
