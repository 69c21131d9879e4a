package programs

import (
	"slices"

	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/layers"
	"github.com/gomlx/gomlx/ml/layers/activation"
	"github.com/gomlx/gomlx/ml/layers/fnn"
	"github.com/gomlx/gomlx/ml/layers/kan"
	"github.com/gomlx/gomlx/ml/layers/norm"
	"github.com/gomlx/gomlx/ml/layers/rational"
	"github.com/gomlx/gomlx/ml/layers/vnn"
	"github.com/gomlx/gomlx/ml/nn"
)

// variable returns a trainable weight.
func (b *Builder) variable(x *Node, name string, dims ...int) *Node {
	return b.Scope.VariableWithShape(name, shapes.Make(x.DType(), dims...)).NodeValue(x.Graph())
}

func ones(n int) []int { return slices.Repeat([]int{1}, n) }

// layerOps are layers of feature vectors: they work on the last axis.
var layerOps = []*Kind{
	{Name: "scale", Build: func(b *Builder, x *Node, _ []int) *Node {
		return Mul(x, Reshape(b.variable(x, "scale", 1), ones(x.Rank())...))
	}},
	{Name: "dense", Params: []Range{widthRange}, Build: func(b *Builder, x *Node, p []int) *Node {
		return layers.Dense(b.Scope, x, true, p[0])
	}},
	{Name: "dense_no_bias", Params: []Range{widthRange}, Build: func(b *Builder, x *Node, p []int) *Node {
		return layers.Dense(b.Scope, x, false, p[0])
	}},
	{Name: "dense_act", Kinks: true, UsesErf: true,
		Params: []Range{widthRange, {int(activation.TypeNone), int(activation.TypeGeluApprox)}},
		Build: func(b *Builder, x *Node, p []int) *Node { // A fused op on the Go backend.
			w, bias := b.variable(x, "w", dim(x, -1), p[0]), b.variable(x, "b", p[0])
			return nn.Dense(x, w, bias, 0, activation.Type(p[1]))
		}},
	{Name: "dense_turned", Params: []Range{widthRange}, Build: func(b *Builder, x *Node, p []int) *Node {
		return nn.Dense(x, b.variable(x, "w", p[0], dim(x, -1)), b.variable(x, "b", p[0]), 1)
	}},
	{Name: "dot", Params: []Range{widthRange}, Build: func(b *Builder, x *Node, p []int) *Node {
		return Dot(x, b.variable(x, "w", dim(x, -1), p[0])).Product()
	}},
	// The batch axis is the second axis of the product.
	{Name: "dot_left", Params: []Range{widthRange}, Build: func(b *Builder, x *Node, p []int) *Node {
		flat := Reshape(x, batchOf(x), -1)
		return Transpose(Einsum("ki,bi->kb", b.variable(x, "w", p[0], dim(flat, 1)), flat), 0, 1)
	}},
	// A product over the tokens, axis 1.
	{Name: "dense_tokens", Params: []Range{widthRange}, Build: func(b *Builder, x *Node, p []int) *Node {
		if x.Rank() != 3 {
			return nil
		}
		return Einsum("btd,tk->bkd", x, b.variable(x, "w", dim(x, 1), p[0]))
	}},
	// [B·T, D].
	{Name: "merged_dense", Params: []Range{widthRange}, Build: func(b *Builder, x *Node, p []int) *Node {
		if x.Rank() != 3 {
			return nil
		}
		merged := Reshape(x, -1, dim(x, 2))
		return Reshape(layers.Dense(b.Scope, merged, true, p[0]), batchOf(x), dim(x, 1), p[0])
	}},
	{Name: "feature_dense", Params: []Range{{1, 2}}, Build: func(b *Builder, x *Node, p []int) *Node { // [B·D, 1].
		flat := Reshape(x, batchOf(x), -1)
		y := Tanh(layers.Dense(b.Scope, Reshape(flat, -1, 1), true, p[0]))
		return Reshape(y, batchOf(x), dim(flat, 1)*p[0])
	}},
	{Name: "bilinear", Params: []Range{{1, 3}}, Build: func(b *Builder, x *Node, p []int) *Node {
		left := layers.Dense(b.Scope.In("left"), x, true, p[0])
		right := layers.Dense(b.Scope.In("right"), x, true, p[0])
		return Mul(left, right)
	}},
	{Name: "experts", Build: func(b *Builder, x *Node, _ []int) *Node { // A softmax gate over two layers.
		gate := Softmax(layers.Dense(b.Scope.In("gate"), x, true, 2), -1)
		values := layers.Dense(b.Scope.In("experts"), x, true, 2, 3)
		return ReduceSum(Mul(values, InsertAxes(gate, -1)), -2)
	}},
	{Name: "layer_norm", Params: []Range{axisRange}, Build: func(b *Builder, x *Node, p []int) *Node {
		return norm.LayerNorm(b.Scope, x, axis(x, p[0])).Epsilon(0.05).Done()
	}},
	{Name: "rms_norm", Build: func(b *Builder, x *Node, _ []int) *Node {
		return norm.RMSNorm(b.Scope, x).WithEpsilon(0.05).Done()
	}},
	{Name: "dynamic_tanh", Build: func(b *Builder, x *Node, _ []int) *Node {
		return norm.DynamicTanh(b.Scope, x).Done()
	}},
	{Name: "group_norm", Params: []Range{{1, 2}}, Build: func(_ *Builder, x *Node, p []int) *Node {
		if dim(x, -1)%p[0] != 0 {
			return nil
		}
		groups := Reshape(x, batchOf(x), -1, p[0], dim(x, -1)/p[0])
		centred := Sub(groups, ReduceAndKeep(groups, ReduceMean, 1, 3))
		variance := ReduceAndKeep(Square(centred), ReduceMean, 1, 3)
		return Reshape(Div(centred, Sqrt(AddScalar(variance, 0.05))), x.Shape().Dimensions...)
	}},
	// GoMLX stops the gradient at the statistics of the batch.
	{Name: "batch_norm", MixesInTraining: true, StopsGradient: true, Build: batchNorm(false)},
	{Name: "batch_norm_fused", MixesInTraining: true, Build: batchNorm(true)},
	{Name: "fnn", Params: []Range{widthRange, flag}, Build: func(b *Builder, x *Node, p []int) *Node {
		return fnn.New(b.Scope, Reshape(x, batchOf(x), -1), p[0]).NumHiddenLayers(1, 4).
			Activation(activation.TypeSwish).Residual(p[1] == 1).Done()
	}},
	{Name: "kan", Params: []Range{{1, 3}}, Build: func(b *Builder, x *Node, p []int) *Node {
		return kan.New(b.Scope, Reshape(x, batchOf(x), -1), p[0]).NumControlPoints(6).BSpline().Done()
	}, Kinks: true},
	{Name: "kan_pwl", Params: []Range{{1, 3}}, Kinks: true, Build: func(b *Builder, x *Node, p []int) *Node {
		return kan.New(b.Scope, Reshape(x, batchOf(x), -1), p[0]).NumControlPoints(4).PiecewiseLinear().Done()
	}},
	{Name: "rational", Build: func(b *Builder, x *Node, _ []int) *Node {
		return rational.New(b.Scope, soft(Reshape(x, batchOf(x), -1))).Version("B").Approximate("tanh").Done()
	}, Kinks: true},
	{Name: "calibration", Kinks: true, Build: func(b *Builder, x *Node, _ []int) *Node {
		keypoints := ConstAsDType(x.Graph(), x.DType(), []float64{-1.5, -0.4, 0.3, 1.6})
		return Reshape(layers.PieceWiseLinearCalibration(b.Scope, x, keypoints, true), x.Shape().Dimensions...)
	}},
	{Name: "vector_neurons", Params: []Range{{1, 2}}, Kinks: true, Build: func(b *Builder, x *Node, p []int) *Node {
		if dim(x, -1) != 3 || x.Rank() < 3 {
			return nil
		}
		return vnn.Relu(b.Scope.In("relu"), vnn.New(b.Scope, x, p[0]).Done()).Done()
	}},
	// An embedding of rounded values, times x.
	{Name: "embedding", Kinks: true, Build: func(b *Builder, x *Node, _ []int) *Node {
		indices := ConvertDType(ClipScalar(Round(AddScalar(StopGradient(b.Held(x)), 2)), 0, 4), 3)
		return Mul(InsertAxes(x, -1), layers.Embedding(b.Scope, InsertAxes(indices, -1), x.DType(), 5, 2))
	}},
}

