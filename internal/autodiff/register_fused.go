package autodiff

import (
	"math"

	"github.com/gomlx/compute"
	. "github.com/gomlx/gomlx/core/graph"
	. "github.com/gomlx/gomlx/support/exceptions"
	"github.com/gomlx/gomlx/support/xslices"

	"github.com/geometric-complexity/toolkit/internal/gomlxcompat"
)

// registerFused registers gradients of the pure-Go backend's fused ops that consist of primitive
// ops. GoMLX's own gradients are fused ops without a derivative.
func registerFused() {
	registerOne(NodeTypeFusedDense, fusedDenseVJP)
	registerOne(NodeTypeFusedActivation, fusedActivationVJP)
}

// fusedDenseVJP is the rule of activation(x·weights + bias), with x [batch..., in] and weights [in,
// out...] or, in the other layout, [out..., in].
func fusedDenseVJP(node, v *Node) []*Node {
	p, _ := gomlxcompat.FusedDenseOf(node)
	x, weights := node.Inputs()[0], node.Inputs()[1]
	dz := v
	if p.Activation != compute.ActivationNone {
		y, z := node, (*Node)(nil)
		if p.Activation.VJPRequiresInput() { // GoMLX's dense layer never uses such an activation here.
			var bias *Node
			if p.HasBias {
				bias = node.Inputs()[2]
			}
			z = BackendFusedDense(x, weights, bias, compute.DenseConfig{WeightLayout: p.WeightLayout})
		}
		dz = activationVJP(p.Activation, z, y, v)
	}
	batchAxes := xslices.Iota(0, x.Rank()-1)
	outputs := weights.Rank() - 1
	dzOutputs := xslices.Iota(len(batchAxes), outputs)
	gradients := make([]*Node, len(node.Inputs()))
	if p.WeightLayout == compute.DenseLayoutOutputsInput {
		gradients[0] = DotGeneral(dz, dzOutputs, nil, weights, xslices.Iota(0, outputs), nil)
		gradients[1] = DotGeneral(dz, batchAxes, nil, x, batchAxes, nil)
	} else {
		gradients[0] = DotGeneral(dz, dzOutputs, nil, weights, xslices.Iota(1, outputs), nil)
		gradients[1] = DotGeneral(x, batchAxes, nil, dz, batchAxes, nil)
	}
	if p.HasBias {
		gradients[2] = ReduceSum(dz, batchAxes...)
	}
	return gradients
}

// fusedActivationVJP takes the gradient's value from the fused op, which reads every element once,
// and the gradient's derivative from primitive ops. For two activations the fused op is wrong, and
// primitive ops replace it. For the approximate GELU it returns 0.238 at -0.5, where the slope is
// 0.133. For SwiGLU, if half of the last axis is longer than a SIMD register and no multiple of it,
// the gate's gradient overwrites the first elements of the other half's gradient.
func fusedActivationVJP(node, v *Node) []*Node {
	activation, _ := gomlxcompat.FusedActivationOf(node)
	x := node.Inputs()[0]
	if activation == compute.ActivationGeluApproximate || activation == compute.ActivationSwiGLU {
		return []*Node{activationVJP(activation, x, node, v)}
	}
	return []*Node{gomlxcompat.WithGradientOf(activationVJP(activation, x, node, v), func() *Node {
		return BackendFusedActivationVJP(node, x, v, compute.ActivationConfig{Type: activation})
	})}
}

// activationVJP returns v times the derivative of the activation y = f(x), element by element. x
// may be nil for the activations whose derivative is a function of y (see
// compute.ActivationType.VJPRequiresInput).
func activationVJP(activation compute.ActivationType, x, y, v *Node) *Node {
	scalar := func(value float64) *Node { return Scalar(v.Graph(), v.DType(), value) }
	zeros := ZerosLike(v)
	switch activation {
	case compute.ActivationNone:
		return v
	case compute.ActivationRelu:
		return Where(GreaterThan(y, scalar(0)), v, zeros)
	case compute.ActivationLeakyRelu:
		return Where(GreaterOrEqual(y, scalar(0)), v, MulScalar(v, 0.3))
	case compute.ActivationHardSigmoid:
		inside := LogicalAnd(GreaterThan(y, scalar(0)), LessThan(y, scalar(1)))
		return Where(inside, MulScalar(v, 0.2), zeros)
	case compute.ActivationSigmoid:
		return Mul(v, Mul(y, OneMinus(y)))
	case compute.ActivationTanh:
		return Mul(v, OneMinus(Square(y)))
	case compute.ActivationSelu:
		const alpha, scale = 1.67326324, 1.05070098 // As in GoMLX's package activation.
		return Where(GreaterThan(y, scalar(0)), MulScalar(v, scale), Mul(v, AddScalar(y, scale*alpha)))
	case compute.ActivationSilu:
		return Mul(v, siluDerivative(x))
	case compute.ActivationHardSwish:
		// x·clip(x/6 + 1/2, 0, 1).
		inside := LogicalAnd(GreaterThan(x, scalar(-3)), LessThan(x, scalar(3)))
		slope := AddScalar(MulScalar(x, 1./3), 0.5)
		above := Where(GreaterOrEqual(x, scalar(3)), v, zeros)
		return Where(inside, Mul(v, slope), above)
	case compute.ActivationGelu:
		// d (x·Φ(x)) = Φ(x) + x·φ(x).
		cdf := MulScalar(OnePlus(Erf(MulScalar(x, 1/math.Sqrt2))), 0.5)
		density := MulScalar(Exp(MulScalar(Square(x), -0.5)), 1/math.Sqrt(2*math.Pi))
		return Mul(v, Add(cdf, Mul(x, density)))
	case compute.ActivationGeluApproximate:
		// 1/2 x (1 + tanh(u)) with u = √(2/π) (x + 0.044715 x³).
		c := math.Sqrt(2 / math.Pi)
		square := Square(x)
		tanh := Tanh(MulScalar(Mul(x, OnePlus(MulScalar(square, 0.044715))), c))
		du := MulScalar(OnePlus(MulScalar(square, 3*0.044715)), c)
		slope := Add(MulScalar(OnePlus(tanh), 0.5), Mul(MulScalar(x, 0.5), Mul(OneMinus(Square(tanh)), du)))
		return Mul(v, slope)
	case compute.ActivationSwiGLU:
		half := x.Shape().Dim(-1) / 2
		gate, value := SliceAxis(x, -1, AxisRangeFromStart(half)), SliceAxis(x, -1, AxisRangeToEnd(half))
		dGate := Mul(Mul(v, value), siluDerivative(gate))
		return Concatenate([]*Node{dGate, Mul(v, Mul(gate, Sigmoid(gate)))}, -1)
	}
	Panicf("autodiff: activation %s has no gradient: use another one", activation)
	return nil
}

// siluDerivative returns the derivative of x·σ(x), σ(x)·(1 + x·(1 - σ(x))).
func siluDerivative(x *Node) *Node {
	sigmoid := Sigmoid(x)
	return Mul(sigmoid, OnePlus(Mul(x, OneMinus(sigmoid))))
}
