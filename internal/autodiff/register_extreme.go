package autodiff

import (
	"slices"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/support/xslices"

	"example.com/geometric-complexity/internal/gomlxcompat"
)

// The gradient of a maximum goes to the element that is the maximum. GoMLX's rules find it by
// comparing every element with the maximum that the forward pass computed. XLA computes the
// elements again for that comparison, fused with other ops and so with another rounding: the
// largest element is then often not equal to the maximum and gets no gradient, or two elements get
// it.
//
// The rules here compare integers instead: the position of the extremum, found in one pass over the
// elements, always names exactly one of them. A position is computed once and kept (see once), so
// that everything that uses it uses the same one.
//
// At a tie a maximum has no derivative, and the choice of one element is a subgradient. All rules
// choose the first in the order of the axes. Which element that is, is constant almost everywhere:
// the second derivative is that of a fixed selection.

// registerExtremes replaces GoMLX's rules of maxima and minima; those of pooling and of scattering
// are in files of their own. That of the elementwise Max and Min stays: it compares the operands
// with each other, not with a result that was computed elsewhere. Of equal operands Max gives the
// gradient to the first and Min to the second.
func registerExtremes() {
	registerOne(NodeTypeReduceMax, reduceExtremeVJP)
	registerOne(NodeTypeReduceMin, reduceExtremeVJP)
	registerOne(NodeTypeScatterMax, scatterExtremeVJP)
	registerOne(NodeTypeScatterMin, scatterExtremeVJP)
}

// once returns the values of x computed once, whatever else XLA fuses with what uses them. It has
// no gradient.
func once(x *Node) *Node { return StopGradient(gomlxcompat.Barrier(x)[0]) }

// reduceExtremeVJP is the rule of ReduceMax and ReduceMin over any axes.
func reduceExtremeVJP(node, v *Node) []*Node {
	x := node.Inputs()[0]
	axes, _ := gomlxcompat.ReduceOf(node)
	if len(axes) == 0 { // x is a scalar.
		return []*Node{v}
	}
	if x.Shape().IsDynamic() { // Nothing here runs graphs of unknown sizes, and XLA does not take them.
		return replaced[node.Type()](node, []*Node{v}, shapes.Shape{})
	}
	// [kept axes..., reduced axes as one]; the first of equal elements is the first in the order of
	// the axes.
	axes = slices.Clone(axes)
	slices.Sort(axes)
	kept := slices.DeleteFunc(xslices.Iota(0, x.Rank()), func(axis int) bool { return slices.Contains(axes, axis) })
	rows := StopGradient(x)
	position := 0 // The axis of rows along which the extremum is sought.
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
	// The number of every element among those that are reduced together, to be compared with the
	// one selected.
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
