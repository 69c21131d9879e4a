package random

import (
	"math"
	"slices"
	"testing"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"

	"github.com/geometric-complexity/toolkit/internal/gctest"
)

// finite replaces infinities, and keeps every value that RandomNormal can draw otherwise.
func TestFinite(t *testing.T) {
	inf := float32(math.Inf(1))
	gctest.ForEachBackend(t, func(t *testing.T, backend compute.Backend) {
		got, err := graph.CallOnce(backend, finite, []float32{inf, -inf, 6.66, -6.66, 0})
		if err != nil {
			t.Fatal(err)
		}
		if want := []float32{largest32, -largest32, 6.66, -6.66, 0}; !slices.Equal(got.Value().([]float32), want) {
			t.Errorf("float32: %v; want %v", got, want)
		}
		got, err = graph.CallOnce(backend, finite, []float64{math.Inf(1), -9.42})
		if err != nil {
			t.Fatal(err)
		}
		if want := []float64{largest64, -9.42}; !slices.Equal(got.Value().([]float64), want) {
			t.Errorf("float64: %v; want %v", got, want)
		}
	})
}

// A seed gives the same values as with GoMLX's RandomNormal.
func TestNormalIsGoMLXs(t *testing.T) {
	gctest.ForEachBackend(t, func(t *testing.T, backend compute.Backend) {
		draw := func(normal func(scope *model.Scope, g *graph.Graph, shape shapes.Shape) *graph.Node) []float32 {
			store := model.NewStore()
			if err := store.SetRNGStateFromSeed(7); err != nil {
				t.Fatal(err)
			}
			out, err := model.CallOnce(backend, store, func(scope *model.Scope, g *graph.Graph) *graph.Node {
				return normal(scope, g, shapes.Make(dtypes.Float32, 10000))
			})
			if err != nil {
				t.Fatal(err)
			}
			return tensors.MustCopyFlatData[float32](out)
		}
		ours := draw(func(scope *model.Scope, g *graph.Graph, shape shapes.Shape) *graph.Node {
			return Normal(scope, g, shape)
		})
		theirs := draw(func(scope *model.Scope, g *graph.Graph, shape shapes.Shape) *graph.Node {
			return scope.RandomNormal(g, shape)
		})
		if !slices.Equal(ours, theirs) {
			t.Error("the draws differ from those of GoMLX")
		}
	})
}
