package autodiff

import (
	"testing"

	"github.com/gomlx/compute"
	. "github.com/gomlx/gomlx/core/graph"

	"github.com/geometric-complexity/toolkit/internal/gctest"
)

// TestIndexing checks forms of gathers and of sums by index that differ in their axes. GoMLX's own
// rules cover only the first two.
func TestIndexing(t *testing.T) {
	gctest.ForEachBackend(t, func(t *testing.T, b compute.Backend) {
		for _, c := range []struct {
			name  string
			build func(x *Node) *Node
		}{
			{"rows", func(x *Node) *Node { return Gather(x, Const(x.Graph(), [][]int32{{2}, {0}, {2}})) }},
			{"sums of rows", func(x *Node) *Node {
				return ScatterSum(Sin(x), Const(x.Graph(), [][]int32{{1}, {1}, {0}}), x, false, false)
			}},
			{"slices", func(x *Node) *Node {
				return GatherSlices(x, []int{1}, Const(x.Graph(), [][]int32{{0}, {1}}), []int{2}, false)
			}},
			{"slices of whole axes", func(x *Node) *Node {
				return GatherSlices(x, []int{0, 2}, Const(x.Graph(), [][]int32{{0, 0}, {0, 1}}), []int{3, 1}, false)
			}},
			{"one slice", func(x *Node) *Node {
				return GatherSlices(x, []int{1, 2}, Const(x.Graph(), []int32{1, 0}), []int{3, 2}, true)
			}},
			{"axes of the slices in front", func(x *Node) *Node {
				return BackendGather(x, Const(x.Graph(), [][]int32{{0, 1, 1}}), 0, []int{0, 2}, []int{1}, []int{1},
					[]int{3, 1, 2}, false)
			}},
			{"interpolation", func(x *Node) *Node { return Interpolate(x, -1, 5, -1).Bilinear().Done() }},
		} {
			t.Run(c.name, func(t *testing.T) {
				gctest.CheckDerivatives(t, b, func(in []*Node) *Node { return Sin(c.build(in[0])) }, []int{3, 4, 2})
			})
		}
	})
}
