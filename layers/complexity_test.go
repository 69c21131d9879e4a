package layers

import (
	"testing"

	"github.com/gomlx/compute"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"

	"example.com/geometric-complexity/gcml"
	"example.com/geometric-complexity/internal/gctest"
)

// TestResNet18PerExample compares gcml's geometric complexity of a ResNet18 with batch norm in evaluation mode,
// example by example, with the slow oracle: each example alone, one gradient per output.
func TestResNet18PerExample(t *testing.T) {
	const batch = 3
	gctest.ForEachBackend(t, func(t *testing.T, b compute.Backend) {
		network := func(scope *model.Scope, x *Node) *Node {
			return ResNet18(scope, x).Outputs(2).Width(2).Done()
		}
		m := newCheckedModel(t, b, false, []int{batch, 8, 8, 2}, func(scope *model.Scope, x *Node) []*Node {
			return []*Node{ReduceAllSum(network(scope, x))} // Creates the variables and gives them values.
		})
		all := model.MustNewExec(b, m.store, func(scope *model.Scope, x *Node) *Node {
			return gcml.SquaredJacobianNorm(network(scope.ResetVisited(), x), x)
		})
		got := gctest.Flat(all.MustCall(m.x)[0])
		one := model.MustNewExec(b, m.store, func(scope *model.Scope, x *Node) *Node {
			return plainComplexity(network(scope.ResetVisited(), x), x)
		})
		values := gctest.Flat(m.x)
		size := len(values) / batch
		var want []float64
		for i := range batch {
			example := tensors.FromFlatDataAndDimensions(values[i*size:(i+1)*size], 1, 8, 8, 2)
			want = append(want, gctest.Flat(one.MustCall(example)[0])...)
		}
		gctest.AssertClose(t, got, want, 1e-10, 0, "squared Jacobian norm per example")
	})
}
