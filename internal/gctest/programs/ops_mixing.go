package programs

import (
	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph"
)

// dtypeOps compute a part in another precision.
var dtypeOps = []*Kind{
	{Name: "through_float32", Lowers: true, Build: lowered(dtypes.Float32)},
	{Name: "through_bfloat16", Lowers: true, Build: lowered(dtypes.BFloat16)},
	{Name: "through_float64", Build: func(_ *Builder, x *Node, _ []int) *Node {
		return ConvertDType(Sin(ConvertDType(x, dtypes.Float64)), x.DType())
	}},
}

func lowered(dtype dtypes.DType) func(b *Builder, x *Node, p []int) *Node {
	return func(b *Builder, x *Node, _ []int) *Node {
		x = soft(x) // Of large values the rounding turns a sine anywhere.
		if b.Exact {
			return Sin(x)
		}
		return ConvertDType(Sin(ConvertDType(x, dtype)), x.DType())
	}
}

// pair returns [batch, batch] products of the flat values of x and y.
func pair(x, y *Node) *Node {
	return Einsum("bi,ci->bc", Reshape(x, batchOf(x), -1), Reshape(y, batchOf(y), -1))
}

// mixingOps compute values from several examples, which are held fixed in the derivative: see the
// package comment of gcml.
var mixingOps = []*Kind{
	{Name: "mixup", Mixes: true, Build: func(b *Builder, x *Node, _ []int) *Node {
		return Add(MulScalar(x, 0.7), MulScalar(Reverse(b.Held(x), 0), 0.3))
	}},
	{Name: "shuffle", Mixes: true, Build: func(b *Builder, x *Node, _ []int) *Node {
		return Add(Sin(x), MulScalar(Gather(b.Held(x), picks(x, batchOf(x))), 0.5))
	}},
	{Name: "less_first", Mixes: true, Build: func(b *Builder, x *Node, _ []int) *Node {
		return Sub(x, SliceAxis(b.Held(x), 0, AxisRange(0, 1)))
	}},
	{Name: "batch_mean", Mixes: true, Build: func(b *Builder, x *Node, _ []int) *Node {
		return Mul(x, Cos(ReduceAndKeep(b.Held(x), ReduceMean, 0)))
	}},
	{Name: "batch_max", Mixes: true, Kinks: true, Build: func(b *Builder, x *Node, _ []int) *Node {
		return Mul(x, Cos(ReduceAndKeep(b.Held(x), ReduceMax, 0)))
	}},
	// As an extra feature.
	{Name: "batch_deviation", Mixes: true, Build: func(b *Builder, x *Node, _ []int) *Node {
		held := b.Held(x)
		centred := Sub(held, ReduceAndKeep(held, ReduceMean, 0))
		deviation := Sqrt(AddScalar(ReduceAllMean(Square(centred)), 0.1))
		return Concatenate([]*Node{Sin(x), Mul(OnesLike(SliceAxis(x, -1, AxisRange(0, 1))), deviation)}, -1)
	}},
	{Name: "batch_cum_sum", Mixes: true, Build: func(b *Builder, x *Node, _ []int) *Node {
		return Mul(x, Sin(CumSum(b.Held(x), 0)))
	}},
	// In groups of two examples.
	{Name: "ghost_centre", Mixes: true, Build: func(b *Builder, x *Node, _ []int) *Node {
		if batchOf(x)%2 != 0 {
			return nil
		}
		grouped := append([]int{batchOf(x) / 2, 2}, x.Shape().Dimensions[1:]...)
		mean := ReduceAndKeep(Reshape(b.Held(x), grouped...), ReduceMean, 1)
		return Reshape(Sub(Reshape(x, grouped...), mean), x.Shape().Dimensions...)
	}},
	// Attention over the batch.
	{Name: "between_examples", Mixes: true, Build: func(b *Builder, x *Node, _ []int) *Node {
		held := Reshape(b.Held(x), batchOf(x), -1)
		mixed := Dot(Softmax(pair(held, held), -1), held).Product()
		return Mul(x, Sin(Reshape(mixed, x.Shape().Dimensions...)))
	}},
	{Name: "similarity", Mixes: true, Build: func(b *Builder, x *Node, _ []int) *Node {
		similar := ReduceMean(pair(b.Held(x), b.Held(x)), 1)
		flat := Reshape(x, batchOf(x), -1)
		return Reshape(Mul(flat, Sin(InsertAxes(similar, -1))), x.Shape().Dimensions...)
	}},
	// The batch beside itself, cut again.
	{Name: "twice", Mixes: true, Build: func(b *Builder, x *Node, _ []int) *Node {
		both := Concatenate([]*Node{b.Held(x), Reverse(b.Held(x), 0)}, 0)
		return Add(Sin(x), SliceAxis(both, 0, AxisRange(0, batchOf(x))))
	}},
	{Name: "batch_sort", Refused: true, Mixes: true, Kinks: true, Build: func(b *Builder, x *Node, _ []int) *Node {
		return Mul(x, Sin(Sort(b.Held(x), 0, true)))
	}},
	// The batch merged, then a mean over it.
	{Name: "flat_mean", Mixes: true, Build: func(b *Builder, x *Node, _ []int) *Node {
		held := Reshape(b.Held(x), -1)
		return Mul(x, Cos(ReduceAllMean(held)))
	}},
	// A Gram matrix of features.
	{Name: "batch_product", Mixes: true, Build: func(b *Builder, x *Node, _ []int) *Node {
		flat, held := Reshape(x, batchOf(x), -1), Reshape(b.Held(x), batchOf(x), -1)
		gram := Einsum("bi,bj->ij", held, held)
		return Reshape(Dot(flat, Sin(gram)).Product(), x.Shape().Dimensions...)
	}},
}
