package gomlxcompat

import (
	_ "unsafe" // For go:linkname.

	"github.com/gomlx/gomlx/core/graph"
)

// OptimizationBarrier returns its operands, which XLA computes before anything that uses one of the results, and apart from
// it. go-xla ignores a barrier with a single operand on a CPU: give it twice.
//
// It is GoMLX's own op, which is generated but not exported. A program that links against a GoMLX without it does not build.
//
//go:linkname OptimizationBarrier github.com/gomlx/gomlx/core/graph.backendOptimizationBarrier
func OptimizationBarrier(operands ...*graph.Node) []*graph.Node
