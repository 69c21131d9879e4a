package onnxmodel

import (
	"cmp"
	"errors"
	"fmt"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"

	"github.com/geometric-complexity/toolkit/internal/vjp"
)

// AxisError is an error that the examples on another axis than the first may cause.
type AxisError struct {
	error
	unfollowed bool // The examples cannot be followed to the output.
}

func (e *AxisError) Unwrap() error { return e.error }

// checkMixing refuses a network that computes values from several examples, such as a sum over the
// batch: the Jacobian of an example then depends on the others. It refuses outputs in another order
// than the examples; an inner value, to take derivatives with respect to, that is not one of each
// example; operators through which examples cannot be followed, as the measurement would; and
// outputs without a derivative.
func (m *Model) checkMixing(out *graph.Node, inputs []*graph.Node) error {
	from := inputs[m.wrt]
	if m.node != "" {
		batch := from.Shape().Dimensions[0]
		from = out.Graph().GetNodeByAlias(graph.AliasScopeSeparator + nodeAlias)
		if from == nil || from.Rank() == 0 || from.Shape().Dimensions[0] != batch {
			return fmt.Errorf("value %s is not one of each of %d examples, [batch, ...]: "+
				"choose another one to take derivatives with respect to", m.node, batch)
		}
	}
	var coupling []*graph.Node
	depends := true
	err := attempt(func() error {
		pullback := vjp.New(graph.Reshape(out, out.Shape().Dimensions[0], -1), from)
		depends, coupling = pullback.Depends(), pullback.Coupling()
		return nil
	})
	if !depends && len(coupling) == 0 {
		return fmt.Errorf("output %s has no derivative with respect to %s, for example because it depends on its shape alone: "+
			"choose another output", m.output, cmp.Or(m.node, "input "+m.inputs[m.wrt]))
	}
	if order := (*vjp.OrderError)(nil); errors.As(err, &order) {
		return &AxisError{fmt.Errorf("output %s has shape %s, whose first axis does not number the examples in their order: "+
			"say which axis does", m.output, out.Shape()), false}
	}
	if lost := (*vjp.FollowError)(nil); errors.As(err, &lost) {
		return &AxisError{fmt.Errorf("output %s: the examples of a batch cannot be followed through %s of %s, because %s; "+
			"if the examples are not on the first axis, say on which", m.output, lost.Node.Type(),
			lost.Node.Inputs()[0].Shape(), lost.Why), true}
	}
	if err != nil || len(coupling) == 0 {
		return nil
	}
	return &AxisError{fmt.Errorf("output %s combines the examples of a batch, by %s of %s, which is not supported: "+
		"if the examples are not on the first axis, say on which", m.output, coupling[0].Type(),
		coupling[0].Inputs()[0].Shape()), false}
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
		mixing = m.checkMixing(fn(m.Store.RootScope(), nodes), nodes)
		return nil
	}) != nil { // A network for batches of one.
		return nil
	}
	if axis := (*AxisError)(nil); errors.As(mixing, &axis) && axis.unfollowed { // One example may be.
		return nil
	}
	return mixing
}
