package autodiff

import (
	"math"
	"slices"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"

	"github.com/geometric-complexity/toolkit/internal/gomlxcompat"
)

// scatterExtremeVJP is the rule of ScatterMax and ScatterMin. The gradient of every element of the
// result goes to the source of its value: the operand, or one row of the updates. Among equal
// values the operand's comes first, then the updates' in their order. GoMLX's own rule gives the
// full gradient to each of them.
//
// This rule has to compare values, because no op returns the position. A barrier makes XLA compute
// the operand and the updates once, and the rule computes the extremum again from the same values.
func scatterExtremeVJP(node, v *Node) []*Node {
	g, indices := node.Graph(), node.Inputs()[1]
	values := gomlxcompat.Barrier(StopGradient(node.Inputs()[0]), StopGradient(node.Inputs()[2]))
	operand, updates := StopGradient(values[0]), StopGradient(values[1])
	extreme := StopGradient(node.CloneWithInputs(operand, indices, updates))

	// Number the rows of the updates. The source of an element of the result is the lowest number
	// among the rows with its value.
	rowDims := slices.Repeat([]int{1}, updates.Rank())
	copy(rowDims, indices.Shape().Dimensions[:indices.Rank()-1])
	rows := Iota(g, shapes.Make(dtypes.Int32, shapes.Make(dtypes.Int32, rowDims...).Size()), 0)
	numbers := BroadcastToDims(Reshape(rows, rowDims...), updates.Shape().Dimensions...)
	none := Scalar(g, dtypes.Int32, math.MaxInt32)
	isExtreme := Equal(updates, Gather(extreme, indices))
	first := ScatterMin(BroadcastToDims(none, operand.Shape().Dimensions...), indices,
		Where(isExtreme, numbers, none), false, false)

	const ofOperand = -1
	isOperand := Equal(operand, extreme)
	source := once(Where(isOperand, Scalar(g, dtypes.Int32, ofOperand), first))
	zero := ScalarZero(g, v.DType())
	dOperand := Where(Equal(source, Scalar(g, dtypes.Int32, ofOperand)), v, zero)
	dUpdates := Where(Equal(numbers, Gather(source, indices)), Gather(v, indices), zero)
	return []*Node{dOperand, nil, dUpdates}
}
