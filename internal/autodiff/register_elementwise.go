package autodiff

import . "github.com/gomlx/gomlx/core/graph"

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
	// GoMLX passes a gradient through an Identity only if it has a custom gradient.
	registerOne(NodeTypeIdentity, func(_, v *Node) []*Node { return []*Node{v} })
}

// clampVJP passes the gradient where x lies within the limits. The limits get no gradient: they are
// constants wherever GoMLX uses Clip.
func clampVJP(node, v *Node) []*Node {
	low, x, high := node.Inputs()[0], node.Inputs()[1], node.Inputs()[2]
	inside := LogicalAnd(GreaterOrEqual(x, low), LessOrEqual(x, high))
	return []*Node{nil, Where(inside, v, ZerosLike(v)), nil}
}
