package gcml_test

import (
	"testing"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"

	"example.com/geometric-complexity/internal/gctest"
)

func TestHalf2(t *testing.T) {
	gctest.ForEachBackend(t, func(t *testing.T, b compute.Backend) {
		show := func(name string, f func(g *Graph, x *Node) *Node) {
			out, err := model.CallOnce(b, newStore(t, 1), func(scope *model.Scope, x *Node) *Node {
				return ConvertDType(f(x.Graph(), ConvertDType(x, dtypes.BFloat16)), dtypes.Float64)
			}, [][]float32{{1, 1, 1, 1}})
			t.Log(name, out, err)
		}
		show("square", func(g *Graph, x *Node) *Node { return Square(MulScalar(x, 1.1)) })
		show("square of const", func(g *Graph, x *Node) *Node { return Square(MulScalar(Ones(g, shapes.Make(dtypes.BFloat16, 1, 4)), 1.1)) })
		show("sum of square", func(g *Graph, x *Node) *Node { return ReduceSum(Square(MulScalar(x, 1.1)), 1) })
		show("sum of square wide", func(g *Graph, x *Node) *Node {
			return ReduceSum(Square(MulScalar(BroadcastToDims(Reshape(Slice(x, AxisElem(0), AxisElem(0)), 1, 1), 3, 4096), 1.1)), 1)
		})
		show("sum wide", func(g *Graph, x *Node) *Node {
			return ReduceSum((MulScalar(BroadcastToDims(Reshape(Slice(x, AxisElem(0), AxisElem(0)), 1, 1), 3, 4096), 1.1)), 1)
		})
		show("sum wide const", func(g *Graph, x *Node) *Node {
			return ReduceSum(Square(MulScalar(Ones(g, shapes.Make(dtypes.BFloat16, 3, 4096)), 1.1)), 1)
		})
	})
}
