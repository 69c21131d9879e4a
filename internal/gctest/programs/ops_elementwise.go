package programs

import (
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/layers/activation"
)

// soft maps values into (-0.9, 0.9), where the functions are well conditioned.
func soft(x *Node) *Node { return MulScalar(Tanh(x), 0.9) }

// aboveOne returns 1 + x²/4.
func aboveOne(x *Node) *Node { return AddScalar(MulScalar(Square(x), 0.25), 1) }

func apply(act activation.Type) func(b *Builder, x *Node, p []int) *Node {
	return one(func(x *Node) *Node { return activation.Apply(act, x) })
}

// elementwise are the ops that apply a function to every value.
var elementwise = []*Kind{
	{Name: "tanh", Build: one(Tanh)},
	{Name: "sin", Build: one(Sin)},
	{Name: "cos", Build: one(Cos)},
	{Name: "sigmoid", Build: one(Sigmoid)},
	{Name: "logistic", Build: apply(activation.TypeSigmoid)},
	{Name: "square", Build: one(Square)},
	{Name: "neg", Build: one(Neg)},
	{Name: "exp", Build: one(func(x *Node) *Node { return Exp(soft(x)) })},
	{Name: "expm1", Build: one(func(x *Node) *Node { return Expm1(soft(x)) })},
	{Name: "log", Build: one(func(x *Node) *Node { return Log(aboveOne(x)) })},
	{Name: "log1p", Build: one(func(x *Node) *Node { return Log1p(soft(x)) })},
	{Name: "mirrored_log1p", Kinks: true, Build: one(MirroredLog1p)},
	{Name: "sqrt", Build: one(func(x *Node) *Node { return Sqrt(aboveOne(x)) })},
	{Name: "rsqrt", Build: one(func(x *Node) *Node { return Rsqrt(aboveOne(x)) })},
	{Name: "erf", UsesErf: true, Build: one(Erf)},
	{Name: "pow", Build: one(func(x *Node) *Node {
		return Pow(aboveOne(x), AddScalar(MulScalar(Sin(x), 0.5), 1))
	})},
	{Name: "pow_scalar", Build: one(func(x *Node) *Node { return PowScalar(aboveOne(x), 0.7) })},
	{Name: "div", Build: one(func(x *Node) *Node { return Div(x, aboveOne(x)) })},
	{Name: "reciprocal", Build: one(func(x *Node) *Node { return Reciprocal(aboveOne(x)) })},
	{Name: "add_mul_sub", Build: one(func(x *Node) *Node { return Sub(Mul(x, Sin(x)), Add(x, Cos(x))) })},
	{Name: "atan2", NoDerivative: true, Build: one(func(x *Node) *Node { return Atan2(x, aboveOne(x)) })},
	{Name: "softplus", Build: one(Softplus)},
	{Name: "log_add_exp", Build: one(func(x *Node) *Node { return LogAddExp(x, Sin(x)) })},
	{Name: "relu", Kinks: true, Build: apply(activation.TypeRelu)},
	{Name: "leaky_relu", Kinks: true, Build: apply(activation.TypeLeakyRelu)},
	{Name: "selu", Kinks: true, Build: apply(activation.TypeSelu)},
	{Name: "hard_sigmoid", Kinks: true, Build: apply(activation.TypeHardSigmoid)},
	{Name: "hard_swish", Kinks: true, Build: apply(activation.TypeHardSwish)},
	{Name: "swish", Build: apply(activation.TypeSwish)},
	{Name: "gelu", UsesErf: true, Build: apply(activation.TypeGelu)},
	{Name: "gelu_approximate", Build: apply(activation.TypeGeluApprox)},
	{Name: "swiglu", Build: func(_ *Builder, x *Node, _ []int) *Node {
		if dim(x, -1)%2 != 0 {
			return nil
		}
		return activation.SwiGLU(x)
	}},
	{Name: "abs", Kinks: true, Build: one(Abs)},
	{Name: "max", Kinks: true, Build: one(func(x *Node) *Node { return Max(x, Sin(MulScalar(x, 2))) })},
	{Name: "min", Kinks: true, Build: one(func(x *Node) *Node { return Min(x, Sin(MulScalar(x, 2))) })},
	{Name: "max_scalar", Kinks: true, Build: one(func(x *Node) *Node { return MaxScalar(x, 0.1) })},
	{Name: "clip", Kinks: true, Build: one(func(x *Node) *Node { return ClipScalar(x, -0.5, 0.8) })},
	{Name: "clamp", Kinks: true, Build: one(func(x *Node) *Node {
		return Clamp(Scalar(x.Graph(), x.DType(), -0.5), x, Scalar(x.Graph(), x.DType(), 0.8))
	})},
	{Name: "where", Kinks: true, Build: one(func(x *Node) *Node {
		return Where(GreaterThan(x, ZerosLike(x)), Sin(x), Square(x))
	})},
	{Name: "sign", Kinks: true, Build: one(func(x *Node) *Node { return Mul(x, Sign(x)) })},
	{Name: "round", NoDerivative: true, Kinks: true, Build: one(func(x *Node) *Node { return Sub(x, Round(x)) })},
	{Name: "floor", NoDerivative: true, Kinks: true, Build: one(func(x *Node) *Node { return Mul(x, Floor(x)) })},
	{Name: "ceil", NoDerivative: true, Kinks: true, Build: one(func(x *Node) *Node { return Mul(x, Ceil(x)) })},
	{Name: "mod", NoDerivative: true, Kinks: true, Build: one(func(x *Node) *Node { return ModScalar(x, 0.7) })},
	{Name: "stop_gradient", StopsGradient: true, Build: func(b *Builder, x *Node, _ []int) *Node {
		return Mul(x, StopGradient(Sin(b.Held(x))))
	}},
	{Name: "custom_gradient", Build: one(func(x *Node) *Node {
		return Square(IdentityWithCustomGradient(x, func(_, v *Node) *Node { return v }))
	})},
	{Name: "identity", Build: one(func(x *Node) *Node { return Add(Identity(x), Sin(x)) })},
	{Name: "optimization_barrier", Build: one(func(x *Node) *Node { return Square(OptimizationBarrier(x)) })},
	{Name: "checkpoint", Build: one(func(x *Node) *Node { return Sin(Square(x.Checkpoint())).StopCheckpoint() })},
	{Name: "complex", Build: one(func(x *Node) *Node {
		z := Complex(x, Sin(x))
		return Add(Real(Mul(z, z)), Imag(Conj(z)))
	})},
}
