package compilecache_test

import (
	"slices"
	"testing"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"

	"github.com/geometric-complexity/toolkit/internal/compilecache"
	"github.com/geometric-complexity/toolkit/internal/gctest"
	"github.com/geometric-complexity/toolkit/internal/platform"
)

// cached wraps XLA, or skips the test where there is none.
func cached(t *testing.T, capacity int) *compilecache.Backend {
	t.Helper()
	b, ok := compilecache.WithCapacity(gctest.PlainXLABackend(t), capacity).(*compilecache.Backend)
	if !ok {
		t.Fatal("programs of XLA have no text")
	}
	return b
}

// scaled compiles a graph that multiplies by a factor, and checks its value at 3.
func scaled(t *testing.T, b compute.Backend, factor float32) *graph.Exec {
	t.Helper()
	exec := graph.MustNewExec(b, func(x *graph.Node) *graph.Node { return graph.MulScalar(x, factor) })
	check(t, exec, factor)
	return exec
}

func check(t *testing.T, exec *graph.Exec, factor float32) {
	t.Helper()
	if got := tensors.ToScalar[float32](exec.MustCall(float32(3))[0]); got != 3*factor {
		t.Errorf("3 times %v is %v", factor, got)
	}
}

func TestEqualProgramsAreCompiledOnce(t *testing.T) {
	b := cached(t, 10)
	first, second := scaled(t, b, 2), scaled(t, b, 2)
	if b.Compiled() != 1 {
		t.Errorf("%d programs compiled for two equal graphs", b.Compiled())
	}
	first.Finalize()
	check(t, second, 2) // The program outlives one of its users,
	second.Finalize()
	scaled(t, b, 2).Finalize() // and all of them.
	if b.Compiled() != 1 {
		t.Errorf("%d programs compiled for three equal graphs", b.Compiled())
	}
	scaled(t, b, 5).Finalize() // Another constant is another program.
	if b.Compiled() != 2 {
		t.Errorf("%d programs compiled for two different graphs", b.Compiled())
	}
}

func TestLeastRecentlyUsedGoesFirst(t *testing.T) {
	b := cached(t, 2)
	for _, factor := range []float32{2, 3, 2, 4} { // 4 displaces 3, which was used before the second 2.
		scaled(t, b, factor).Finalize()
	}
	before := b.Compiled()
	scaled(t, b, 2).Finalize()
	scaled(t, b, 4).Finalize()
	if b.Compiled() != before {
		t.Error("a program that was used lately was compiled again")
	}
	scaled(t, b, 3).Finalize()
	if b.Compiled() != before+1 {
		t.Error("the cache keeps more programs than its capacity")
	}
}

// TestProgramsInUseStay: the capacity counts unused programs only.
func TestProgramsInUseStay(t *testing.T) {
	b := cached(t, 0)
	first, second := scaled(t, b, 2), scaled(t, b, 3)
	second.Finalize()
	check(t, first, 2)
}

// TestVariablesChange trains a variable by a program that a second store shares: donated buffers,
// updates and reads belong to the store, not to the program.
func TestVariablesChange(t *testing.T) {
	b := cached(t, 10)
	step := func(start float32) *model.Exec {
		store := model.NewStore()
		store.RootScope().VariableWithValue("w", start)
		return model.MustNewExec(b, store, func(scope *model.Scope, x *graph.Node) *graph.Node {
			w := scope.Store().GetVariable("/w")
			w.SetNodeValue(graph.Add(w.NodeValue(x.Graph()), x))
			return graph.MulScalar(x, 10)
		})
	}
	var got []float32
	for _, start := range []float32{1, 100} {
		exec := step(start)
		for range 3 {
			exec.MustCall(float32(1))
		}
		got = append(got, tensors.ToScalar[float32](exec.Store().GetVariable("/w").MustValue()))
	}
	if want := []float32{4, 103}; !slices.Equal(got, want) {
		t.Errorf("after three steps the variables are %v; want %v", got, want)
	}
	if b.Compiled() != 1 {
		t.Errorf("%d programs compiled; want 1", b.Compiled())
	}
}

// TestOtherBackends: a backend without text, and one with a cache, are returned as they are.
func TestOtherBackends(t *testing.T) {
	if pure := gctest.GoBackend(t); compilecache.New(pure) != pure {
		t.Error("the pure Go backend was wrapped")
	}
	b := cached(t, 1)
	if compilecache.New(b) != compute.Backend(b) {
		t.Error("a cache was wrapped in another")
	}
}

// TestPlatform: graphs are built for the platform of the backend inside, so that a network is as
// fast in a sweep as alone.
func TestPlatform(t *testing.T) {
	gctest.ForEachBackend(t, func(t *testing.T, inner compute.Backend) {
		if cache, ok := inner.(*compilecache.Backend); ok {
			inner = cache.Wrapped()
		}
		wrapped := compilecache.New(inner)
		if got, want := platform.Of(wrapped), platform.Of(inner); got != want {
			t.Errorf("platform %d, want that of the backend inside, %d", got, want)
		}
		if got, want := platform.IsXLA(wrapped), platform.IsXLA(inner); got != want {
			t.Errorf("XLA: %v, want %v", got, want)
		}
		for _, dtype := range []dtypes.DType{dtypes.Float32, dtypes.Float64} {
			if got, want := platform.ConvolvesByOneDNN(wrapped, dtype), platform.ConvolvesByOneDNN(inner, dtype); got != want {
				t.Errorf("%s by oneDNN: %v, want %v", dtype, got, want)
			}
		}
	})
}
