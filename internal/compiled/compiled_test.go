package compiled_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/ml/train"

	"github.com/geometric-complexity/toolkit/internal/compiled"
	"github.com/geometric-complexity/toolkit/internal/gctest"
)

func ones(n int) []*tensors.Tensor {
	return []*tensors.Tensor{tensors.FromScalarAndDimensions(1.0, n)}
}

// TestCall checks that every kind of batch gets its own graph and that graph's value, in any order
// of calls.
func TestCall(t *testing.T) {
	gctest.ForEachBackend(t, func(t *testing.T, b compute.Backend) {
		store := model.NewStore().WithVariableAsConst(true)
		w := store.RootScope().VariableWithValue("w", 1.0)
		built := 0
		graphs := compiled.New("test", b, store, func(scope *model.Scope, a compiled.Args) ([]*graph.Node, int) {
			built++
			factor := 1.0
			if spec, ok := a.Spec.(float64); ok {
				factor = spec
			}
			sum := graph.MulScalar(graph.ReduceAllSum(a.Inputs[0]), factor)
			for _, l := range a.Labels {
				sum = graph.Add(sum, graph.MulScalar(graph.ReduceAllSum(l), 100))
			}
			for _, e := range a.Extra {
				sum = graph.Add(sum, e)
			}
			weight := scope.Store().GetVariable("/w").NodeValue(sum)
			return []*graph.Node{graph.Mul(sum, weight)}, built
		})
		defer graphs.Finalize()
		calls := []struct {
			name  string
			batch train.Batch
			extra []*tensors.Tensor
			want  float64
			graph int
		}{
			{"first", train.Batch{Inputs: ones(3)}, nil, 3, 1},
			{"other shape", train.Batch{Inputs: ones(2)}, nil, 2, 2},
			{"spec", train.Batch{Inputs: ones(3), Spec: 10.0}, nil, 30, 3},
			{"input", train.Batch{Inputs: append(ones(3), ones(1)...)}, nil, 3, 4},
			{"label", train.Batch{Inputs: ones(3), Labels: ones(1)}, nil, 103, 5},
			{"extra", train.Batch{Inputs: ones(3)}, []*tensors.Tensor{tensors.FromScalar(0.5)}, 3.5, 6},
			{"first again", train.Batch{Inputs: ones(3)}, nil, 3, 1},
			{"spec again", train.Batch{Inputs: ones(3), Spec: 10.0}, nil, 30, 3},
		}
		for _, weight := range []float64{1, -2} { // Every call reads the variable.
			if err := w.SetValue(tensors.FromScalar(weight)); err != nil {
				t.Fatal(err)
			}
			for _, c := range calls {
				out, value, err := graphs.Call(c.batch, c.extra...)
				if err != nil {
					t.Fatalf("%s: %v", c.name, err)
				}
				if got := shapes.ConvertTo[float64](out[0].Value()); got != weight*c.want || value != c.graph {
					t.Errorf("%s: %g of graph %d, want %g of graph %d", c.name, got, value, weight*c.want, c.graph)
				}
			}
		}
		if !store.VariablesAsConst() {
			t.Error("the store's setting changed")
		}
		if graphs.Len() != 6 || built != 6 {
			t.Errorf("%d graphs, built %d times, want 6", graphs.Len(), built)
		}
	})
}

func TestCallErrors(t *testing.T) {
	fail := true
	graphs := compiled.New("test", gctest.GoBackend(t), model.NewStore(),
		func(_ *model.Scope, a compiled.Args) ([]*graph.Node, int) {
			if a.Spec == "index" {
				a.Inputs[7] = nil
			}
			if fail {
				panic("no error but a text")
			}
			return a.Inputs, 0
		})
	defer graphs.Finalize()
	for _, c := range []struct {
		want  string
		batch train.Batch
	}{
		{"no inputs", train.Batch{}},
		{"spec of type []int, which Go cannot compare", train.Batch{Inputs: ones(1), Spec: []int{1}}},
		{"no error but a text", train.Batch{Inputs: ones(1)}},
		{"index out of range", train.Batch{Inputs: ones(1), Spec: "index"}},
	} {
		_, _, err := graphs.Call(c.batch)
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("got error %v, want one line with %q", err, c.want)
		}
	}
	fail = false
	if _, _, err := graphs.Call(train.Batch{Inputs: ones(1)}); err != nil {
		t.Errorf("a graph that failed once is not built again: %v", err)
	}
}

// TestRandomState checks that a model that draws random numbers leaves the store's random state as
// it was, so that every call draws the same.
func TestRandomState(t *testing.T) {
	gctest.ForEachBackend(t, func(t *testing.T, b compute.Backend) {
		store := model.NewStore()
		if err := store.SetRNGStateFromSeed(3); err != nil {
			t.Fatal(err)
		}
		graphs := compiled.New("test", b, store, func(scope *model.Scope, a compiled.Args) ([]*graph.Node, int) {
			return []*graph.Node{scope.RandomNormal(a.Inputs[0].Graph(), shapes.Make(a.Inputs[0].DType(), 2))}, 0
		})
		defer graphs.Finalize()
		draw := func(n int) []float64 {
			results, _, err := graphs.Call(train.Batch{Inputs: ones(n)})
			if err != nil {
				t.Fatal(err)
			}
			return gctest.Flat(results[0])
		}
		first := draw(1)
		for _, again := range [][]float64{draw(1), draw(2)} { // In the same graph and in another.
			if !slices.Equal(first, again) {
				t.Errorf("drew %v, then %v", first, again)
			}
		}
	})
}

// TestVariablesStay checks that a model that updates a variable in every graph leaves the store's
// variable as it was, also one that the graph has just made.
func TestVariablesStay(t *testing.T) {
	gctest.ForEachBackend(t, func(t *testing.T, b compute.Backend) {
		store := model.NewStore()
		store.RootScope().VariableWithValue("old", 1.0)
		graphs := compiled.New("test", b, store, func(scope *model.Scope, a compiled.Args) ([]*graph.Node, int) {
			g := a.Inputs[0].Graph()
			old, made := store.GetVariable("/old"), scope.VariableWithValue("made", 5.0)
			sum := graph.Add(old.NodeValue(g), made.NodeValue(g))
			old.SetNodeValue(graph.OnePlus(old.NodeValue(g)))
			made.SetNodeValue(graph.ReduceAllSum(a.Inputs[0]))
			return []*graph.Node{sum}, 0
		})
		defer graphs.Finalize()
		for _, n := range []int{1, 1, 2} { // In the same graph and in another.
			results, _, err := graphs.Call(train.Batch{Inputs: ones(n)})
			if err != nil {
				t.Fatal(err)
			}
			if got := gctest.Flat(results[0]); got[0] != 6 {
				t.Errorf("the variables' sum is %v, want 6", got)
			}
		}
		for path, want := range map[string]float64{"/old": 1, "/made": 5} {
			if got := gctest.Flat(store.GetVariable(path).MustValue()); got[0] != want {
				t.Errorf("the variable %s is %v, want %g", path, got, want)
			}
		}
	})
}
