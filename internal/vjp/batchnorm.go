package vjp

import (
	"slices"

	. "github.com/gomlx/gomlx/core/graph"

	"example.com/geometric-complexity/internal/gomlxcompat"
)

// pullMultiOutput is the rule of a node of several outputs, given the adjoint of each (nil for
// none).
func (s *Pullback) pullMultiOutput(n *Node, vs []*Node) []*Node {
	if !slices.ContainsFunc(vs, func(v *Node) bool { return v != nil }) {
		return nil
	}
	switch {
	case n.Type() == NodeTypeOptimizationBarrier:
		return vs
	case s.holdsStatistics(n):
		return pullBatchNorm(n, vs[0], batchVariance(n))
	}
	return s.pullEach(n, vs)
}

// holdsStatistics tells whether n is a batch norm op in training mode that normalizes over
// examples.
func (s *Pullback) holdsStatistics(n *Node) bool {
	return n.Type() == NodeTypeBatchNormForTraining && len(s.places[n][1]) == 0
}

// pullBatchNorm scales by scale / sqrt(variance + epsilon), with the variance held constant with
// respect to the inputs.
func pullBatchNorm(n, v, variance *Node) []*Node {
	params, _ := gomlxcompat.BatchNormOf(n)
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

// batchMean and batchVariance compute again, in nodes that can be differentiated, the statistics
// that a training-mode batch norm op normalizes by.
func batchMean(n *Node) *Node {
	return ReduceMean(n.Inputs()[0], axesOfStatistics(n)...)
}

func batchVariance(n *Node) *Node {
	x, axes := n.Inputs()[0], axesOfStatistics(n)
	mean := ReduceAndKeep(x, ReduceMean, axes...)
	return ReduceMean(Square(Sub(x, mean)), axes...)
}

func axesOfStatistics(n *Node) []int {
	params, _ := gomlxcompat.BatchNormOf(n)
	return slices.DeleteFunc(axesFrom(0, n.Inputs()[0].Rank()), func(axis int) bool { return axis == params.FeatureAxis })
}

// normalizedBy is what a training-mode batch norm op gives for x, scale and offset with the
// statistics of its own operand.
func normalizedBy(n, x, scale, offset *Node) *Node {
	params, _ := gomlxcompat.BatchNormOf(n)
	dims := slices.Repeat([]int{1}, x.Rank())
	dims[params.FeatureAxis] = scale.Shape().Size()
	perFeature := func(v *Node) *Node { return Reshape(v, dims...) }
	gain := Div(scale, Sqrt(AddScalar(batchVariance(n), params.Epsilon)))
	return Add(Mul(Sub(x, perFeature(batchMean(n))), perFeature(gain)), perFeature(offset))
}
