package convolution

import (
	. "github.com/gomlx/gomlx/core/graph"

	"github.com/geometric-complexity/toolkit/internal/gomlxcompat"
	"github.com/geometric-complexity/toolkit/internal/platform"
)

// Apart returns x, images [..., batch, spatial axes, channels], which XLA on a CPU with oneDNN then
// computes as they are, where it would make one loop, or one call of YNNPACK, of them and what is
// done with them. It can be differentiated like x.
//
// Two such fusions are slow: a transposition with what it transposes gathers single elements (a
// tenth of a ResNet18's exact-GC step), and a sum takes the convolutions before it away from
// oneDNN.
func Apart(x *Node) *Node {
	if x.Rank() < 4 || !platform.ConvolvesByOneDNN(x.Graph().Backend(), x.DType()) {
		return x
	}
	return gomlxcompat.After(x)
}
