package autodiff

import (
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
)

func registerElementwise() {
	// d x^(-1/2) = -1/2 x^(-3/2) dx, in terms of the node itself so that it can be differentiated
	// again.
	registerOne(NodeTypeRsqrt, func(node, v *Node) []*Node {
		return []*Node{Mul(v, MulScalar(Mul(node, Mul(node, node)), -0.5))}
	})
	// d (e^x - 1) = e^x dx.
	registerOne(NodeTypeExpm1, func(node, v *Node) []*Node {
		return []*Node{Mul(v, OnePlus(node))}
	})
	registerOne(NodeTypeClamp, clampVJP)
	registerOne(NodeTypeMax, largerVJP)
	registerOne(NodeTypeMin, largerVJP)
	// GoMLX passes a gradient through an Identity only if it has a custom gradient.
	registerOne(NodeTypeIdentity, func(_, v *Node) []*Node { return []*Node{v} })
	registerConversions()
}

// registerConversions lets no gradient pass through integers and booleans, which are constant
// almost everywhere. GoMLX rounds the gradient to a whole number and passes it on.
func registerConversions() {
	isContinuous := func(dtype dtypes.DType) bool { return dtype.IsFloat() || dtype.IsComplex() }
	var stock VJP
	stock = replace(NodeTypeConvertDType, func(node *Node, vjps []*Node, shape shapes.Shape) []*Node {
		if !isContinuous(node.DType()) || !isContinuous(node.Inputs()[0].DType()) {
			return []*Node{nil}
		}
		return stock(node, vjps, shape)
	})
}

// clampVJP passes the gradient where x lies within the limits. The limits get no gradient: they are
// constants wherever GoMLX uses Clip.
func clampVJP(node, v *Node) []*Node {
	low, x, high := node.Inputs()[0], node.Inputs()[1], node.Inputs()[2]
	inside := LogicalAnd(GreaterOrEqual(x, low), LessOrEqual(x, high))
	return []*Node{nil, Where(inside, v, ZerosLike(v)), nil}
}

// largerVJP passes the gradient of Max and Min to the operand that is the result. At a tie that is
// the first operand of Max and the second of Min, as in GoMLX's rule. That rule multiplies by the
// sign of 1 plus the sign of the difference, which XLA computes again for every cotangent.
func largerVJP(node, v *Node) []*Node {
	x, y := node.Inputs()[0], node.Inputs()[1]
	ofX, ofY := v, ZerosLike(v)
	if node.Type() == NodeTypeMin {
		ofX, ofY = ofY, ofX
	}
	firstIsLarger := GreaterOrEqual(x, y)
	return []*Node{sumTo(x, Where(firstIsLarger, ofX, ofY)), sumTo(y, Where(firstIsLarger, ofY, ofX))}
}
