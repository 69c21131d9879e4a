package vjp

import (
	"slices"

	. "github.com/gomlx/gomlx/core/graph"

	"github.com/geometric-complexity/toolkit/internal/gomlxcompat"
	"github.com/geometric-complexity/toolkit/internal/precision"
)

// pullMultiOutput is the rule of a node with several outputs. vs has the adjoint of each output,
// nil if it has none.
func (s *Pullback) pullMultiOutput(n *Node, vs []*Node) []*Node {
	if !slices.ContainsFunc(vs, func(v *Node) bool { return v != nil }) {
		return nil
	}
	switch {
	case n.Type() == NodeTypeOptimizationBarrier:
		return vs
	case s.holdsStatistics(n):
		return s.pullBatchNorm(n, vs[0], batchVariance(n))
	}
	return s.pullEach(n, vs)
}

// holdsStatistics reports whether n is a batch norm op in training mode that normalizes over
// several examples.
func (s *Pullback) holdsStatistics(n *Node) bool {
	return n.Type() == NodeTypeBatchNormForTraining && len(s.places[n][1]) == 0
}

// pullBatchNorm multiplies v by scale / sqrt(variance + epsilon). It holds the statistics constant
// with respect to the inputs.
func (s *Pullback) pullBatchNorm(n, v, variance *Node) []*Node {
	params, _ := gomlxcompat.BatchNormOf(n)
	gain := Div(precision.Wide(n.Inputs()[1]), Sqrt(AddScalar(precision.Wide(variance), params.Epsilon)))
	pulled := make([]*Node, len(n.Inputs()))
	gain = ConvertDType(asAxis(gain, n.Inputs()[0].Rank(), params.FeatureAxis), v.DType())
	pulled[0] = s.timesGain(v, gain, params.FeatureAxis)
	return pulled
}

// batchMean and batchVariance compute the statistics of a training-mode batch norm op again, in
// differentiable nodes, and in float32 for shorter dtypes.
func batchMean(n *Node) *Node {
	return ReduceMean(precision.Wide(n.Inputs()[0]), axesOfStatistics(n)...)
}

func batchVariance(n *Node) *Node {
	x, axes := precision.Wide(n.Inputs()[0]), axesOfStatistics(n)
	mean := ReduceAndKeep(x, ReduceMean, axes...)
	return ReduceMean(Square(Sub(x, mean)), axes...)
}

func axesOfStatistics(n *Node) []int {
	params, _ := gomlxcompat.BatchNormOf(n)
	return slices.DeleteFunc(axesFrom(0, n.Inputs()[0].Rank()), func(axis int) bool { return axis == params.FeatureAxis })
}

// normalizedBy returns the result of the training-mode batch norm op n for another x, scale and
// offset, but with the statistics of n's own operand.
func normalizedBy(n, x, scale, offset *Node) *Node {
	params, _ := gomlxcompat.BatchNormOf(n)
	perFeature := func(v *Node) *Node { return asAxis(v, x.Rank(), params.FeatureAxis) }
	gain := Div(precision.Wide(scale), Sqrt(AddScalar(batchVariance(n), params.Epsilon)))
	centered := Sub(precision.Wide(x), perFeature(batchMean(n)))
	return ConvertDType(Add(Mul(centered, perFeature(gain)), perFeature(precision.Wide(offset))), x.DType())
}
