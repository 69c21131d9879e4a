package programs

import (
	"slices"

	. "github.com/gomlx/gomlx/core/graph"
)

// shapeOps rearrange values, and join branches.
var shapeOps = []*Kind{
	{Name: "flatten", Build: func(_ *Builder, x *Node, _ []int) *Node { return Reshape(x, batchOf(x), -1) }},
	{Name: "split_axis", Params: []Range{axisRange, {2, 3}}, Build: func(_ *Builder, x *Node, p []int) *Node {
		at := axis(x, p[0])
		if x.Rank() > 4 || dim(x, at)%p[1] != 0 {
			return nil
		}
		dims := slices.Clone(x.Shape().Dimensions)
		dims[at] /= p[1]
		return Reshape(x, slices.Insert(dims, at, p[1])...)
	}},
	{Name: "insert_axis", Params: []Range{axisRange}, Build: func(_ *Builder, x *Node, p []int) *Node {
		if x.Rank() > 4 {
			return nil
		}
		return InsertAxes(x, axis(x, p[0]))
	}},
	{Name: "transpose", Params: []Range{axisRange, axisRange}, Build: func(_ *Builder, x *Node, p []int) *Node {
		if x.Rank() < 3 || axis(x, p[0]) == axis(x, p[1]) {
			return nil
		}
		return Transpose(x, axis(x, p[0]), axis(x, p[1]))
	}},
	{Name: "reverse", Params: []Range{axisRange}, Build: onAxis(func(x *Node, axis int) *Node {
		return Reverse(x, axis)
	})},
	{Name: "slice", Params: []Range{axisRange, {1, 2}}, Build: func(_ *Builder, x *Node, p []int) *Node {
		at := axis(x, p[0])
		if dim(x, at) < 2 {
			return nil
		}
		return SliceAxis(x, at, AxisRange(1).Stride(p[1]))
	}},
	{Name: "pad", Params: []Range{axisRange, {0, 1}, {0, 1}, {0, 1}}, Build: func(_ *Builder, x *Node, p []int) *Node {
		config := make([]PadAxis, x.Rank())
		config[axis(x, p[0])] = PadAxis{Start: p[1], End: p[2], Interior: p[3]}
		return Pad(x, Scalar(x.Graph(), x.DType(), 0.5), config...)
	}},
	{Name: "crop", Params: []Range{axisRange}, Build: func(_ *Builder, x *Node, p []int) *Node {
		at := axis(x, p[0])
		if dim(x, at) < 2 {
			return nil
		}
		config := make([]PadAxis, x.Rank())
		config[at] = PadAxis{Start: -1, End: 1}
		return Pad(x, ScalarZero(x.Graph(), x.DType()), config...)
	}},
	{Name: "shift", Params: []Range{axisRange, flag}, Build: func(_ *Builder, x *Node, p []int) *Node {
		at := axis(x, p[0])
		if dim(x, at) < 2 {
			return nil
		}
		return Shift(x, at, ShiftDirection(p[1] == 1), 1)
	}},
	{Name: "grow", Params: []Range{axisRange}, Build: onAxis(func(x *Node, axis int) *Node {
		return GrowLeft(x, axis, 1, 0.3)
	})},
	{Name: "difference", Params: []Range{axisRange}, Build: onAxis(func(x *Node, axis int) *Node {
		return ConsecutiveDifference(x, axis, true)
	})},
	{Name: "broadcast", Params: []Range{axisRange}, Build: func(_ *Builder, x *Node, p []int) *Node {
		if x.Rank() > 4 {
			return nil
		}
		at := axis(x, p[0])
		wide := InsertAxes(x, at)
		dims := slices.Clone(wide.Shape().Dimensions)
		dims[at] = 2
		wide = BroadcastToDims(wide, dims...)
		return ReduceSum(Mul(wide, Sin(Iota(x.Graph(), wide.Shape(), at))), at)
	}},
	{Name: "outer", Build: func(_ *Builder, x *Node, _ []int) *Node {
		if x.Rank() > 4 {
			return nil
		}
		return Mul(InsertAxes(x, -1), InsertAxes(Sin(x), -2))
	}},
	{Name: "einsum_self", Build: func(_ *Builder, x *Node, _ []int) *Node {
		if x.Rank() != 3 {
			return nil
		}
		return Einsum("bij,bkj->bik", x, Sin(x))
	}},
	{Name: "dot_self", Build: func(_ *Builder, x *Node, _ []int) *Node {
		flat := Reshape(x, batchOf(x), -1)
		return InsertAxes(Einsum("bi,bi->b", flat, Cos(flat)), -1)
	}},
	{Name: "mat_mul_self", Build: func(_ *Builder, x *Node, _ []int) *Node {
		if x.Rank() != 3 {
			return nil
		}
		return MatMul(Transpose(x, 1, 2), x)
	}},
	{Name: "add", Params: []Range{{0, 3}}, Build: branch(Add)},
	{Name: "mul", Params: []Range{{0, 3}}, Build: branch(Mul)},
	{Name: "concat", Params: []Range{{0, 3}}, Build: branch(func(x, y *Node) *Node {
		return Concatenate([]*Node{x, y}, -1)
	})},
	{Name: "concat_tokens", Params: []Range{{0, 3}}, Build: branch(func(x, y *Node) *Node {
		return Concatenate([]*Node{Sin(x), y}, 1)
	})},
	{Name: "stack", Params: []Range{{0, 3}}, Build: branch(func(x, y *Node) *Node {
		if x.Rank() > 4 {
			return nil
		}
		return Stack([]*Node{y, x}, 1)
	})},
	{Name: "split", Params: []Range{axisRange}, Build: func(_ *Builder, x *Node, p []int) *Node {
		at := axis(x, p[0])
		if dim(x, at)%2 != 0 {
			return nil
		}
		parts := Split(x, at, 2)
		return Mul(parts[0], Tanh(parts[1]))
	}},
	{Name: "dynamic_reshape", Build: func(_ *Builder, x *Node, _ []int) *Node {
		return DynamicReshape(x, StaticDim(batchOf(x)), StaticDim(x.Shape().Size()/batchOf(x)))
	}},
	{Name: "tokens_in_batch", Build: func(_ *Builder, x *Node, _ []int) *Node { // [B, T, D] as [B·T, D] and back.
		if x.Rank() < 3 {
			return nil
		}
		dims := x.Shape().Dimensions
		merged := Reshape(x, append([]int{dims[0] * dims[1]}, dims[2:]...)...)
		return Reshape(Tanh(merged), dims...)
	}},
	{Name: "batch_in_groups", Build: func(_ *Builder, x *Node, _ []int) *Node { // [B, D] as [B/2, 2, D] and back.
		if batchOf(x)%2 != 0 {
			return nil
		}
		dims := x.Shape().Dimensions
		return Reshape(Sin(Reshape(x, append([]int{dims[0] / 2, 2}, dims[1:]...)...)), dims...)
	}},
	{Name: "ensemble", Build: func(_ *Builder, x *Node,
		_ []int) *Node { // Two copies of the batch, along a new first axis.
		two := BroadcastToDims(InsertAxes(x, 0), append([]int{2}, x.Shape().Dimensions...)...)
		two = Mul(two, AddScalar(Iota(x.Graph(), two.Shape(), 0), 0.5))
		return ReduceMean(Tanh(two), 0)
	}},
	{Name: "batch_last", Build: func(_ *Builder, x *Node, _ []int) *Node {
		flat := Reshape(x, batchOf(x), -1)
		turned := Transpose(flat, 0, 1)
		return Transpose(Mul(Sin(turned), Softmax(turned, 0)), 0, 1)
	}},
	{Name: "batch_inside", Build: func(_ *Builder, x *Node, _ []int) *Node {
		if x.Rank() < 3 {
			return nil
		}
		turned := Transpose(x, 0, 1)
		return Transpose(Add(turned, Tanh(ReduceAndKeep(turned, ReduceMean, 0))), 0, 1)
	}},
	// An op on the merged tokens, then y + tanh(mean over the tokens).
	{Name: "tokens_and_mean", Build: func(_ *Builder, x *Node, _ []int) *Node {
		if x.Rank() < 3 {
			return nil
		}
		dims := x.Shape().Dimensions
		y := Reshape(Sin(Reshape(x, append([]int{dims[0] * dims[1]}, dims[2:]...)...)), dims...)
		return Add(y, Tanh(ReduceAndKeep(y, ReduceMean, 1)))
	}},
}

// branch joins x with an earlier value of the same shape: it skips the p[0] latest ones.
func branch(join func(x, y *Node) *Node) func(b *Builder, x *Node, p []int) *Node {
	return func(b *Builder, x *Node, p []int) *Node {
		left := p[0]
		for _, y := range slices.Backward(b.Earlier) {
			if !y.Shape().Equal(x.Shape()) {
				continue
			}
			if left == 0 {
				return join(x, y)
			}
			left--
		}
		return nil
	}
}
