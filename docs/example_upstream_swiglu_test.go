package docs

import (
	"math"
	"testing"

	"github.com/gomlx/compute"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/layers/activation"

	"github.com/geometric-complexity/toolkit/backend"
	"github.com/geometric-complexity/toolkit/internal/gctest"
)

// gradientOfSwiGLU returns the gradient of SwiGLU of 9 values after 9 gates, all of them 1, with
// respect to the first value.
func gradientOfSwiGLU(backend compute.Backend) float64 {
	gradient := MustExecOnce(backend, func(x *Node) *Node {
		return Gradient(ReduceAllSum(activation.SwiGLU(x)), x)[0]
	}, [][]float64{{1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1}})
	return tensors.MustCopyFlatData[float64](gradient)[9]
}

// TestUpstreamSwiGLU runs the report's program on the backend that has the kernel. If it fails, the
// fault is mended upstream: delete the report, and let package autodiff use the fused gradient
// again.
func TestUpstreamSwiGLU(t *testing.T) {
	if !backend.SIMD {
		t.Skip("the kernel is of GOEXPERIMENT=simd")
	}
	if right := 1 / (1 + math.Exp(-1)); math.Abs(gradientOfSwiGLU(gctest.GoBackend(t))-right) < 1e-6 {
		t.Errorf("the Go backend gives %g", right)
	}
}
