package onnxmodel

import (
	"math"

	"github.com/gomlx/compute-onnx/support/protos"
)

// Kinks are written with Where on x < 0 and not with sums of Relu: the gradient at 0 is then that
// of the branch for x >= 0, as in PyTorch and ONNX's definitions.
var _ = register(map[string]rewrite{
	"LeakyRelu": func(l *lowering, n *protos.NodeProto) (bool, error) {
		x := n.Input[0]
		return l.finish(n, l.negative(x, l.op("Mul", x, l.scalar(x, floatOr(n, "alpha", 0.01))), x))
	},
	"PRelu": func(l *lowering, n *protos.NodeProto) (bool, error) {
		x := n.Input[0]
		if len(n.Input) < 2 {
			return lacking(n, 2)
		}
		slope := n.Input[1]
		if dims := l.dims(slope); l.opset < 7 && len(dims) == 1 && dims[0] != 1 {
			// One for each channel, before opset 7.
			rank, ok := l.rank(x)
			if !ok || rank < 2 {
				return refused(n, "its input is of a rank that the file does not tell, before opset 7")
			}
			slope = l.along(slope, x, int64(1-rank))
		}
		return l.finish(n, l.negative(x, l.op("Mul", x, slope), x))
	},
	"Elu": func(l *lowering, n *protos.NodeProto) (bool, error) {
		return l.finish(n, l.elu(n.Input[0], floatOr(n, "alpha", 1), 1))
	},
	"Celu": func(l *lowering, n *protos.NodeProto) (bool, error) {
		alpha := floatOr(n, "alpha", 1)
		return l.finish(n, l.elu(n.Input[0], alpha, alpha))
	},
	"Selu": func(l *lowering, n *protos.NodeProto) (bool, error) {
		x := n.Input[0]
		y := l.elu(x, floatOr(n, "alpha", 1.67326319217681884765625), 1)
		return l.finish(n, l.op("Mul", y, l.scalar(x, floatOr(n, "gamma", 1.05070102214813232421875))))
	},
	"HardSigmoid": func(l *lowering, n *protos.NodeProto) (bool, error) {
		x := n.Input[0]
		y := l.op("Add", l.op("Mul", x, l.scalar(x, floatOr(n, "alpha", 0.2))), l.scalar(x, floatOr(n, "beta", 0.5)))
		return l.finish(n, l.op("Clip", y, l.scalar(x, 0), l.scalar(x, 1)))
	},
	"Softplus": func(l *lowering, n *protos.NodeProto) (bool, error) { return l.finish(n, l.softplus(n.Input[0])) },
	"Softsign": func(l *lowering, n *protos.NodeProto) (bool, error) {
		x := n.Input[0]
		return l.finish(n, l.op("Div", x, l.op("Add", l.scalar(x, 1), l.op("Abs", x))))
	},
	"Mish": func(l *lowering, n *protos.NodeProto) (bool, error) {
		x := n.Input[0]
		return l.finish(n, l.op("Mul", x, l.op("Tanh", l.softplus(x))))
	},
	"Swish": func(l *lowering, n *protos.NodeProto) (bool, error) {
		x := n.Input[0]
		return l.finish(n, l.op("Mul", x, l.op("Sigmoid", l.op("Mul", x, l.scalar(x, floatOr(n, "alpha", 1))))))
	},
	"SwiGLU": func(l *lowering, n *protos.NodeProto) (bool, error) {
		if len(n.Input) < 2 {
			return lacking(n, 2)
		}
		x := n.Input[0]
		swish := l.op("Mul", x, l.op("Sigmoid", l.op("Mul", x, l.scalar(x, floatOr(n, "alpha", 1)))))
		return l.finish(n, l.op("Mul", swish, n.Input[1]))
	},
	"ThresholdedRelu": func(l *lowering, n *protos.NodeProto) (bool, error) {
		x := n.Input[0]
		return l.finish(n, l.op("Where", l.op("Greater", x, l.scalar(x, floatOr(n, "alpha", 1))), x, l.scalar(x, 0)))
	},
	"Shrink": func(l *lowering, n *protos.NodeProto) (bool, error) {
		x, lambda := n.Input[0], floatOr(n, "lambd", 0.5)
		bias := l.scalar(x, floatOr(n, "bias", 0))
		above := l.op("Where", l.op("Greater", x, l.scalar(x, lambda)), l.op("Sub", x, bias), l.scalar(x, 0))
		return l.finish(n, l.op("Where", l.op("Less", x, l.scalar(x, -lambda)), l.op("Add", x, bias), above))
	},
	"Gelu": gelu,
	"Clip": clip,
	"Softmax": func(l *lowering, n *protos.NodeProto) (bool, error) {
		if l.opset >= 13 || intOr(n, "axis", 1) == -1 {
			return l.finish(n, l.softmax(n.Input[0], intOr(n, "axis", -1)))
		}
		return l.flattened(n, func(x string) string { return l.softmax(x, 1) })
	},
	"LogSoftmax": func(l *lowering, n *protos.NodeProto) (bool, error) {
		if l.opset >= 13 || intOr(n, "axis", 1) == -1 {
			return l.finish(n, l.logSoftmax(n.Input[0], intOr(n, "axis", -1)))
		}
		return l.flattened(n, func(x string) string { return l.logSoftmax(x, 1) })
	},
	"Dropout": func(l *lowering, n *protos.NodeProto) (bool, error) {
		training, known := l.boolean(input(n, 2))
		switch {
		case input(n, 2) != "" && (training || !known):
			return refused(n, "it has the input training_mode, which is true or not constant")
		case l.opset < 7 && intOr(n, "is_test", 0) == 0:
			return refused(n, "the attribute is_test is 0")
		}
		if used(n, 1) && l.opset < 10 {
			// Its value in evaluation is not specified.
			l.refuseUse(n, 1, "something uses its mask, before opset 10")
		} else if used(n, 1) {
			yes := &protos.TensorProto{DataType: int32(protos.TensorProto_BOOL), Dims: []int64{1}, Int32Data: []int32{1}}
			value := []*protos.AttributeProto{{Name: "value", Type: protos.AttributeProto_TENSOR, T: yes}}
			l.finishOutput(n, 1, l.opWith("ConstantOfShape", value, l.op("Shape", n.Input[0])))
		}
		return l.finish(n, n.Input[0])
	},
})

