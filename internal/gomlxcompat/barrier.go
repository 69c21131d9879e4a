package gomlxcompat

import (
	_ "unsafe" // For go:linkname.

	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/support/exceptions"
)

// optimizationBarrier is GoMLX's function for the op, which it does not export. A program does not
// link if its GoMLX lacks the function.
//
//go:linkname optimizationBarrier github.com/gomlx/gomlx/core/graph.backendOptimizationBarrier
func optimizationBarrier(operands ...*graph.Node) []*graph.Node

// Barrier returns its operands behind an optimization barrier: XLA computes all of them, once,
// before any op that uses a result, and does not fuse them with such an op. It has no gradient.
func Barrier(operands ...*graph.Node) []*graph.Node {
	if len(operands) == 1 { // go-xla ignores a barrier with a single operand on a CPU.
		return optimizationBarrier(operands[0], operands[0])[:1]
	}
	return optimizationBarrier(operands...)
}

// After returns x behind a barrier that waits for the nodes done. It has the derivatives of x.
func After(x *graph.Node, done ...*graph.Node) *graph.Node {
	return WithGradientOf(x, func() *graph.Node {
		// The result has to be a node, not one output of a node with several.
		return graph.Identity(Barrier(append([]*graph.Node{x}, done...)...)[0])
	})
}

// WithGradientOf returns the value of fast with the derivatives of node, as GoMLX does for its own
// fused ops. Node itself is not executed. It panics if the shapes differ.
func WithGradientOf(node *graph.Node, fast func() *graph.Node) *graph.Node {
	value, _ := graph.InternalFusedOpCaller(fast, func() *graph.Node { return node }, true)
	if !value.Shape().Equal(node.Shape()) {
		exceptions.Panicf("gomlxcompat: the replacement of node %s is shaped %s, want %s", node, value.Shape(), node.Shape())
	}
	return value
}
