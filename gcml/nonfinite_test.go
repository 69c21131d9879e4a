package gcml_test

import (
	"errors"
	"fmt"
	"iter"
	"math"
	"strings"
	"testing"

	"github.com/gomlx/compute"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/layers"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/ml/train"
	"github.com/gomlx/gomlx/ml/train/loss"
	"github.com/gomlx/gomlx/ml/train/optimizer"

	"github.com/geometric-complexity/toolkit/gcml"
	"github.com/geometric-complexity/toolkit/internal/gctest"
)

// repeated is a data set that yields these inputs [2, 2] in turn, without end, with labels [2, 1].
type repeated [][][]float64

func (repeated) Name() string { return "repeated" }

func (b repeated) Iter() iter.Seq2[train.Batch, error] {
	return func(yield func(train.Batch, error) bool) {
		for i := 0; ; i++ {
			if !yield(train.Batch{
				Inputs: []*tensors.Tensor{tensors.FromValue(b[i%len(b)])},
				Labels: []*tensors.Tensor{tensors.FromValue([][]float64{{1}, {-1}})},
			}, nil) {
				return
			}
		}
	}
}

var (
	ordinary = [][]float64{{1, 2}, {-0.5, 3}}
	singular = [][]float64{{0, 0}, {1, 1}} // The first example is 0.
)

// noisyNet draws random numbers, and has variables that the optimizer does not train.
func noisyNet(scope *model.Scope, x *Node) *Node {
	h := layers.Dense(scope.In("hidden"), x, true, 4).WithAlias("pre")
	return layers.Dense(scope.In("out"), layers.Dropout(scope, Tanh(h), Const(x.Graph(), 0.5)), true, 1)
}

// distance is the length of the output of a layer without bias. At 0 its derivative is not finite.
func distance(scope *model.Scope, x *Node) *Node {
	h := layers.Dense(scope.In("hidden"), x, false, 4).WithAlias("feature")
	return ReduceAndKeep(Square(h), ReduceSum, -1).WithAlias("squared")
}

func root(y *Node) *Node { return Sqrt(y).WithAlias("root") }

// bareLength adds a loss of its own, the length of weights that are 0: the loss is finite, but its
// gradient is not.
func bareLength(scope *model.Scope, x *Node) *Node {
	w := scope.VariableWithValue("w", []float64{0, 0}).NodeValue(x.Graph()).WithAlias("weights")
	train.AddRegularizationLoss(Sqrt(ReduceAllSum(Square(w))).WithAlias("length"))
	return layers.Dense(scope.In("out"), x, true, 1)
}

type watchedRun struct {
	store *model.Store
	loop  *train.Loop
	ds    train.Dataset
}

func newWatchedRun(t *testing.T, b compute.Backend, fn train.ModelFn, ds train.Dataset, watch bool) *watchedRun {
	t.Helper()
	store := newStore(t, 4)
	trainer := train.NewTrainer(b, store, fn, loss.MeanSquaredError, optimizer.Adam().LearningRate(0.01).Done(), nil, nil)
	r := &watchedRun{store, train.NewLoop(trainer), ds}
	if watch {
		var err error
		if r.ds, err = gcml.StopAtNonFinite(r.loop, ds); err != nil {
			t.Fatal(err)
		}
	}
	return r
}

// variables returns the values of all variables except those of the metrics and the loop, as text.
func (r *watchedRun) variables() map[string]string {
	values := map[string]string{}
	for v := range r.store.IterVariables() {
		if !strings.Contains(v.Path(), "metrics") && !strings.HasPrefix(v.Path(), "/trainer") {
			value := v.MustValue().Value()
			if state, ok := value.([]uint64); ok && r.loop.Trainer.Backend().String() == "go" {
				value = state[:2] // The Go backend does not use the third word and leaves it uninitialized.
			}
			values[v.Path()] = fmt.Sprint(value)
		}
	}
	return values
}

func assertSameVariables(t *testing.T, got, want map[string]string) {
	t.Helper()
	for path, value := range want {
		if got[path] != value {
			t.Errorf("%s is %s, want %s", path, got[path], value)
		}
	}
}

