package programs

import (
	"slices"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
)

// last returns x as [batch, rest, last], for ops on the last axis.
func last(x *Node) *Node { return Reshape(x, batchOf(x), -1, dim(x, -1)) }

// picks returns the indices 0, 2, 4, ... modulo n, [n, 1].
func picks(x *Node, n int) *Node {
	indices := make([][]int32, n)
	for i := range indices {
		indices[i] = []int32{int32(2 * i % n)}
	}
	return Const(x.Graph(), indices)
}

// tokensFirst applies f to x with axes 0 and 1 swapped, and swaps the axes of the result back.
func tokensFirst(x *Node, f func(x *Node) *Node) *Node { return Transpose(f(Transpose(x, 0, 1)), 0, 1) }

// indexOps choose values by their index or by their rank in size.
var indexOps = []*Kind{
	{Name: "gather", Build: one(func(x *Node) *Node {
		return tokensFirst(x, func(x *Node) *Node { return Gather(x, picks(x, dim(x, 0))) })
	})},
	{Name: "gather_slices", Params: []Range{axisRange}, Build: func(_ *Builder, x *Node, p []int) *Node {
		if x.Rank() > 3 {
			return nil
		}
		starts := Const(x.Graph(), [][]int32{{0}, {int32(dim(x, axis(x, p[0])) - 1)}})
		slices := GatherSlices(x, []int{axis(x, p[0])}, starts, []int{1}, false) // [2, batch, ...].
		return Transpose(slices, 0, 1)
	}},
	{Name: "gather_own",
		Build: one(func(x *Node) *Node { // One element of every example, at an index that differs between examples.
			own := Iota(x.Graph(), shapes.Make(dtypes.Int32, batchOf(x), 1), 0)
			at := ModScalar(AddScalar(own, 1), dim(x, 1))
			y := Gather(x, Concatenate([]*Node{own, at}, 1))
			return Reshape(y, append([]int{batchOf(x), 1}, x.Shape().Dimensions[2:]...)...)
		})},
	{Name: "scatter_sum", Build: one(func(x *Node) *Node {
		return tokensFirst(x, func(x *Node) *Node {
			return ScatterSum(Sin(x), picks(x, dim(x, 0)), x, false, false)
		})
	})},
	{Name: "scatter_update", Build: one(func(x *Node) *Node {
		return tokensFirst(x, func(x *Node) *Node {
			return ScatterUpdate(Sin(x), Const(x.Graph(), [][]int32{{0}}), SliceAxis(x, 0, AxisRange(-1)), true, true)
		})
	})},
	{Name: "scatter", Build: one(func(x *Node) *Node {
		return tokensFirst(x, func(x *Node) *Node {
			return Scatter(picks(x, dim(x, 0)), x, x.Shape(), false, false)
		})
	})},
	{Name: "scatter_max", Kinks: true, Build: one(func(x *Node) *Node {
		return tokensFirst(x, func(x *Node) *Node {
			return ScatterMax(Sin(x), picks(x, dim(x, 0)), x, false, false)
		})
	})},
	{Name: "scatter_min", Kinks: true, Build: one(func(x *Node) *Node {
		return tokensFirst(x, func(x *Node) *Node {
			return ScatterMin(Sin(x), picks(x, dim(x, 0)), x, false, false)
		})
	})},
	{Name: "one_hot", Build: one(func(x *Node) *Node { // A permutation of the last axis, as a product.
		n := dim(x, -1)
		return Dot(x, OneHot(Reshape(picks(x, n), n), n, x.DType())).Product()
	})},
	{Name: "dynamic_slice", Build: one(func(x *Node) *Node {
		starts := make([]*Node, x.Rank())
		for i := range starts {
			starts[i] = Scalar(x.Graph(), dtypes.Int32, 0)
		}
		sizes := slices.Clone(x.Shape().Dimensions)
		if sizes[1] > 1 {
			sizes[1]--
			starts[1] = Scalar(x.Graph(), dtypes.Int32, 1)
		}
		return DynamicSlice(x, starts, sizes)
	})},
	{Name: "dynamic_update_slice", Build: one(func(x *Node) *Node {
		starts := make([]*Node, x.Rank())
		for i := range starts {
			starts[i] = Scalar(x.Graph(), dtypes.Int32, 0)
		}
		return DynamicUpdateSlice(Square(x), SliceAxis(x, 1, AxisRange(-1)), starts)
	})},
	// The largest value of the last axis, by its index.
	{Name: "arg_max", Kinks: true, Build: one(func(x *Node) *Node {
		x = last(x)
		hot := OneHot(ArgMax(x, -1), dim(x, -1), x.DType())
		return ReduceSum(Mul(x, hot), -1)
	})},
	{Name: "sort", NoDerivative: true, Params: []Range{axisRange, flag}, Kinks: true,
		Build: func(_ *Builder, x *Node, p []int) *Node {
			return Sort(x, axis(x, p[0]), p[1] == 1)
		}},
	{Name: "top_k", NoDerivative: true, Params: []Range{axisRange}, Kinks: true,
		Build: onAxis(func(x *Node, axis int) *Node {
			values, _ := TopK(x, min(2, dim(x, axis)), axis)
			return values
		})},
	{Name: "bottom_k", NoDerivative: true, Params: []Range{axisRange}, Kinks: true,
		Build: onAxis(func(x *Node, axis int) *Node {
			values, _ := BottomK(x, min(2, dim(x, axis)), axis)
			return values
		})},
	{Name: "top_k_mask", Params: []Range{axisRange}, Kinks: true, Build: onAxis(func(x *Node, axis int) *Node {
		return Where(TopKMask(x, min(2, dim(x, axis)), axis), x, ZerosLike(x))
	})},
	{Name: "triangular", Build: func(_ *Builder, x *Node, _ []int) *Node {
		if x.Rank() < 3 {
			return nil
		}
		return TakeLowerTriangular(x, 0)
	}},
	{Name: "iota_mask", Build: one(func(x *Node) *Node {
		return Where(LessThan(Iota(x.Graph(), shapes.Make(dtypes.Int32, x.Shape().Dimensions...), -1),
			Const(x.Graph(), int32(1))), Square(x), Sin(x))
	})},
	{Name: "if", NoDerivative: true, Build: one(func(x *Node) *Node {
		g := x.Graph()
		branches := make([]*Function, 2)
		for i, f := range []func(*Node) *Node{Sin, Square} {
			branches[i] = NewClosure(g, func(*Graph) []*Node { return []*Node{f(x)} })
		}
		return If(Const(g, true), branches[0], branches[1])[0]
	})},
	{Name: "while", NoDerivative: true, Build: one(func(x *Node) *Node {
		g := x.Graph()
		state := func(g *Graph) (count, value *Node) {
			return Parameter(g, "count", shapes.Make(dtypes.Int32)), Parameter(g, "value", x.Shape())
		}
		condition := NewClosure(g, func(g *Graph) []*Node {
			count, _ := state(g)
			return []*Node{LessThan(count, Const(g, int32(2)))}
		})
		body := NewClosure(g, func(g *Graph) []*Node {
			count, value := state(g)
			return []*Node{Add(count, Const(g, int32(1))), Sin(value)}
		})
		return While(condition, body, Const(g, int32(0)), x)[1]
	})},
	{Name: "fft", Build: one(func(x *Node) *Node {
		z := FFT(Complex(x, ZerosLike(x)))
		return Add(Real(z), Imag(z))
	})},
	{Name: "real_fft", Build: func(_ *Builder, x *Node, _ []int) *Node {
		if dim(x, -1)%2 != 0 {
			return nil
		}
		return Real(RealFFT(x))
	}},
}
