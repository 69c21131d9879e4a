package onnxmodel

import (
	"slices"
	"strings"

	"github.com/gomlx/compute-onnx/support/protos"
)

// Rewrites of operators that ONNX Runtime's optimizer creates.
var _ = register(map[string]rewrite{
	"com.microsoft.Gelu": func(l *lowering, n *protos.NodeProto) (bool,
		error) {
		return l.finish(n, l.op("Gelu", n.Input[0]))
	},
	"com.microsoft.BiasGelu": func(l *lowering, n *protos.NodeProto) (bool, error) {
		return l.finish(n, l.op("Gelu", l.op("Add", n.Input[0], n.Input[1])))
	},
	"com.microsoft.FastGelu": func(l *lowering, n *protos.NodeProto) (bool, error) {
		x := n.Input[0]
		if bias := input(n, 1); bias != "" {
			x = l.op("Add", x, bias)
		}
		return l.finish(n, l.geluTanh(x))
	},
	"com.microsoft.QuickGelu": func(l *lowering, n *protos.NodeProto) (bool, error) {
		x := n.Input[0]
		return l.finish(n, l.op("Mul", x, l.op("Sigmoid", l.op("Mul", x, l.scalar(x, floatOr(n, "alpha", 1.702))))))
	},
	"com.microsoft.FusedMatMul": func(l *lowering, n *protos.NodeProto) (bool, error) {
		a, b := n.Input[0], n.Input[1]
		if intOr(n, "transBatchA", 0) != 0 {
			a = l.rowsBehindBatches(a)
		}
		if intOr(n, "transBatchB", 0) != 0 {
			b = l.rowsBehindBatches(b)
		}
		if intOr(n, "transA", 0) != 0 {
			a = l.transposed(a)
		}
		if intOr(n, "transB", 0) != 0 {
			b = l.transposed(b)
		}
		return l.finish(n, l.op("Mul", l.op("MatMul", a, b), l.scalar(n.Input[0], floatOr(n, "alpha", 1))))
	},
	"com.microsoft.FusedConv": fusedConv,
	"com.microsoft.FusedGemm": fusedGemm,
	"com.microsoft.SkipLayerNormalization": func(l *lowering, n *protos.NodeProto) (bool, error) {
		return l.skipNorm(n, 4, func(x string) string {
			inputs := []string{x, n.Input[2]}
			if beta := input(n, 3); beta != "" {
				inputs = append(inputs, beta)
			}
			return l.opWith("LayerNormalization",
				[]*protos.AttributeProto{floatAttribute("epsilon", floatOr(n, "epsilon", 1e-12))}, inputs...)
		})
	},
	"com.microsoft.SkipSimplifiedLayerNormalization": func(l *lowering, n *protos.NodeProto) (bool, error) {
		return l.skipNorm(n, 3,
			func(x string) string { return l.rootMeanSquare(x, n.Input[2], floatOr(n, "epsilon", 1e-12), -1) })
	},
	"SimplifiedLayerNormalization": func(l *lowering, n *protos.NodeProto) (bool, error) {
		if len(n.Input) < 2 {
			return lacking(n, 2)
		}
		return l.finish(n, l.rootMeanSquare(n.Input[0], n.Input[1], floatOr(n, "epsilon", 1e-5), intOr(n, "axis", -1)))
	},
	"ai.onnx.ml.Scaler": func(l *lowering, n *protos.NodeProto) (bool, error) {
		x := l.asFloat(n.Input[0])
		if a := attribute(n, "offset"); a != nil {
			x = l.op("Sub", x, l.floatVector(x, a.Floats))
		}
		if a := attribute(n, "scale"); a != nil {
			x = l.op("Mul", x, l.floatVector(x, a.Floats))
		}
		return l.finish(n, x)
	},
	"ai.onnx.ml.Normalizer": func(l *lowering, n *protos.NodeProto) (bool, error) {
		x := l.asFloat(n.Input[0])
		var norm string
		switch kind := stringOr(n, "norm", "MAX"); kind {
		case "L1":
			norm = l.opWith("ReduceSum", reduceAttributes(-1), l.op("Abs", x))
		case "L2":
			norm = l.sqrtOrZero(l.opWith("ReduceSum", reduceAttributes(-1), l.op("Mul", x, x)))
		default:
			return refused(n, "the attribute norm is %q", kind)
		}
		// A row of zeros stays zero.
		norm = l.op("Where", l.op("Equal", norm, l.scalar(x, 0)), l.scalar(x, 1), norm)
		return l.finish(n, l.op("Div", x, norm))
	},
	"ai.onnx.ml.LinearRegressor": func(l *lowering, n *protos.NodeProto) (bool, error) {
		if post := stringOr(n, "post_transform", "NONE"); post != "NONE" {
			return refused(n, "the attribute post_transform is %q", post)
		}
		y, refusal := l.linearScores(n, intOr(n, "targets", 1))
		if refusal != "" {
			return refused(n, "%s", refusal)
		}
		return l.finish(n, y)
	},
	"ai.onnx.ml.LinearClassifier": linearClassifier,
})

