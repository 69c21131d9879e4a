package gomlxcompat

import (
	"fmt"

	"github.com/gomlx/gomlx/core/graph"
)

// LoopState returns the parameters of a closure of graph.While, one for each value of the loop's
// initial state. Their names are none that the parameters of a graph have: go-xla does not compile
// a closure that shares one with its graph (v0.4.13).
func LoopState(g *graph.Graph, initial []*graph.Node) []*graph.Node {
	parameters := make([]*graph.Node, len(initial))
	for i, value := range initial {
		parameters[i] = graph.Parameter(g, fmt.Sprintf("state_of_a_gcml_loop_%d", i), value.Shape())
	}
	return parameters
}