func TestStopAtNonFinite(t *testing.T) {
	cases := []struct {
		name    string
		model   train.ModelFn
		bad     [][]float64
		what    string
		origin  []string
		goLimit bool // Only on the Go backend.
	}{
		{name: "penalty at a square root of 0", bad: singular, what: "the penalty",
			model:  gcml.Regularize(distance, gcml.WithTransform(root), gcml.WithCoefficient(0.1)),
			origin: []string{"it begins at", `"/root"`}},
		{name: "loss", bad: singular, what: "the training loss",
			model: gcml.Regularize(func(scope *model.Scope, x *Node) *Node {
				return Log(distance(scope, x)).WithAlias("logarithm")
			}),
			origin: []string{"it begins at Log (Float64)[2, 1]", `"/logarithm"`, `"/squared"`}, goLimit: true},
		{name: "update", bad: singular, what: `the update of "/w"`,
			model:  gcml.Regularize(bareLength),
			origin: []string{"it begins at", "of the gradient", `"/length"`}, goLimit: true},
		{name: "input", bad: [][]float64{{1, math.NaN()}, {1, 2}}, what: "the training loss",
			model:  gcml.Regularize(distance),
			origin: []string{"it begins at Parameter (Float64)[2, 2] given as"}, goLimit: true},
	}
	gctest.ForEachBackend(t, func(t *testing.T, b compute.Backend) {
		for _, c := range cases {
			if c.goLimit && b.String() != "go" {
				continue // Compiling takes seconds on XLA.
			}
			t.Run(c.name, func(t *testing.T) {
				r := newWatchedRun(t, b, c.model, repeated{ordinary, ordinary, c.bad}, true)
				for batch := range r.ds.Iter() { // Initializes the weights.
					if _, err := r.loop.Trainer.EvalStep(batch); err != nil {
						t.Fatal(err)
					}
					break
				}
				steps := 2
				if c.what == `the update of "/w"` {
					steps = 0
				} else if _, err := r.loop.RunSteps(batchesOf(r.ds, 2), 2); err != nil {
					t.Fatal(err)
				}
				before := r.variables()
				_, err := r.loop.RunSteps(skip(r.ds, steps), 1)
				var nonFinite *gcml.NonFiniteError
				if !errors.As(err, &nonFinite) {
					t.Fatalf("got error %v, want a NonFiniteError", err)
				}
				t.Log(nonFinite)
				if nonFinite.Step != steps || nonFinite.What != c.what || strings.Contains(err.Error(), "\n") {
					t.Errorf("got %q of step %d, want one line with %q of step %d", nonFinite, nonFinite.Step, c.what, steps)
				}
				for _, want := range c.origin {
					if !strings.Contains(nonFinite.Origin, want) {
						t.Errorf("got the origin %q, want it to have %q", nonFinite.Origin, want)
					}
				}
				assertSameVariables(t, r.variables(), before)
				if c.what == `the update of "/w"` {
					return
				}
				// Training continues with other batches.
				if _, err := r.loop.RunSteps(batchesOf(r.ds, 2), 2); err != nil {
					t.Errorf("with good batches: %v", err)
				}
			})
		}
	})
}

// skipped is a data set without its first batches, limited to a number of batches.
type skipped struct {
	train.Dataset
	from, n int
}

func skip(ds train.Dataset, from int) train.Dataset   { return skipped{ds, from, 1 << 30} }
func batchesOf(ds train.Dataset, n int) train.Dataset { return skipped{ds, 0, n} }
func (s skipped) Iter() iter.Seq2[train.Batch, error] {
	return func(yield func(train.Batch, error) bool) {
		i := 0
		for batch, err := range s.Dataset.Iter() {
			if i >= s.from+s.n {
				return
			}
			if i >= s.from && !yield(batch, err) {
				return
			}
			i++
		}
	}
}

// TestStopAtNonFiniteChangesNoNumber checks that losses and variables equal those of a training
// that is not watched, bit for bit.
func TestStopAtNonFiniteChangesNoNumber(t *testing.T) {
	gctest.ForEachBackend(t, func(t *testing.T, b compute.Backend) {
		fn := gcml.Regularize(noisyNet, gcml.WithCoefficient(0.1))
		var losses [2][]float64
		var variables [2]map[string]string
		for i, watch := range []bool{true, false} {
			r := newWatchedRun(t, b, fn, repeated{ordinary, singular}, watch)
			r.loop.OnStep("losses", 0, func(_ *train.Loop, metrics []*tensors.Tensor) error {
				losses[i] = append(losses[i], gctest.Flat(metrics[0])...)
				return nil
			})
			if _, err := r.loop.RunSteps(r.ds, 12); err != nil {
				t.Fatal(err)
			}
			variables[i] = r.variables()
		}
		gctest.AssertClose(t, losses[0], losses[1], 0, 0, "losses")
		assertSameVariables(t, variables[0], variables[1])
		if len(losses[0]) != 12 || losses[0][0] == losses[0][11] {
			t.Errorf("the losses are %v: nothing is tested", losses[0])
		}
	})
}

// TestStopAtNonFiniteWithoutItsData checks that a loop that runs on another data set still stops,
// and says what to do.
func TestStopAtNonFiniteWithoutItsData(t *testing.T) {
	r := newWatchedRun(t, gctest.GoBackend(t),
		gcml.Regularize(distance, gcml.WithTransform(root), gcml.WithCoefficient(0.1)), repeated{ordinary}, true)
	_, err := r.loop.RunSteps(repeated{singular}, 1)
	if err == nil || !strings.Contains(err.Error(), "the data set that StopAtNonFinite returned") {
		t.Errorf("got error %v", err)
	}
}

// TestStopAtNonFiniteForEachLoop checks that a second loop of a trainer compiles nothing.
func TestStopAtNonFiniteForEachLoop(t *testing.T) {
	builds := 0
	fn := func(scope *model.Scope, x *Node) *Node { builds++; return noisyNet(scope, x) }
	r := newWatchedRun(t, gctest.GoBackend(t), gcml.Regularize(fn), repeated{ordinary}, true)
	for range 3 {
		loop := train.NewLoop(r.loop.Trainer)
		ds, err := gcml.StopAtNonFinite(loop, repeated{ordinary})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := loop.RunSteps(ds, 2); err != nil {
			t.Fatal(err)
		}
	}
	if builds != 1 {
		t.Errorf("the model was built %d times, want 1", builds)
	}
}

func TestStopAtNonFiniteRefuses(t *testing.T) {
	r := newWatchedRun(t, gctest.GoBackend(t), gcml.Regularize(noisyNet), repeated{ordinary}, false)
	if err := r.loop.Trainer.AccumulateGradients(2); err != nil {
		t.Fatal(err)
	}
	if _, err := gcml.StopAtNonFinite(r.loop, r.ds); err == nil ||
		!strings.Contains(err.Error(), "accumulates the gradients of 2 steps") {
		t.Errorf("got error %v", err)
	}
}