// transposed swaps the last two axes of a value of any rank.
func (l *lowering) transposed(x string) string {
	shape := l.op("Shape", x)
	last := func(from, to int64) string {
		return l.op("Slice", shape, l.integers(from), l.integers(to), l.integers(0))
	}
	rows, columns := last(-2, -1), last(-1, 1<<30)
	y := l.permuted(l.reshaped(x, l.integers(-1), rows, columns), 0, 2, 1)
	return l.reshaped(y, last(0, -2), columns, rows)
}

// rowsBehindBatches moves the first axis of a value of any rank before its last.
func (l *lowering) rowsBehindBatches(x string) string {
	shape := l.op("Shape", x)
	part := func(from, to int64) string {
		return l.op("Slice", shape, l.integers(from), l.integers(to), l.integers(0))
	}
	rows, columns := part(0, 1), part(-1, 1<<30)
	y := l.permuted(l.reshaped(x, rows, l.integers(-1), columns), 1, 0, 2)
	return l.reshaped(y, part(1, -1), rows, columns)
}

// skipNorm normalizes the sum of two values, and of a bias if there is one. Its fourth output is
// the sum.
func (l *lowering) skipNorm(n *protos.NodeProto, biasAt int, norm func(x string) string) (bool, error) {
	if len(n.Input) < 3 {
		return lacking(n, 3)
	}
	if used(n, 1) || used(n, 2) {
		return refused(n, "it has the mean or the deviation as an output")
	}
	x := l.op("Add", n.Input[0], n.Input[1])
	if bias := input(n, biasAt); bias != "" {
		x = l.op("Add", x, bias)
	}
	l.finishOutput(n, 3, x)
	return l.finish(n, norm(x))
}

func (l *lowering) rootMeanSquare(x, scale string, epsilon float32, axis int64) string {
	square := l.op("ReduceMean", l.op("Mul", x, x), l.axesFrom(x, axis))
	return l.op("Mul", l.op("Div", x, l.op("Sqrt", l.op("Add", square, l.scalar(x, epsilon)))), scale)
}

func floatAttribute(name string, v float32) *protos.AttributeProto {
	return &protos.AttributeProto{Name: name, Type: protos.AttributeProto_FLOAT, F: v}
}

// asFloat is a value as float32, unless it is of a float type.
func (l *lowering) asFloat(x string) string {
	if dtype, ok := l.dtypes[x]; ok && !isFloat(dtype) {
		return l.cast(x, protos.TensorProto_FLOAT)
	}
	return x
}

// floatVector is a constant of rank 1, of the type of a value.
func (l *lowering) floatVector(like string, values []float32) string {
	v := l.weight(&protos.TensorProto{Name: l.fresh(), DataType: int32(protos.TensorProto_FLOAT),
		Dims: []int64{int64(len(values))}, FloatData: values})
	if to := l.floatType(like); to != protos.TensorProto_FLOAT {
		v = l.cast(v, to)
	}
	return v
}

// linearScores is x·coefficientsᵀ + intercepts, for a number of outputs.
func (l *lowering) linearScores(n *protos.NodeProto, outputs int64) (value, refusal string) {
	coefficients, intercepts := attribute(n, "coefficients").GetFloats(), attribute(n, "intercepts").GetFloats()
	if outputs < 1 || len(coefficients) == 0 || int64(len(coefficients))%outputs != 0 || len(intercepts) > 0 &&
		int64(len(intercepts)) != outputs {
		return "", "its coefficients or intercepts are not as many as its outputs"
	}
	x := l.asFloat(n.Input[0])
	w := l.op("Reshape", l.floatVector(x, coefficients), l.integers(outputs, int64(len(coefficients))/outputs))
	y := l.op("MatMul", x, l.permuted(w, 1, 0))
	if len(intercepts) > 0 {
		y = l.op("Add", y, l.floatVector(x, intercepts))
	}
	return y, ""
}

