package vjp

import (
	"slices"

	. "github.com/gomlx/gomlx/core/graph"

	"example.com/geometric-complexity/internal/autodiff"
)

// traceBatchAxis returns where the batch axis of n's operands is in n, -1 if
// that is not known, and whether n mixes examples by reducing or contracting
// over it. A leading axis that merges the batch with others counts as the
// batch axis.
func (s *Pullback) traceBatchAxis(n *Node) (axis int, couples bool) {
	if n.NumOutputs() > 1 {
		return -1, false
	}
	if alternates := autodiff.AlternateOutputs(n); alternates != nil {
		return s.batchAxisOf(alternates[0]), false
	}
	if index, ok := autodiff.SplitOf(n); ok {
		// The second and third output of batch norm are the statistics of the batch.
		whole := n.Inputs()[0]
		if whole.Type() == NodeTypeBatchNormForTraining {
			return s.batchAxisOf(whole.Inputs()[0]), index > 0
		}
		return -1, false
	}
	for i, in := range n.Inputs() {
		at := s.batchAxisOf(in)
		if at < 0 {
			continue
		}
		moved, mixes := moveBatchAxis(n, i, at)
		if mixes {
			return -1, true
		}
		if moved >= 0 {
			return moved, false
		}
	}
	return -1, false
}

func (s *Pullback) batchAxisOf(n *Node) int {
	if axis, ok := s.batchAxis[n]; ok {
		return axis
	}
	return -1
}

// moveBatchAxis follows the batch axis, at position at of operand i, through n.
func moveBatchAxis(n *Node, i, at int) (axis int, couples bool) {
	in := n.Inputs()[i]
	if axes, ok := autodiff.ReduceOf(n); ok {
		if slices.Contains(axes, at) {
			return -1, true
		}
		axis = at
		for _, reduced := range axes {
			if reduced < at {
				axis--
			}
		}
		return axis, false
	}
	switch n.Type() {
	case NodeTypeTranspose:
		permutation, _ := autodiff.TransposeOf(n)
		return slices.Index(permutation, at), false
	case NodeTypeBroadcastInDim:
		axes, _ := autodiff.BroadcastInDimOf(n)
		return axes[at], false
	case NodeTypeReshape:
		return reshapedAxis(in.Shape().Dimensions, n.Shape().Dimensions, at), false
	case NodeTypeDotGeneral:
		return dotAxis(n, i, at)
	}
	if at < n.Rank() && in.Rank() == n.Rank() && in.Shape().Dimensions[at] == n.Shape().Dimensions[at] {
		return at, false
	}
	return -1, false
}

// reshapedAxis returns the axis that starts where axis at of the dimensions
// from started, or -1.
func reshapedAxis(from, to []int, at int) int {
	before := product(from[:at])
	for axis := range to {
		if product(to[:axis]) == before && (to[axis] > 1 || from[at] == 1) {
			return axis
		}
	}
	return -1
}

func product(dims []int) int {
	p := 1
	for _, d := range dims {
		p *= d
	}
	return p
}

// dotAxis follows the batch axis through a product.
func dotAxis(n *Node, i, at int) (axis int, couples bool) {
	lhs, rhs := dotSides(n)
	side, first := lhs, len(lhs.batch)
	if i == 1 {
		side, first = rhs, len(lhs.batch)+len(lhs.own)
	}
	if slices.Contains(side.contracting, at) {
		return -1, true
	}
	if b := slices.Index(side.batch, at); b >= 0 {
		return b, false
	}
	return first + slices.Index(side.own, at), false
}

// pullMultiOutput is the rule of a node of several outputs, given the adjoint
// of each (nil for none).
func (s *Pullback) pullMultiOutput(n *Node, vs []*Node) []*Node {
	if !slices.ContainsFunc(vs, func(v *Node) bool { return v != nil }) {
		return nil
	}
	if n.Type() == NodeTypeBatchNormForTraining && vs[0] != nil {
		return pullBatchNorm(n, vs[0], batchVariance(n))
	}
	return s.pullEach(n, vs)
}

// pullBatchNorm scales by scale / sqrt(variance + epsilon), with the variance
// held constant with respect to the inputs.
func pullBatchNorm(n, v, variance *Node) []*Node {
	params, _ := autodiff.BatchNormOf(n)
	gain := Div(n.Inputs()[1], Sqrt(AddScalar(variance, params.Epsilon)))
	dims := make([]int, v.Rank())
	for axis := range dims {
		dims[axis] = 1
	}
	dims[1+params.FeatureAxis] = gain.Shape().Size()
	pulled := make([]*Node, len(n.Inputs()))
	pulled[0] = Mul(v, Reshape(gain, dims...))
	return pulled
}

// batchVariance computes again, in nodes that can be differentiated, the
// variance that a training-mode batch norm op normalizes by.
func batchVariance(n *Node) *Node {
	params, _ := autodiff.BatchNormOf(n)
	x := n.Inputs()[0]
	var axes []int
	for axis := range x.Rank() {
		if axis != params.FeatureAxis {
			axes = append(axes, axis)
		}
	}
	mean := ReduceAndKeep(x, ReduceMean, axes...)
	return ReduceMean(Square(Sub(x, mean)), axes...)
}