// batchNorm builds GoMLX's layer; for the oracle in training it builds the formula, with the
// statistics of the held values.
func batchNorm(fused bool) func(b *Builder, x *Node, p []int) *Node {
	return func(b *Builder, x *Node, _ []int) *Node {
		const epsilon = 0.05
		y := norm.BatchNorm(b.Scope, x, -1).Epsilon(epsilon).UseBackendInference(fused).Done()
		if b.held == nil || !b.Scope.IsTraining(x.Graph()) {
			return y
		}
		scope := b.Scope.At("batch_normalization")
		features := shapes.Make(x.DType(), dim(x, -1))
		scale := scope.VariableWithShape("scale", features).NodeValue(x.Graph())
		offset := scope.VariableWithShape("offset", features).NodeValue(x.Graph())
		held := Reshape(b.held, -1, dim(x, -1))
		mean := ReduceAndKeep(held, ReduceMean, 0)
		variance := ReduceMean(Square(Sub(held, mean)), 0)
		flat := Div(Sub(Reshape(x, -1, dim(x, -1)), mean), InsertAxes(Sqrt(AddScalar(variance, epsilon)), 0))
		return Reshape(Add(Mul(flat, InsertAxes(scale, 0)), InsertAxes(offset, 0)), x.Shape().Dimensions...)
	}
}
