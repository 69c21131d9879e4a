package programs

import (
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/nn"
)

// reduce builds a reduction over one axis. If p[0] is 0 or x has rank 2, it reduces all axes except
// the batch axis, and the result has shape [batch, 1].
func reduce(f func(x *Node, axes ...int) *Node) func(b *Builder, x *Node, p []int) *Node {
	return func(_ *Builder, x *Node, p []int) *Node {
		if p[0] == 0 || x.Rank() == 2 {
			y := f(Reshape(x, batchOf(x), -1), 1)
			if y == nil {
				return nil
			}
			return Reshape(y, batchOf(x), 1)
		}
		return f(x, axis(x, p[0]))
	}
}

// onAxis builds an op that works along one axis.
func onAxis(f func(x *Node, axis int) *Node) func(b *Builder, x *Node, p []int) *Node {
	return func(_ *Builder, x *Node, p []int) *Node { return f(x, axis(x, p[0])) }
}

// firstTwo returns a mask of the first two values along an axis.
func firstTwo(x *Node, axis int) *Node {
	return LessThan(Iota(x.Graph(), x.Shape(), axis), Scalar(x.Graph(), x.DType(), 2))
}

// reductions are the ops over one axis, most of which reduce it.
var reductions = []*Kind{
	{Name: "sum", Params: []Range{{0, 3}}, Build: reduce(ReduceSum)},
	{Name: "mean", Params: []Range{{0, 3}}, Build: reduce(ReduceMean)},
	{Name: "reduce_max", Params: []Range{{0, 3}}, Kinks: true, Build: reduce(ReduceMax)},
	{Name: "reduce_min", Params: []Range{{0, 3}}, Kinks: true, Build: reduce(ReduceMin)},
	{Name: "product", NoDerivative: true, Params: []Range{{0, 3}}, Build: reduce(ReduceMultiply)},
	{Name: "variance", Params: []Range{{0, 3}}, Build: reduce(ReduceVariance)},
	{Name: "skewness", Params: []Range{{0, 3}}, Build: reduce(func(x *Node, axes ...int) *Node {
		if dim(x, axes[0]) < 3 {
			return nil
		}
		return Skewness(Add(x, Iota(x.Graph(), x.Shape(), axes[0])),
			axes...) // The iota separates the values, so that the variance is not 0.
	})},
	{Name: "l1_norm", Params: []Range{{0, 3}}, Kinks: true, Build: reduce(func(x *Node, axes ...int) *Node {
		return Reshape(L1Norm(x, axes...), without(x, axes[0])...)
	})},
	{Name: "l2_norm", Params: []Range{{0, 3}}, Build: reduce(func(x *Node, axes ...int) *Node {
		return Reshape(L2Norm(aboveOne(x), axes...), without(x, axes[0])...)
	})},
	{Name: "log_sum_exp", Params: []Range{{0, 3}}, Build: reduce(func(x *Node, axes ...int) *Node {
		peak := StopGradient(ReduceAndKeep(x, ReduceMax, axes...))
		return Add(Log(ReduceSum(Exp(Sub(x, peak)), axes...)), ReduceMax(StopGradient(x), axes...))
	}), Kinks: true},
	{Name: "masked_sum", Params: []Range{{0, 3}}, Build: reduce(func(x *Node, axes ...int) *Node {
		return MaskedReduceSum(x, firstTwo(x, axes[0]), axes...)
	})},
	{Name: "masked_mean", Params: []Range{{0, 3}}, Build: reduce(func(x *Node, axes ...int) *Node {
		return MaskedReduceMean(x, firstTwo(x, axes[0]), axes...)
	})},
	{Name: "masked_max", Params: []Range{{0, 3}}, Kinks: true, Build: reduce(func(x *Node, axes ...int) *Node {
		return MaskedReduceMax(x, firstTwo(x, axes[0]), axes...)
	})},
	{Name: "softmax", Params: []Range{axisRange}, Build: onAxis(func(x *Node, axis int) *Node {
		return Softmax(x, axis)
	})},
	{Name: "log_softmax", Params: []Range{axisRange}, Build: onAxis(func(x *Node, axis int) *Node {
		return LogSoftmax(x, axis)
	})},
	{Name: "masked_softmax", Params: []Range{axisRange}, Build: onAxis(func(x *Node, axis int) *Node {
		return MaskedSoftmax(x, firstTwo(x, axis), axis)
	})},
	{Name: "cum_sum", Params: []Range{axisRange}, Build: onAxis(func(x *Node, axis int) *Node {
		return CumSum(x, axis)
	})},
	{Name: "cum_sum_back", Params: []Range{axisRange}, Build: onAxis(func(x *Node, axis int) *Node {
		return CumSum(x, axis, &CumSumOptions{Exclusive: true, Reverse: true})
	})},
	{Name: "l2_normalize", Params: []Range{axisRange}, Build: onAxis(func(x *Node, axis int) *Node {
		return L2NormalizeWithEpsilon(x, 0.1, axis)
	})},
	{Name: "soft_cap", Build: one(func(x *Node) *Node { return nn.SoftCap(x, 2) })},
	{Name: "cosine_similarity", Params: []Range{axisRange}, Build: onAxis(func(x *Node, axis int) *Node {
		return Add(x, CosineSimilarity(AddScalar(x, 0.2), AddScalar(Cos(x), 1.5), axis))
	})},
}

// without returns the dimensions of x without one axis.
func without(x *Node, axis int) (dims []int) {
	for i, d := range x.Shape().Dimensions {
		if i != axis {
			dims = append(dims, d)
		}
	}
	return dims
}
