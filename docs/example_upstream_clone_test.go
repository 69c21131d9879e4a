package docs

import (
	"testing"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/layers/attention"

	"github.com/geometric-complexity/toolkit/internal/gctest"
)

// attentionAndClone returns the largest difference between the outputs of an attention and its
// clone.
func attentionAndClone(backend compute.Backend) float64 {
	difference := MustExecOnce(backend, func(g *Graph) *Node {
		x := Sin(IotaFull(g, shapes.Make(dtypes.Float64, 1, 3, 1, 2)))
		y, _ := attention.Core(x, x, x, attention.LayoutBSHD, attention.CoreOptions{})
		clone := y.CloneWithInputs(y.Inputs()...)
		return ReduceAllMax(Abs(Sub(y, clone)))
	})
	return tensors.ToScalar[float64](difference)
}

// TestUpstreamClone runs the report's program on the backend that fuses attention. If it fails, the
// fault is mended upstream: delete the report, and see gcml.rebuild.
func TestUpstreamClone(t *testing.T) {
	if d := attentionAndClone(gctest.GoBackend(t)); d < 0.01 {
		t.Errorf("the clone differs by %g", d)
	}
}
