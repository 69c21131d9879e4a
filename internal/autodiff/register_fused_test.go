package autodiff

import (
	"testing"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/layers/activation"
	"github.com/gomlx/gomlx/ml/nn"

	"github.com/geometric-complexity/toolkit/internal/gctest"
)

func float64Shape(dims ...int) shapes.Shape { return shapes.Make(dtypes.Float64, dims...) }

// TestStockActivations checks all activations of GoMLX, which are fused ops on the Go backend.
func TestStockActivations(t *testing.T) {
	gctest.ForEachBackend(t, func(t *testing.T, b compute.Backend) {
		for _, act := range activation.TypeValues() {
			t.Run(act.String(), func(t *testing.T) {
				twice := func(in []*Node) *Node { return activation.Apply(act, MulScalar(in[0], 2)) }
				gctest.CheckDerivatives(t, b, twice, []int{7, 4})
				if b == gctest.GoBackend(t) { // Halves of 19 elements, no multiple of a SIMD register.
					gctest.CheckDerivatives(t, b, twice, []int{2, 38})
				}
			})
		}
	})
}

// TestStockDense checks GoMLX's dense layer with every activation, in both layouts, with and
// without bias.
func TestStockDense(t *testing.T) {
	for _, act := range activation.TypeValues() {
		t.Run(act.String(), func(t *testing.T) {
			gctest.CheckDerivatives(t, gctest.GoBackend(t), func(in []*Node) *Node {
				return nn.Dense(in[0], in[1], in[2], compute.DenseLayoutInputOutputs, act)
			}, []int{5, 3}, []int{3, 4}, []int{4})
		})
	}
	gctest.ForEachBackend(t, func(t *testing.T, b compute.Backend) {
		t.Run("outputs first, no bias", func(t *testing.T) {
			gctest.CheckDerivatives(t, b, func(in []*Node) *Node {
				return nn.Dense(in[0], in[1], nil, compute.DenseLayoutOutputsInput, activation.TypeTanh)
			}, []int{5, 3}, []int{4, 3})
		})
		t.Run("several axes", func(t *testing.T) {
			gctest.CheckDerivatives(t, b, func(in []*Node) *Node {
				return nn.Dense(in[0], in[1], in[2], compute.DenseLayoutInputOutputs, activation.TypeSigmoid)
			}, []int{2, 4, 3}, []int{3, 2, 2}, []int{2, 2})
		})
	})
	t.Run("fused with an activation that needs its input", func(t *testing.T) {
		gctest.CheckDerivatives(t, gctest.GoBackend(t), func(in []*Node) *Node {
			return BackendFusedDense(in[0], in[1], in[2], compute.DenseConfig{
				Activation: compute.ActivationConfig{Type: compute.ActivationGelu}})
		}, []int{5, 3}, []int{3, 4}, []int{4})
	})
}
