package programs

import (
	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph"
)

// dtypeOps compute a sine in another precision.
var dtypeOps = []*Kind{
	{Name: "through_float32", LowersPrecision: true, Build: lowered(dtypes.Float32)},
	{Name: "through_bfloat16", LowersPrecision: true, Build: lowered(dtypes.BFloat16)},
	{Name: "through_float64", Build: func(_ *Builder, x *Node, _ []int) *Node {
		return ConvertDType(Sin(ConvertDType(x, dtypes.Float64)), x.DType())
	}},
}

func lowered(dtype dtypes.DType) func(b *Builder, x *Node, p []int) *Node {
	return func(b *Builder, x *Node, _ []int) *Node {
		x = soft(x) // Rounding a large value changes its sine arbitrarily.
		if b.Exact {
			return Sin(x)
		}
		return ConvertDType(Sin(ConvertDType(x, dtype)), x.DType())
	}
}

// pair returns the inner products of the examples of x with the examples of y, [batch, batch].
func pair(x, y *Node) *Node {
	return Einsum("bi,ci->bc", Reshape(x, batchOf(x), -1), Reshape(y, batchOf(y), -1))
}

// mixingOps compute statistics of several examples. The derivative holds the statistics fixed: see
// the package comment of gcml.
var mixingOps = []*Kind{
	{Name: "mixup", MixesExamples: true, Build: func(b *Builder, x *Node, _ []int) *Node {
		return Add(MulScalar(x, 0.7), MulScalar(Reverse(b.Held(x), 0), 0.3))
	}},
	{Name: "shuffle", MixesExamples: true, Build: func(b *Builder, x *Node, _ []int) *Node {
		return Add(Sin(x), MulScalar(Gather(b.Held(x), picks(x, batchOf(x))), 0.5))
	}},
	{Name: "less_first", MixesExamples: true, Build: func(b *Builder, x *Node, _ []int) *Node {
		return Sub(x, SliceAxis(b.Held(x), 0, AxisRange(0, 1)))
	}},
	{Name: "batch_mean", MixesExamples: true, Build: func(b *Builder, x *Node, _ []int) *Node {
		return Mul(x, Cos(ReduceAndKeep(b.Held(x), ReduceMean, 0)))
	}},
	{Name: "batch_max", MixesExamples: true, Kinks: true, Build: func(b *Builder, x *Node, _ []int) *Node {
		return Mul(x, Cos(ReduceAndKeep(b.Held(x), ReduceMax, 0)))
	}},
	// A batch statistic as an extra feature.
	{Name: "batch_deviation", MixesExamples: true, Build: func(b *Builder, x *Node, _ []int) *Node {
		held := b.Held(x)
		centred := Sub(held, ReduceAndKeep(held, ReduceMean, 0))
		deviation := Sqrt(AddScalar(ReduceAllMean(Square(centred)), 0.1))
		return Concatenate([]*Node{Sin(x), Mul(OnesLike(SliceAxis(x, -1, AxisRange(0, 1))), deviation)}, -1)
	}},
	{Name: "batch_cum_sum", MixesExamples: true, Build: func(b *Builder, x *Node, _ []int) *Node {
		return Mul(x, Sin(CumSum(b.Held(x), 0)))
	}},
	// The mean over groups of two examples.
	{Name: "ghost_centre", MixesExamples: true, Build: func(b *Builder, x *Node, _ []int) *Node {
		if batchOf(x)%2 != 0 {
			return nil
		}
		grouped := append([]int{batchOf(x) / 2, 2}, x.Shape().Dimensions[1:]...)
		mean := ReduceAndKeep(Reshape(b.Held(x), grouped...), ReduceMean, 1)
		return Reshape(Sub(Reshape(x, grouped...), mean), x.Shape().Dimensions...)
	}},
	// Attention over the batch.
	{Name: "between_examples", MixesExamples: true, Build: func(b *Builder, x *Node, _ []int) *Node {
		held := Reshape(b.Held(x), batchOf(x), -1)
		mixed := Dot(Softmax(pair(held, held), -1), held).Product()
		return Mul(x, Sin(Reshape(mixed, x.Shape().Dimensions...)))
	}},
	{Name: "similarity", MixesExamples: true, Build: func(b *Builder, x *Node, _ []int) *Node {
		similar := ReduceMean(pair(b.Held(x), b.Held(x)), 1)
		flat := Reshape(x, batchOf(x), -1)
		return Reshape(Mul(flat, Sin(InsertAxes(similar, -1))), x.Shape().Dimensions...)
	}},
	// The batch concatenated with its reverse, then sliced.
	{Name: "twice", MixesExamples: true, Build: func(b *Builder, x *Node, _ []int) *Node {
		both := Concatenate([]*Node{b.Held(x), Reverse(b.Held(x), 0)}, 0)
		return Add(Sin(x), SliceAxis(both, 0, AxisRange(0, batchOf(x))))
	}},
	{Name: "batch_sort", NoDerivative: true, MixesExamples: true, Kinks: true,
		Build: func(b *Builder, x *Node, _ []int) *Node {
			return Mul(x, Sin(Sort(b.Held(x), 0, true)))
		}},
	// The mean over all values of the batch.
	{Name: "flat_mean", MixesExamples: true, Build: func(b *Builder, x *Node, _ []int) *Node {
		held := Reshape(b.Held(x), -1)
		return Mul(x, Cos(ReduceAllMean(held)))
	}},
	// The Gram matrix of the features, over the batch.
	{Name: "batch_product", MixesExamples: true, Build: func(b *Builder, x *Node, _ []int) *Node {
		flat, held := Reshape(x, batchOf(x), -1), Reshape(b.Held(x), batchOf(x), -1)
		gram := Einsum("bi,bj->ij", held, held)
		return Reshape(Dot(flat, Sin(gram)).Product(), x.Shape().Dimensions...)
	}},
}
