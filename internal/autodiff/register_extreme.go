package autodiff

import (
	"slices"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/support/xslices"

	"github.com/geometric-complexity/toolkit/internal/gomlxcompat"
)

// The gradient of a maximum goes to the element that is the maximum. GoMLX's rules find it by
// comparing every element with the maximum that the forward pass computed. XLA computes the
// elements again for this comparison, fused with other ops and therefore with another rounding. The
// largest element then often differs from the maximum and gets no gradient, or two elements get
// one.
//
// The rules here compare integers instead. One pass over the elements finds the position of the
// extremum, which is exactly one element. A barrier (see once) keeps XLA from computing the
// position again, so that all its users see the same one.
//
// At a tie a maximum has no derivative, and choosing one element gives a subgradient. All rules
// choose the first element in the order of the axes. The chosen position is constant almost
// everywhere, so that the second derivative treats the selection as fixed.

// registerExtremes replaces GoMLX's rules of maxima and minima, except pooling, which
// registerPooling replaces. The rule of the elementwise Max and Min stays, because it compares the
// operands with each other and not with a result computed elsewhere. For equal operands Max gives
// the gradient to the first and Min to the second.
func registerExtremes() {
	registerOne(NodeTypeReduceMax, reduceExtremeVJP)
	registerOne(NodeTypeReduceMin, reduceExtremeVJP)
	registerOne(NodeTypeScatterMax, scatterExtremeVJP)
	registerOne(NodeTypeScatterMin, scatterExtremeVJP)
}

// once returns x behind a barrier, so that XLA computes its values only once instead of fusing them
// into every op that uses them. It has no gradient.
func once(x *Node) *Node { return StopGradient(gomlxcompat.Barrier(x)[0]) }

// reduceExtremeVJP is the rule of ReduceMax and ReduceMin over any axes.
func reduceExtremeVJP(node, v *Node) []*Node {
	x := node.Inputs()[0]
	axes, _ := gomlxcompat.ReduceOf(node)
	if len(axes) == 0 { // x is a scalar.
		return []*Node{v}
	}
	if x.Shape().IsDynamic() { // Unknown sizes: XLA does not support them, and so this rule need not.
		return replaced[node.Type()](node, []*Node{v}, shapes.Shape{})
	}
	// [kept axes..., reduced axes merged]. Sorted axes make the first of equal elements the first
	// in the order of the axes.
	axes = slices.Clone(axes)
	slices.Sort(axes)
	kept := slices.DeleteFunc(xslices.Iota(0, x.Rank()), func(axis int) bool { return slices.Contains(axes, axis) })
	rows := StopGradient(x)
	position := 0 // The axis of rows to search for the extremum.
	if len(axes) == 1 {
		position = axes[0]
	} else {
		position = len(kept)
		rows = Reshape(TransposeAllAxes(rows, append(slices.Clone(kept), axes...)...),
			append(dimsOf(x, kept), -1)...)
	}
	find := ArgMax
	if node.Type() == NodeTypeReduceMin {
		find = ArgMin
	}
	selected := once(find(rows, position, dtypes.Int32))
	// Number the elements that are reduced together, and compare the numbers with the selected one.
	keptDims, reducedDims := slices.Clone(x.Shape().Dimensions), slices.Repeat([]int{1}, x.Rank())
	for _, axis := range axes {
		keptDims[axis], reducedDims[axis] = 1, x.Shape().Dim(axis)
	}
	count := shapes.Make(dtypes.Int32, reducedDims...).Size()
	numbers := Reshape(Iota(x.Graph(), shapes.Make(dtypes.Int32, count), 0), reducedDims...)
	isSelected := Equal(numbers, Reshape(selected, keptDims...))
	spread := BroadcastToDims(Reshape(v, keptDims...), x.Shape().Dimensions...)
	return []*Node{Where(isSelected, spread, ZerosLike(spread))}
}

func dimsOf(x *Node, axes []int) []int {
	dims := make([]int, len(axes))
	for i, axis := range axes {
		dims[i] = x.Shape().Dim(axis)
	}
	return dims
}
