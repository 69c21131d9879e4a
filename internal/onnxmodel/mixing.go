package onnxmodel

import (
	"fmt"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"

	"github.com/geometric-complexity/toolkit/internal/vjp"
)

// checkMixing refuses a network that computes values from several examples, such as a sum over the
// batch: the Jacobian of an example then depends on the others. If a network cannot be followed,
// the measurement refuses it and says why.
func (m *Model) checkMixing(out, input *graph.Node) error {
	var coupling []*graph.Node
	if attempt(func() error {
		flat := graph.Reshape(out, out.Shape().Dimensions[0], -1)
		coupling = vjp.New(flat, input).Coupling()
		return nil
	}) != nil || len(coupling) == 0 {
		return nil
	}
	return fmt.Errorf("output %s combines the examples of a batch, by %s of %s, which is not supported: "+
		"if the examples are not on the first axis, say on which", m.output, coupling[0].Type(),
		coupling[0].Inputs()[0].Shape())
}

// checkMixingOfTwo does this with two examples: a single one cannot be combined with others.
func (m *Model) checkMixingOfTwo(backend compute.Backend, fn func(*model.Scope, []*graph.Node) *graph.Node,
	inputs []shapes.Shape) (mixing error) {
	g := graph.NewGraph(backend, "onnxmodel.checkMixingOfTwo")
	defer g.Finalize()
	if attempt(func() error {
		var nodes []*graph.Node
		for i, shape := range inputs {
			shape = shape.Clone()
			shape.Dimensions[0] = 2
			nodes = append(nodes, graph.Parameter(g, fmt.Sprintf("input%d", i), shape))
		}
		mixing = m.checkMixing(fn(m.Store.RootScope(), nodes), nodes[m.wrt])
		return nil
	}) != nil { // A network for batches of one.
		return nil
	}
	return mixing
}