// linearClassifier gives scores of one class or probabilities, and as labels the numbers of the
// classes.
func linearClassifier(l *lowering, n *protos.NodeProto) (bool, error) {
	labels, names := attribute(n, "classlabels_ints").GetInts(), attribute(n, "classlabels_strings").GetStrings()
	classes := int64(max(len(labels), len(names)))
	intercepts := attribute(n, "intercepts").GetFloats()
	outputs := int64(len(intercepts))
	if outputs == 0 {
		outputs = classes
	}
	y, refusal := l.linearScores(n, outputs)
	if refusal != "" || outputs != classes {
		return refused(n, "%s its scores are not one for each of %d classes, so that it", refusal, classes)
	}
	switch post := stringOr(n, "post_transform", "NONE"); post {
	case "NONE":
	case "SOFTMAX":
		y = l.softmax(y, -1)
	case "LOGISTIC":
		y = l.op("Sigmoid", y)
	default:
		return refused(n, "the attribute post_transform is %q", post)
	}
	l.finishOutput(n, 1, y)
	at := l.opWith("ArgMax", append(axisAttribute(-1), intAttribute("keepdims", 0)), y)
	if len(labels) > 0 {
		at = l.op("Gather", l.integers(labels...), at)
	}
	return l.finish(n, at)
}

// fusedConv is a convolution, to which a fourth input is added, and an activation.
func fusedConv(l *lowering, n *protos.NodeProto) (bool, error) {
	conv := &protos.NodeProto{Name: n.Name, OpType: "Conv", Input: n.Input[:min(3, len(n.Input))],
		Output: []string{l.fresh()}, Attribute: withoutAttribute(n, "activation")}
	remove(conv, "activation_params")
	if err := l.node(conv); err != nil {
		return false, err
	}
	y, params := conv.Output[0], attribute(n, "activation_params").GetFloats()
	if added := input(n, 3); added != "" {
		y = l.op("Add", y, added)
	}
	kind := stringOr(n, "activation", "")
	if want := map[string]int{"LeakyRelu": 1, "Clip": 2, "HardSigmoid": 2}[kind]; len(params) != want {
		return refused(n, "the attribute activation is %q with %d activation_params", kind, len(params))
	}
	switch kind {
	case "":
		return l.finish(n, y)
	case "Relu", "Sigmoid", "Tanh":
		return l.finish(n, l.op(kind, y))
	case "LeakyRelu":
		return l.finish(n, l.negative(y, l.op("Mul", y, l.scalar(y, params[0])), y))
	case "Clip":
		return l.finish(n, l.op("Clip", y, l.scalar(y, params[0]), l.scalar(y, params[1])))
	case "HardSigmoid":
		y = l.op("Add", l.op("Mul", y, l.scalar(y, params[0])), l.scalar(y, params[1]))
		return l.finish(n, l.op("Clip", y, l.scalar(y, 0), l.scalar(y, 1)))
	}
	return refused(n, "the attribute activation is %q", kind)
}

// fusedGemm is a Gemm and an activation, whose attributes have a prefix.
func fusedGemm(l *lowering, n *protos.NodeProto) (bool, error) {
	const prefix = "activation_"
	gemm := &protos.NodeProto{Name: n.Name, OpType: "Gemm", Input: n.Input, Output: []string{l.fresh()}}
	activation := &protos.NodeProto{Name: n.Name, OpType: stringOr(n, "activation", ""), Input: gemm.Output,
		Output: n.Output}
	for _, a := range n.Attribute {
		if name, ok := strings.CutPrefix(a.Name, prefix); ok {
			activation.Attribute = append(activation.Attribute, &protos.AttributeProto{Name: name, Type: a.Type, F: a.F})
		} else if a.Name != "activation" {
			gemm.Attribute = append(gemm.Attribute, a)
		}
	}
	kinds := []string{"Elu", "HardSigmoid", "LeakyRelu", "Relu", "Selu", "Sigmoid", "Softplus", "Softsign", "Tanh",
		"ThresholdedRelu"}
	if !slices.Contains(kinds, activation.OpType) {
		return refused(n, "the attribute activation is %q", activation.OpType)
	}
	if err := l.node(gemm); err != nil {
		return false, err
	}
	return true, l.node(activation)
}
