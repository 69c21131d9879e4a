package vjp

import (
	"slices"

	"github.com/gomlx/compute"
	. "github.com/gomlx/gomlx/core/graph"

	"github.com/geometric-complexity/toolkit/internal/gomlxcompat"
)

// piecewiseLinear are the nodes that are linear or piecewise linear in their operands.
var piecewiseLinear = map[NodeType]bool{
	NodeTypeReshape: true, NodeTypeTranspose: true, NodeTypeBroadcastInDim: true, NodeTypeConcatenate: true,
	NodeTypeReverse: true, NodeTypeSlice: true, NodeTypePad: true, NodeTypeReduceSum: true, NodeTypeReduceWindow: true,
	NodeTypeReduceMax: true, NodeTypeReduceMin: true, NodeTypeMax: true, NodeTypeMin: true, NodeTypeAbs: true,
	NodeTypeWhere: true, NodeTypeSplitNode: true,
}

// linearInEach are the nodes that are linear in one operand if the others are constant (Div: in its
// first operand only).
var linearInEach = map[NodeType]bool{
	NodeTypeMul: true, NodeTypeDiv: true, NodeTypeDotGeneral: true, NodeTypeFusedDense: true, NodeTypeConvGeneral: true,
}

// IsPiecewiseLinear reports whether all local derivatives between inputs and outputs are known to
// be piecewise constant as functions of the earlier nodes. The gradient of Pull's result with
// respect to the parameters then does not go through the forward pass.
func (s *Pullback) IsPiecewiseLinear() bool {
	moves := s.movedByInputs()
	for _, n := range s.nodes {
		switch {
		case n == s.inputs || alternateOf(n) != nil:
		case n.CustomGradient() != nil:
			return false
		case passing[n.Type()] || piecewiseLinear[n.Type()] || isFusedRelu(n):
		case linearInEach[n.Type()]:
			moving := slices.DeleteFunc(slices.Clone(n.Inputs()), func(in *Node) bool { return !moves[in] })
			if len(moving) != 1 || n.Type() == NodeTypeDiv && moving[0] != n.Inputs()[0] {
				return false
			}
			if _, _, isPlain := plainDense(n); n.Type() == NodeTypeFusedDense && !isPlain {
				return false
			}
		default:
			return false
		}
	}
	return true
}

func isFusedRelu(n *Node) bool {
	activation, ok := gomlxcompat.FusedActivationOf(n)
	return ok && activation == compute.ActivationRelu
}

// movedByInputs returns the nodes of the graph that change with the inputs, on the path or not.
func (s *Pullback) movedByInputs() map[*Node]bool {
	moved := map[*Node]bool{s.inputs: true}
	for _, n := range s.inputs.Graph().Nodes()[s.inputs.Id():] {
		if n != s.inputs && slices.ContainsFunc(n.Inputs(), func(in *Node) bool { return moved[in] }) {
			moved[n] = true
		}
	}
	return moved
}
