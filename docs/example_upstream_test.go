package docs

import (
	"maps"
	"math"
	"testing"

	"github.com/gomlx/compute"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/geometric-complexity/toolkit/internal/gctest"
)

// gradientsOfMaxima takes the largest of 4 numbers 48 times. It returns how many of the maxima pass
// on how much of their gradient, which is 1, to the 4.
func gradientsOfMaxima(backend compute.Backend) map[float32]int {
	values := make([]float32, 8*4*6)
	for i := range values {
		values[i] = float32(math.Sin(12.9898 * float64(i+1)))
	}
	passedOn := MustExecOnce(backend, func(x *Node) *Node {
		centered := Sub(x, ReduceAndKeep(x, ReduceMean, -1))
		y := Div(centered, Sqrt(ReduceAndKeep(Square(centered), ReduceMean, -1)))
		maxima := ReduceMax(y, 1) // [8, 6]
		gradient := Gradient(ReduceAllSum(maxima), y)[0]
		return ReduceSum(gradient, 1)
	}, tensors.FromFlatDataAndDimensions(values, 8, 4, 6))
	count := map[float32]int{}
	for _, sum := range tensors.MustCopyFlatData[float32](passedOn) {
		count[sum]++
	}
	return count
}

// TestUpstreamMaxima runs the report's program with GoMLX's own rules, which are in force here. If
// it fails, the fault is mended upstream: delete the report, and see whether package autodiff still
// needs its rules.
func TestUpstreamMaxima(t *testing.T) {
	gctest.ForEachBackend(t, func(t *testing.T, b compute.Backend) {
		got, right := gradientsOfMaxima(b), map[float32]int{1: 48}
		if isRight := maps.Equal(got, right); isRight != (b.Name() == "Go Backend") {
			t.Errorf("%s gives %v", b.Name(), got)
		}
	})
}
