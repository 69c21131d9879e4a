package convolution

import (
	. "github.com/gomlx/gomlx/core/graph"

	"github.com/geometric-complexity/toolkit/internal/gomlxcompat"
	"github.com/geometric-complexity/toolkit/internal/platform"
)

// Unfused returns x, images of shape [..., batch, spatial axes, channels], behind a barrier: XLA on
// a CPU with oneDNN then does not fuse the ops that compute x with those that use it. Its gradient
// is that of x. On other backends Unfused returns x itself.
//
// Two such fusions are slow. A transposition that is fused with its operand gathers single elements
// (a tenth of a ResNet18's exact-GC step). A convolution that is fused with a sum is not computed
// by oneDNN.
func Unfused(x *Node) *Node {
	if x.Rank() < 4 || !platform.ConvolvesByOneDNN(x.Graph().Backend(), x.DType()) {
		return x
	}
	return gomlxcompat.After(x)
}
