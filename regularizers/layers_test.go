package regularizers_test

import (
	"testing"

	"github.com/gomlx/compute"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/ml/train/loss"

	"github.com/geometric-complexity/toolkit/internal/gctest"
	"github.com/geometric-complexity/toolkit/layers"
	"github.com/geometric-complexity/toolkit/regularizers"
)

// batchNormNet uses this module's layers: a strided convolution, and a batch norm in training mode,
// through whose statistics the parameters' gradient flows.
func batchNormNet(scope *model.Scope, x *graph.Node) *graph.Node {
	x = layers.Conv(scope.In("one"), x).Channels(2).KernelSize(3).PadSame().Done()
	x = graph.Tanh(layers.BatchNorm(scope.In("norm"), x).Done())
	x = layers.Conv(scope.In("two"), x).Channels(3).KernelSize(2).Strides(2).Done()
	return layers.GlobalMeanPool(x)
}

func TestFlatnessWithOwnLayers(t *testing.T) {
	gctest.ForEachBackend(t, func(t *testing.T, b compute.Backend) {
		store := seeded(t, map[string]any{regularizers.ParamFlatness: 0.2})
		p := newProbe(t, b, store, batchNormNet, regularizers.Flatness(loss.MeanSquaredError), true)
		x, y := gaussian(1, 3, 5, 4, 1), gaussian(2, 3, 3)
		p.call(t, x, y)
		moveBiases(t, store)
		got := p.call(t, x, y)
		want := gctest.CentralDifference(func(theta []float64) float64 {
			setParameters(t, store, theta)
			s := p.call(t, x, y)
			return s.main + s.penalty
		}, parameters(store), 1e-5)
		if got.penalty <= 0 {
			t.Errorf("penalty %g, want > 0", got.penalty)
		}
		gctest.AssertClose(t, got.gradient, want, 1e-7, 0, "gradient of loss + penalty")
	})
}
