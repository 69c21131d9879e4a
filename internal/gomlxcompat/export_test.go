package gomlxcompat

import "github.com/gomlx/gomlx/core/graph"

// IntParameter reads a parameter of a node by its name.
func IntParameter(n *graph.Node, name string) int {
	p, _ := parametersOf(n, n.Type())
	return p.int(name)
}

// IntsParameter reads a parameter of a node by its name.
func IntsParameter(n *graph.Node, name string) []int {
	p, _ := parametersOf(n, n.Type())
	return p.ints(name)
}
