package convolution

import (
	"testing"

	"github.com/gomlx/compute"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/geometric-complexity/toolkit/internal/gctest"
	"github.com/geometric-complexity/toolkit/internal/platform"
)

// TestUnfused checks that images, also those of several cotangents, are behind a barrier exactly if
// oneDNN computes convolutions. It checks the value and both derivatives of sum(x³) with a barrier
// at every step.
func TestUnfused(t *testing.T) {
	gctest.ForEachBackend(t, func(t *testing.T, b compute.Backend) {
		exec := MustNewExec(b, func(x *Node) []*Node {
			for _, images := range []*Node{x, InsertAxes(x, 0)} {
				if unfused := Unfused(images) != images; unfused != platform.ConvolvesByOneDNN(b, x.DType()) {
					t.Errorf("images %s are behind a barrier: %v, want the opposite", images.Shape(), unfused)
				}
			}
			y := ReduceAllSum(Unfused(Mul(Unfused(x), Unfused(Mul(x, x)))))
			dy := Gradient(y, x)[0]
			return []*Node{y, dy, Gradient(ReduceAllSum(Unfused(dy)), x)[0]}
		})
		got := exec.MustCall(tensors.FromFlatDataAndDimensions([]float32{1, 2, 3, 4}, 1, 1, 1, 4))
		for i, want := range [][]float32{{100}, {3, 12, 27, 48}, {6, 12, 18, 24}} {
			for j, v := range tensors.MustCopyFlatData[float32](got[i]) {
				if v != want[j] {
					t.Errorf("derivative %d is %v, want %v", i, tensors.MustCopyFlatData[float32](got[i]), want)
					break
				}
			}
		}
	})
}
