package autodiff

import (
	"slices"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/support/xslices"

	"github.com/geometric-complexity/toolkit/internal/gomlxcompat"
)

// registerProducts adds the rules of products over axes and of remainders, which GoMLX lacks.
func registerProducts() {
	registerOne(NodeTypeReduceProduct, reduceProductVJP)
	// x - y·trunc(x/y), whose whole number is constant almost everywhere.
	registerOne(NodeTypeRem, func(node, v *Node) []*Node {
		x, y := node.Inputs()[0], node.Inputs()[1]
		whole := StopGradient(Round(Div(Sub(x, node), y)))
		return []*Node{sumTo(x, v), sumTo(y, Neg(Mul(v, whole)))}
	})
}

// sumTo sums a gradient over what the op repeats of x: all of a scalar, and axes of size 1.
func sumTo(x, v *Node) *Node {
	if x.IsScalar() && !v.IsScalar() {
		return ReduceAllSum(v)
	}
	for axis, size := range x.Shape().Dimensions {
		if size == 1 && v.Shape().Dim(axis) != 1 {
			v = ReduceAndKeep(v, ReduceSum, axis)
		}
	}
	return v
}

// reduceProductVJP multiplies the gradient by the product of all other elements. It takes no
// quotients, so that it holds where elements are 0, and consists of products, so that it can be
// differentiated again.
func reduceProductVJP(node, v *Node) []*Node {
	x := node.Inputs()[0]
	axes, _ := gomlxcompat.ReduceOf(node)
	if len(axes) == 0 { // x is a scalar.
		return []*Node{v}
	}
	axes = slices.Clone(axes)
	slices.Sort(axes)
	kept := slices.DeleteFunc(xslices.Iota(0, x.Rank()), func(axis int) bool { return slices.Contains(axes, axis) })
	order := append(slices.Clone(kept), axes...)
	moved := TransposeAllAxes(x, order...)
	rows := Reshape(moved, append(dimsOf(x, kept), -1)...) // [kept axes..., reduced axes merged]
	others := Mul(productsBefore(rows), Reverse(productsBefore(Reverse(rows, -1)), -1))
	spread := Mul(others, ExpandAxes(Reshape(v, dimsOf(x, kept)...), -1))
	back := make([]int, len(order))
	for to, from := range order {
		back[from] = to
	}
	return []*Node{TransposeAllAxes(Reshape(spread, moved.Shape().Dimensions...), back...)}
}

// productsBefore returns the product of the elements before each one along the last axis, 1 for the
// first. Each round multiplies twice as many as the one before.
func productsBefore(x *Node) *Node {
	x = shiftedByOnes(x, 1)
	for by := 1; by < x.Shape().Dim(-1); by *= 2 {
		x = Mul(x, shiftedByOnes(x, by))
	}
	return x
}

// shiftedByOnes moves the elements along the last axis, and puts ones before them.
func shiftedByOnes(x *Node, by int) *Node {
	size := x.Shape().Dim(-1)
	by = min(by, size)
	ones := OnesLike(SliceAxis(x, -1, AxisRange(0, by)))
	if by == size {
		return ones
	}
	return Concatenate([]*Node{ones, SliceAxis(x, -1, AxisRange(0, size-by))}, -1)
}
