package layers

import (
	"testing"

	"github.com/gomlx/compute"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"

	"github.com/geometric-complexity/toolkit/gcml"
	"github.com/geometric-complexity/toolkit/internal/gctest"
)

// TestPerExampleComplexity compares gcml's geometric complexity of the networks with batch norm in
// evaluation mode with a slow oracle, which takes each example alone and one gradient per output.
func TestPerExampleComplexity(t *testing.T) {
	t.Run("ResNet18", func(t *testing.T) {
		checkPerExample(t, 8, func(scope *model.Scope, x *Node) *Node {
			return ResNet18(scope, x).Outputs(2).Width(2).Done()
		})
	})
	t.Run("VGG13", func(t *testing.T) {
		checkPerExample(t, 32, func(scope *model.Scope, x *Node) *Node { return VGG13(scope, x).Outputs(2).Width(1).Done() })
	})
}

func checkPerExample(t *testing.T, side int, network modelFn) {
	const batch = 3
	gctest.ForEachBackend(t, func(t *testing.T, b compute.Backend) {
		m := newCheckedModel(t, b, false, []int{batch, side, side, 2}, func(scope *model.Scope, x *Node) []*Node {
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
			example := tensors.FromFlatDataAndDimensions(values[i*size:(i+1)*size], 1, side, side, 2)
			want = append(want, gctest.Flat(one.MustCall(example)[0])...)
		}
		gctest.AssertClose(t, got, want, 1e-10, 0, "squared Jacobian norm per example")
	})
}
