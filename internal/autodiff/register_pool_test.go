package autodiff

import (
	"fmt"
	"testing"

	"github.com/gomlx/compute"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/geometric-complexity/toolkit/internal/gctest"
)

// TestStockPooling checks GoMLX's pooling with adjacent and overlapping windows. The values are
// normal, so that a central difference is too small to change which of them is the largest.
func TestStockPooling(t *testing.T) {
	pools := map[string]func(*Node) *PoolBuilder{"max": MaxPool, "min": MinPool, "mean": MeanPool, "sum": SumPool}
	gctest.ForEachBackend(t, func(t *testing.T, b compute.Backend) {
		for name, pool := range pools {
			for _, test := range []struct {
				window, stride int
				padding        [2]int
			}{{2, 2, [2]int{}}, {3, 2, [2]int{1, 1}}, {3, 1, [2]int{0, 1}}, {2, 3, [2]int{}}} {
				t.Run(fmt.Sprintf("%s window %d stride %d padding %d", name, test.window, test.stride, test.padding),
					func(t *testing.T) {
						gctest.CheckDerivatives(t, b, func(inputs []*Node) *Node {
							pooled := pool(inputs[0]).Window(test.window).Strides(test.stride).
								PaddingPerDim([][2]int{test.padding, test.padding}).Done()
							return Square(pooled) // Pooling alone has no second derivative.
						}, []int{2, 7, 6, 2})
					})
			}
		}
	})
}

// TestPoolingTies checks that the first of equal elements gets the gradient, as with GoMLX's own
// rule.
func TestPoolingTies(t *testing.T) {
	Register()
	gctest.ForEachBackend(t, func(t *testing.T, b compute.Backend) {
		x := tensors.FromFlatDataAndDimensions([]float64{1, 1, 0, 1, 2, 0, 0, 2, 2, 2, 2, 2}, 1, 2, 6, 1)
		got := MustExecOnce(b, func(x *Node) *Node {
			pooled := MaxPool(x).Window(2).Done() // [1, 1, 3, 1]
			return Gradient(ReduceAllSum(Mul(pooled, AddScalar(IotaFull(x.Graph(), pooled.Shape()), 1))), x)[0]
		}, x)
		gctest.AssertClose(t, gctest.Flat(got), []float64{0, 0, 0, 0, 3, 0, 0, 1, 2, 0, 0, 0}, 0, 0, "gradient")
	})
}
