package autodiff

import (
	. "github.com/gomlx/gomlx/core/graph"

	"example.com/geometric-complexity/internal/gomlxcompat"
)

// Apart returns x, images [..., batch, spatial axes, channels], which XLA on a CPU with oneDNN then computes as they are,
// where it would make one loop, or one call of YNNPACK, of them and what is done with them. It can be differentiated like x.
//
// Two such fusions are slow: a transposition with what it transposes gathers single elements (a tenth of a ResNet18's
// exact-GC step), and a sum takes the convolutions before it away from oneDNN.
func Apart(x *Node) *Node {
	if x.Rank() < 4 || !hasOneDNN(x) {
		return x
	}
	return withGradientOf(x, func() *Node { return Identity(barrier(x)[0]) }) // A node of its own, not an output of another.
}

// After returns x, which is computed after the nodes done. It can be differentiated like x.
func After(x *Node, done ...*Node) *Node {
	return withGradientOf(x, func() *Node { return Identity(barrier(append([]*Node{x}, done...)...)[0]) })
}

// barrier returns the operands, computed once and apart from what is done with them.
func barrier(operands ...*Node) []*Node {
	if len(operands) == 1 { // go-xla ignores a barrier with a single operand.
		return gomlxcompat.OptimizationBarrier(operands[0], operands[0])[:1]
	}
	return gomlxcompat.OptimizationBarrier(operands...)
}