// negative is a where x < 0, and b elsewhere.
func (l *lowering) negative(x, a, b string) string {
	return l.op("Where", l.op("Less", x, l.scalar(x, 0)), a, b)
}

// elu is x for x >= 0, and alpha·(exp(x/scale) - 1) below. The exponent is cut at 0, so that large
// x give no infinity, whose gradient times 0 would be no number.
func (l *lowering) elu(x string, alpha, scale float32) string {
	z := l.negative(x, l.op("Div", x, l.scalar(x, scale)), l.scalar(x, 0))
	return l.negative(x, l.op("Mul", l.scalar(x, alpha), l.op("Sub", l.op("Exp", z), l.scalar(x, 1))), x)
}

// softplus is max(x, 0) + log(1 + exp(-|x|)).
func (l *lowering) softplus(x string) string {
	z := l.negative(x, x, l.op("Neg", x))
	tail := l.op("Log", l.op("Add", l.scalar(x, 1), l.op("Exp", z)))
	return l.op("Add", l.negative(x, l.scalar(x, 0), x), tail)
}

// softmax is written out for floats of 16 bits, which the Go backend's own does not take.
func (l *lowering) softmax(x string, axis int64) string {
	if dtype := l.dtypes[x]; dtype != int32(protos.TensorProto_FLOAT16) && dtype != int32(protos.TensorProto_BFLOAT16) {
		return l.opWith("Softmax", axisAttribute(axis), x)
	}
	e := l.op("Exp", l.op("Sub", x, l.opWith("ReduceMax", reduceAttributes(axis), x)))
	return l.op("Div", e, l.opWith("ReduceSum", reduceAttributes(axis), e))
}

func (l *lowering) logSoftmax(x string, axis int64) string {
	shifted := l.op("Sub", x, l.opWith("ReduceMax", reduceAttributes(axis), x))
	return l.op("Sub", shifted, l.op("Log", l.opWith("ReduceSum", reduceAttributes(axis), l.op("Exp", shifted))))
}

func reduceAttributes(axis int64) []*protos.AttributeProto {
	return []*protos.AttributeProto{intsAttribute("axes", axis), intAttribute("keepdims", 1)}
}

func axisAttribute(axis int64) []*protos.AttributeProto {
	return []*protos.AttributeProto{intAttribute("axis", axis)}
}

// flattened applies a function of the last axis as ONNX did before opset 13: over all axes from the
// attribute axis on.
func (l *lowering) flattened(n *protos.NodeProto, f func(x string) string) (bool, error) {
	x, axis := n.Input[0], intOr(n, "axis", 1)
	if rank, ok := l.rank(x); ok && axis < 0 {
		axis += int64(rank)
	} else if axis < 0 {
		return refused(n, "the attribute axis is %d for an input of unknown rank, before opset 13", axis)
	}
	y := f(l.opWith("Flatten", axisAttribute(axis), x))
	return l.finish(n, l.op("Reshape", y, l.op("Shape", x)))
}

func gelu(l *lowering, n *protos.NodeProto) (bool, error) {
	switch approximate := stringOr(n, "approximate", "none"); approximate {
	case "none":
		return false, nil
	case "tanh":
	default:
		return refused(n, "the attribute approximate is %q", approximate)
	}
	return l.finish(n, l.geluTanh(n.Input[0]))
}

func (l *lowering) geluTanh(x string) string {
	cube := l.op("Mul", l.scalar(x, 0.044715), l.op("Mul", x, l.op("Mul", x, x)))
	inner := l.op("Mul", l.scalar(x, float32(math.Sqrt(2/math.Pi))), l.op("Add", x, cube))
	return l.op("Mul", l.op("Mul", l.scalar(x, 0.5), x), l.op("Add", l.scalar(x, 1), l.op("Tanh", inner)))
}

// clip turns the bounds that were attributes before opset 11 into inputs.
func clip(l *lowering, n *protos.NodeProto) (bool, error) {
	if l.opset >= 11 {
		return false, nil
	}
	x := n.Input[0]
	inputs := []string{x, "", ""}
	if a := attribute(n, "min"); a != nil {
		inputs[1] = l.scalar(x, a.F)
	}
	if a := attribute(n, "max"); a != nil {
		inputs[2] = l.scalar(x, a.F)
	}
	n.Input = inputs
	remove(n, "min", "max", "consumed_inputs")
	return false, nil
}
