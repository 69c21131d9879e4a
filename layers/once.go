package layers

import (
	. "github.com/gomlx/gomlx/core/graph"

	"github.com/geometric-complexity/toolkit/internal/gomlxcompat"
	"github.com/geometric-complexity/toolkit/internal/platform"
)

// computedOnce returns x, which XLA on a CPU then computes once, and keeps in memory for all that
// use it. By itself XLA computes sums and products again wherever they are used, and reads all that
// they need: for a residual block that is what every block before it in the stage adds.
func computedOnce(x *Node) *Node {
	if platform.Of(x.Graph().Backend()) != platform.XLACPU {
		return x
	}
	return gomlxcompat.After(x)
}
