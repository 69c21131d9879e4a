package autodiff

import (
	"testing"

	"github.com/gomlx/compute"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/geometric-complexity/toolkit/internal/gctest"
)

// TestReduceProduct checks the first and second derivatives over all sets of axes.
func TestReduceProduct(t *testing.T) {
	gctest.ForEachBackend(t, func(t *testing.T, b compute.Backend) {
		gctest.CheckDerivatives(t, b, func(in []*Node) *Node {
			results := []*Node{Reshape(ReduceMultiply(in[0]), -1), Reshape(ReduceMultiply(in[0], 2, 0), -1)}
			for _, axes := range axisSubsets {
				results = append(results, Reshape(ReduceMultiply(in[0], axes...), -1))
			}
			return Concatenate(results, 0)
		}, []int{3, 4, 2})
	})
}

// TestReduceProductOfZeros checks that the gradient of x·y·z is (y·z, x·z, x·y) where one or two of
// them are 0.
func TestReduceProductOfZeros(t *testing.T) {
	gctest.ForEachBackend(t, func(t *testing.T, b compute.Backend) {
		got := MustExecOnce(b, func(x *Node) *Node {
			return Gradient(ReduceAllSum(ReduceMultiply(x, 1)), x)[0]
		}, [][]float64{{2, 0, 3}, {0, 5, 0}, {2, 3, 4}})
		want := []float64{0, 6, 0, 0, 0, 0, 12, 8, 6}
		gctest.AssertClose(t, tensors.MustCopyFlatData[float64](got), want, 0, 1e-12, "gradient")
	})
}
