package gomlxcompat

import (
	_ "unsafe" // For go:linkname.

	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/support/exceptions"
)

// optimizationBarrier is GoMLX's own op, which is generated but not exported. A program that links
// against a GoMLX without it does not build.
//
//go:linkname optimizationBarrier github.com/gomlx/gomlx/core/graph.backendOptimizationBarrier
func optimizationBarrier(operands ...*graph.Node) []*graph.Node

// Barrier returns its operands, which XLA computes once, before anything that uses one of the
// results, and apart from it. It has no gradient.
func Barrier(operands ...*graph.Node) []*graph.Node {
	if len(operands) == 1 { // go-xla ignores a barrier with a single operand on a CPU.
		return optimizationBarrier(operands[0], operands[0])[:1]
	}
	return optimizationBarrier(operands...)
}

// After returns x, computed after the nodes done and apart from what uses it. It can be
// differentiated like x.
func After(x *graph.Node, done ...*graph.Node) *graph.Node {
	return WithGradientOf(x, func() *graph.Node {
		// A node of its own, not an output of another.
		return graph.Identity(Barrier(append([]*graph.Node{x}, done...)...)[0])
	})
}

// WithGradientOf returns the value of fast with the derivatives of node, which is not executed:
// what GoMLX does for its own fused ops. It panics if their shapes differ.
func WithGradientOf(node *graph.Node, fast func() *graph.Node) *graph.Node {
	value, _ := graph.InternalFusedOpCaller(fast, func() *graph.Node { return node }, true)
	if !value.Shape().Equal(node.Shape()) {
		exceptions.Panicf("gomlxcompat: the replacement of node %s is shaped %s, want %s", node, value.Shape(), node.Shape())
	}
	return value
}
