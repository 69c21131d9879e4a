package autodiff

import (
	"math"
	"slices"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"

	"example.com/geometric-complexity/internal/gomlxcompat"
)

// scatterExtremeVJP is the rule of ScatterMax and ScatterMin. The gradient of every element of the
// result goes to where its value came from: the operand, or one row of the updates. Of equal values
// the operand's comes first, then those of the updates in their order; GoMLX's own rule counts all
// of them in full.
//
// Values are compared here, as there is no op that tells a position: the operand and the updates
// are computed once, and the extremum again from these.
func scatterExtremeVJP(node, v *Node) []*Node {
	g, indices := node.Graph(), node.Inputs()[1]
	values := gomlxcompat.Barrier(StopGradient(node.Inputs()[0]), StopGradient(node.Inputs()[2]))
	operand, updates := StopGradient(values[0]), StopGradient(values[1])
	extreme := StopGradient(node.CloneWithInputs(operand, indices, updates))

	// Rows of the updates are numbered; an element of the result has the lowest number of those
	// that hold its value.
	rowDims := slices.Repeat([]int{1}, updates.Rank())
	copy(rowDims, indices.Shape().Dimensions[:indices.Rank()-1])
	rows := Iota(g, shapes.Make(dtypes.Int32, shapes.Make(dtypes.Int32, rowDims...).Size()), 0)
	numbers := BroadcastToDims(Reshape(rows, rowDims...), updates.Shape().Dimensions...)
	none := Scalar(g, dtypes.Int32, math.MaxInt32)
	holds := Equal(updates, Gather(extreme, indices))
	first := ScatterMin(BroadcastToDims(none, operand.Shape().Dimensions...), indices,
		Where(holds, numbers, none), false, false)

	const ofOperand = -1
	isOperand := Equal(operand, extreme)
	source := once(Where(isOperand, Scalar(g, dtypes.Int32, ofOperand), first))
	zero := ScalarZero(g, v.DType())
	dOperand := Where(Equal(source, Scalar(g, dtypes.Int32, ofOperand)), v, zero)
	dUpdates := Where(Equal(numbers, Gather(source, indices)), Gather(v, indices), zero)
	return []*Node{dOperand, nil, dUpdates}
}
