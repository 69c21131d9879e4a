package programs

import (
	"slices"

	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/layers"
	"github.com/gomlx/gomlx/ml/layers/activation"
	"github.com/gomlx/gomlx/ml/layers/vnn"
	"github.com/gomlx/gomlx/ml/nn"
)

// moreOps are short forms and variants of the ops above, several of them in one kind.
var moreOps = []*Kind{
	{Name: "scalars", Build: one(func(x *Node) *Node {
		y := MinusOne(OnePlus(OneMinus(DivScalar(MulScalar(SubScalar(AddScalar(x, 3), 1), 0.7), 1.3))))
		return Add(y, Inverse(aboveOne(y)))
	})},
	{Name: "indicators", Kinks: true, Build: one(func(x *Node) *Node {
		positive := Add(PositiveIndicator(x), NonNegativeIndicator(x))
		negative := Add(NegativeIndicator(x), NonPositiveIndicator(x))
		return Mul(x, Add(Sub(positive, negative), SignPlusOrMinus(x)))
	})},
	{Name: "min_scalar", Kinks: true, Build: one(func(x *Node) *Node { return MinScalar(x, 0.1) })},
	{Name: "clip_nodes", Kinks: true, Build: one(func(x *Node) *Node {
		return Clip(x, Scalar(x.Graph(), x.DType(), -0.5), Scalar(x.Graph(), x.DType(), 0.8))
	})},
	{Name: "conditions", Kinks: true, Build: one(func(x *Node) *Node {
		inside := And(GreaterThan(x, Scalar(x.Graph(), x.DType(), -0.5)), Not(IsPositive(x)))
		return Where(Or(inside, IsNaN(x)), Square(x), Sin(x))
	})},
	{Name: "activations_with", Kinks: true, Build: one(func(x *Node) *Node {
		y := Add(activation.LeakyReluWith(x, 0.3), activation.HardSigmoidWith(x, 0.3, 0.4))
		scale, bias := Scalar(x.Graph(), x.DType(), 0.3), Scalar(x.Graph(), x.DType(), 0.4)
		return Add(y, activation.HardSwishWith(x, scale, bias))
	})},
	{Name: "masked_min", Params: []Range{{0, 3}}, Kinks: true, Build: reduce(func(x *Node, axes ...int) *Node {
		return MaskedReduceMin(x, firstTwo(x, axes[0]), axes...)
	})},
	{Name: "masked_keep", Params: []Range{axisRange}, Build: onAxis(func(x *Node, axis int) *Node {
		return Mul(x, Sin(MaskedReduceAndKeep(x, firstTwo(x, axis), MaskedReduceSum, axis)))
	})},
	{Name: "masked_log_softmax", Params: []Range{axisRange}, Build: onAxis(func(x *Node, axis int) *Node {
		mask := firstTwo(x, axis)
		return Where(mask, MaskedLogSoftmax(x, mask, axis), ZerosLike(x))
	})},
	{Name: "keep", Params: []Range{axisRange}, Build: onAxis(func(x *Node, axis int) *Node {
		return Add(x, Sin(ReduceAndKeep(Square(x), ReduceMean, axis)))
	})},
	{Name: "norm_squared", Params: []Range{axisRange}, Build: onAxis(func(x *Node, axis int) *Node {
		return L2NormSquare(x, axis)
	})},
	{Name: "axes", Build: func(_ *Builder, x *Node, _ []int) *Node { // Inserts and removes axes of size 1.
		if x.Rank() > 3 {
			return nil
		}
		y := Squeeze(ExpandDims(ExpandAxes(x, -1), 0), 0)
		return Squeeze(ExpandLeftToRank(Sin(Squeeze(y, -1)), x.Rank()+1), 0)
	}},
	{Name: "broadcasts", Build: func(_ *Builder, x *Node, _ []int) *Node {
		if x.Rank() > 3 {
			return nil
		}
		first := SliceAxis(x, -1, AxisRange(0, 1))
		wide := Add(BroadcastToShape(first, x.Shape()), Square(x))
		prefixed := BroadcastPrefix(wide, 2)
		expanded := ExpandAndBroadcast(x, append([]int{2}, x.Shape().Dimensions...), []int{0})
		return ReduceSum(Mul(prefixed, expanded), 0)
	}},
	{Name: "reshapes", Build: one(func(x *Node) *Node {
		flat := ReshapeWithShape(x, shapes.Make(x.DType(), batchOf(x), x.Shape().Size()/batchOf(x)))
		return ReshapeLike(Sin(flat), x)
	})},
	{Name: "transposes", Build: func(_ *Builder, x *Node, _ []int) *Node {
		if x.Rank() != 3 {
			return nil
		}
		return TransposeAllDims(Sin(TransposeAllAxes(x, 2, 0, 1)), 1, 2, 0)
	}},
	{Name: "upper_triangular", Build: func(_ *Builder, x *Node, _ []int) *Node {
		if x.Rank() < 3 {
			return nil
		}
		return TakeUpperTriangular(x, 0)
	}},
	{Name: "shifts", Build: func(_ *Builder, x *Node, _ []int) *Node {
		if dim(x, -1) < 2 {
			return nil
		}
		y := Add(ShiftLeft(x, 1, 0.2), ShiftRight(x, 1, 0.3))
		return Add(y, ShiftWithValue(x, -1, ShiftDirLeft, 1, Scalar(x.Graph(), x.DType(), 0.1)))
	}},
	{Name: "grow_right", Params: []Range{axisRange}, Build: onAxis(func(x *Node, axis int) *Node {
		return GrowRight(x, axis, 2, 0.3)
	})},
	{Name: "products", Build: func(b *Builder, x *Node, _ []int) *Node { // The same product in several ways.
		if x.Rank() != 2 {
			return nil
		}
		w := b.variable(x, "w", dim(x, 1), 2)
		y := Add(DotProduct(x, w), MatMul(Sin(x), w))
		y = Add(y, DotGeneral(Cos(x), []int{1}, nil, w, []int{0}, nil))
		return Mul(y, EinsumAxes(x, w, [][2]int{{1, 0}}, nil))
	}},
	{Name: "cross_cosine_similarity", Build: func(_ *Builder, x *Node, _ []int) *Node {
		if x.Rank() != 3 {
			return nil
		}
		return CrossCosineSimilarity(AddScalar(x, 0.2), AddScalar(Cos(x), 1.5), 2, 1)
	}},
	{Name: "dynamic_broadcast", Build: one(func(x *Node) *Node {
		return Mul(x, DynamicBroadcastLike(SliceAxis(x, -1, AxisRange(0, 1)), x))
	})},
	{Name: "dynamic_pad", Build: one(func(x *Node) *Node {
		pads := make([]DynamicPadAxisSpec, x.Rank())
		pads[x.Rank()-1] = DynamicPadAxis(1, 0, 0)
		return DynamicPad(x, ScalarZero(x.Graph(), x.DType()), pads...)
	})},
	{Name: "barriers", Build: one(func(x *Node) *Node {
		both := OptimizationBarriers(Sin(x), Square(x))
		return Mul(both[0], both[1])
	})},
	{Name: "scheduling_barrier", Build: one(func(x *Node) *Node {
		return Mul(x, SchedulingBarrier(Sin(x), Square(x)))
	})},
	{Name: "inverse_fft", Build: one(func(x *Node) *Node { return Real(InverseFFT(Complex(x, Sin(x)))) })},
	{Name: "inverse_real_fft", Build: func(_ *Builder, x *Node, _ []int) *Node {
		if dim(x, -1) < 2 {
			return nil
		}
		return InverseRealFFT(Complex(x, Sin(x)))
	}},
	{Name: "plain_layer_norm", Build: func(b *Builder, x *Node, _ []int) *Node {
		gain, offset := b.variable(x, "gain", dim(x, -1)), b.variable(x, "offset", dim(x, -1))
		return nn.LayerNorm(x, []int{x.Rank() - 1}, 0.05, gain, offset, nil)
	}},
	{Name: "dropout", Build: func(b *Builder, x *Node, _ []int) *Node { // In evaluation dropout does nothing.
		if b.Scope.IsTraining(x.Graph()) {
			return Sin(x)
		}
		y := layers.DropoutStatic(b.Scope.In("static"), Sin(x), 0.5)
		return layers.DropPath(b.Scope.In("path"), y, Scalar(x.Graph(), x.DType(), 0.5))
	}},
	{Name: "drop_block", Build: func(b *Builder, x *Node, _ []int) *Node {
		if x.Rank() != 4 {
			return nil
		}
		if b.Scope.IsTraining(x.Graph()) {
			return Sin(x)
		}
		return layers.DropBlock(b.Scope, Sin(x)).WithDropoutProbability(0.5).WithBlockSize(2).Done()
	}},
	{Name: "calibration_cascaded", Kinks: true, Build: func(b *Builder, x *Node, _ []int) *Node {
		keypoints := ConstAsDType(x.Graph(), x.DType(), []float64{-1.5, -0.4, 0.3, 1.6})
		return Reshape(layers.PieceWiseLinearCalibrationCascaded(b.Scope, x, keypoints, true), x.Shape().Dimensions...)
	}},
	{Name: "vector_norm", Build: func(_ *Builder, x *Node, _ []int) *Node {
		if dim(x, -1) != 3 || x.Rank() < 3 || dim(x, -2) < 2 {
			return nil
		}
		y := vnn.LayerNormalization(x, 0.05)
		angle := func(v float64) *Node { return Scalar(x.Graph(), x.DType(), v) }
		return Add(y, vnn.RotateOnOrigin(x, angle(0.3), angle(0.2), angle(0.1)))
	}},
	{Name: "vector_product", Build: func(_ *Builder, x *Node, _ []int) *Node {
		if dim(x, -1) != 3 || x.Rank() < 3 {
			return nil
		}
		y := vnn.InvariantDotProduct(x, Sin(x))
		return Reshape(y, append(slices.Clone(x.Shape().Dimensions[:1]), -1)...)
	}},
}
