package autodiff

import (
	"slices"
	"testing"

	"github.com/gomlx/compute"
	. "github.com/gomlx/gomlx/core/graph"

	"github.com/geometric-complexity/toolkit/internal/gctest"
	"github.com/geometric-complexity/toolkit/internal/gomlxcompat"
)

// TestBatchNormOps checks the ops that GoMLX's batch normalization layer uses. Only XLA has them.
func TestBatchNormOps(t *testing.T) {
	gctest.ForEachBackend(t, func(t *testing.T, b compute.Backend) {
		if !b.Capabilities().Operations[compute.OpTypeBatchNormForTraining] {
			t.Skip("the backend has no batch normalization ops: see layers.BatchNorm")
		}
		t.Run("training", func(t *testing.T) {
			gctest.CheckDerivatives(t, b, func(in []*Node) *Node {
				y, mean, variance := InternalBatchNormForTraining(in[0], in[1], in[2], 1e-2, -1)
				statistics := ReduceAllSum(Mul(mean, Square(variance)))
				return Add(y, statistics)
			}, []int{5, 2, 3}, []int{3}, []int{3})
		})
		t.Run("training, features not last", func(t *testing.T) {
			gctest.CheckDerivatives(t, b, func(in []*Node) *Node {
				y, _, _ := InternalBatchNormForTraining(in[0], in[1], in[2], 1e-2, 1)
				return y
			}, []int{4, 3, 2}, []int{3}, []int{3})
		})
		t.Run("inference", func(t *testing.T) {
			gctest.CheckDerivatives(t, b, func(in []*Node) *Node {
				return InternalBatchNormForInference(in[0], in[1], in[2], in[3], AddScalar(Square(in[4]), 0.5), 1e-2, -1)
			}, []int{5, 2, 3}, []int{3}, []int{3}, []int{3}, []int{3})
		})
		t.Run("attributes", func(t *testing.T) {
			g := NewGraph(b, "attributes")
			_, _, _ = InternalBatchNormForTraining(Zeros(g, float64Shape(5, 4, 3)), Zeros(g, float64Shape(4)),
				Zeros(g, float64Shape(4)), 0.25, 1)
			nodes := g.Nodes()
			index := slices.IndexFunc(nodes, func(n *Node) bool { return n.Type() == NodeTypeBatchNormForTraining })
			got, _ := gomlxcompat.BatchNormOf(nodes[index])
			if want := (gomlxcompat.BatchNormAttributes{Epsilon: 0.25, FeatureAxis: 1}); got != want {
				t.Errorf("got %+v, want %+v", got, want)
			}
		})
	})
}
