package onnxmodel

import (
	"slices"

	"github.com/gomlx/compute-onnx/support/protos"
)

var _ = register(map[string]rewrite{
	"ReduceLogSum": func(l *lowering, n *protos.NodeProto) (bool, error) {
		return logOf(l, n, func() string { return l.reduced("ReduceSum", n, n.Input[0]) })
	},
	"ReduceLogSumExp": func(l *lowering, n *protos.NodeProto) (bool, error) {
		// Shifted by the largest value, so that no exponential overflows.
		return logOf(l, n, func() string {
			x := n.Input[0]
			kept := &protos.NodeProto{Input: n.Input,
				Attribute: append(withoutAttribute(n, "keepdims"), intAttribute("keepdims", 1))}
			shifted := l.op("Sub", x, l.reduced("ReduceMax", kept, x))
			return l.reduced("ReduceSum", n, l.op("Exp", shifted))
		})
	},
	"GlobalMaxPool": func(l *lowering, n *protos.NodeProto) (bool, error) {
		return l.finish(n, l.op("ReduceMax", n.Input[0], l.axesFrom(n.Input[0], 2)))
	},
	"InstanceNormalization": func(l *lowering, n *protos.NodeProto) (bool, error) {
		if len(n.Input) < 3 || l.opset < 6 {
			return refused(n, "it lacks inputs, or has the form from before opset 6")
		}
		x := n.Input[0]
		y := l.standardized(x, l.axesFrom(x, 2), floatOr(n, "epsilon", 1e-5))
		return l.finish(n, l.channels(x, y, n.Input[1], n.Input[2]))
	},
	"GroupNormalization": func(l *lowering, n *protos.NodeProto) (bool, error) {
		groups := intOr(n, "num_groups", 0)
		if len(n.Input) < 3 || groups < 1 {
			return refused(n, "it lacks inputs or the attribute num_groups")
		}
		x := n.Input[0]
		y := l.standardized(l.op("Reshape", x, l.integers(0, groups, -1)), l.integers(2), floatOr(n, "epsilon", 1e-5))
		if l.opset < 21 { // One scale and bias for each group, not for each channel.
			y = l.channels(y, y, n.Input[1], n.Input[2])
			return l.finish(n, l.op("Reshape", y, l.op("Shape", x)))
		}
		return l.finish(n, l.channels(x, l.op("Reshape", y, l.op("Shape", x)), n.Input[1], n.Input[2]))
	},
	"LayerNormalization": layerNormalization,
	"LpNormalization": func(l *lowering, n *protos.NodeProto) (bool, error) {
		x, axis := n.Input[0], intOr(n, "axis", -1)
		var norm string
		switch p := intOr(n, "p", 2); p {
		case 1:
			norm = l.opWith("ReduceSum", reduceAttributes(axis), l.op("Abs", x))
		case 2:
			norm = l.sqrtOrZero(l.opWith("ReduceSum", reduceAttributes(axis), l.op("Mul", x, x)))
		default:
			return refused(n, "the attribute p is %d", p)
		}
		// A vector of zeros stays zero.
		norm = l.op("Where", l.op("Equal", norm, l.scalar(x, 0)), l.scalar(x, 1), norm)
		return l.finish(n, l.op("Div", x, norm))
	},
	"MeanVarianceNormalization": func(l *lowering, n *protos.NodeProto) (bool, error) {
		x, axes := n.Input[0], l.integers(intsOr(n, "axes", []int64{0, 2, 3})...)
		centered := l.op("Sub", x, l.op("ReduceMean", x, axes))
		deviation := l.sqrtOrZero(l.op("ReduceMean", l.op("Mul", centered, centered), axes))
		return l.finish(n, l.op("Div", centered, l.op("Add", deviation, l.scalar(x, 1e-9))))
	},
	"LRN": func(l *lowering, n *protos.NodeProto) (bool, error) {
		// The sum over the neighbouring channels of each channel.
		x, size := n.Input[0], intOr(n, "size", 0)
		if size < 1 || size > mostSlices {
			return refused(n, "the attribute size is %d", size)
		}
		before, after := (size-1)/2, size/2
		pads := func(count int64) string {
			here := l.cast(l.op("Equal", l.axesFrom(x, 0), l.integer(1)), protos.TensorProto_INT64)
			return l.op("Mul", here, l.integer(count))
		}
		wide := l.op("Pad", l.op("Mul", x, x), l.opWith("Concat", axisAttribute(0), pads(before), pads(after)),
			l.scalar(x, 0))
		channels := l.op("Gather", l.op("Shape", x), l.integers(1))
		var squares []string
		for k := range size {
			squares = append(squares, l.op("Slice", wide, l.integers(k), l.op("Add", channels, l.integer(k)), l.integers(1)))
		}
		scaled := l.op("Mul", l.sum(squares), l.scalar(x, floatOr(n, "alpha", 1e-4)/float32(size)))
		divisor := l.op("Pow", l.op("Add", scaled, l.scalar(x, floatOr(n, "bias", 1))), l.scalar(x, floatOr(n, "beta", 0.75)))
		return l.finish(n, l.op("Div", x, divisor))
	},
	"RMSNormalization": func(l *lowering, n *protos.NodeProto) (bool, error) {
		if len(n.Input) < 2 {
			return refused(n, "it lacks its scale")
		}
		return l.finish(n, l.rootMeanSquare(n.Input[0], n.Input[1], floatOr(n, "epsilon", 1e-5), intOr(n, "axis", -1)))
	},
})

// orZero applies a root to values that are not negative. At 0, where a root has no derivative, the
// gradient is 0, as that of PyTorch's norms is.
func (l *lowering) orZero(x string, root func(x string) string) string {
	none := l.op("Equal", x, l.scalar(x, 0))
	return l.op("Where", none, l.scalar(x, 0), root(l.op("Where", none, l.scalar(x, 1), x)))
}

func (l *lowering) sqrtOrZero(x string) string {
	return l.orZero(x, func(x string) string { return l.op("Sqrt", x) })
}

// layerNormalization is written out, because the importer supports neither the mean and the inverse
// standard deviation as outputs, nor a scale or bias of fewer axes than are normalized.
func layerNormalization(l *lowering, n *protos.NodeProto) (bool, error) {
	x := n.Input[0]
	axes := l.axesFrom(x, intOr(n, "axis", -1))
	mean := l.op("ReduceMean", x, axes)
	centered := l.op("Sub", x, mean)
	variance := l.op("ReduceMean", l.op("Mul", centered, centered), axes)
	inverse := l.op("Reciprocal", l.op("Sqrt", l.op("Add", variance, l.scalar(x, floatOr(n, "epsilon", 1e-5)))))
	y := l.op("Mul", l.op("Mul", centered, inverse), n.Input[1])
	if bias := input(n, 2); bias != "" {
		y = l.op("Add", y, bias)
	}
	l.finishOutput(n, 1, mean)
	l.finishOutput(n, 2, inverse)
	return l.finish(n, y)
}

// reduced reduces a value over the axes of the node.
func (l *lowering) reduced(op string, n *protos.NodeProto, x string) string {
	inputs := slices.Clone(n.Input)
	inputs[0] = x
	if len(inputs) > 1 && inputs[1] == "" {
		inputs = inputs[:1]
	}
	return l.opWith(op, slices.Clone(n.Attribute), inputs...)
}

func withoutAttribute(n *protos.NodeProto, name string) []*protos.AttributeProto {
	return slices.DeleteFunc(slices.Clone(n.Attribute), func(a *protos.AttributeProto) bool { return a.Name == name })
}

// logOf is the logarithm of a sum. It refuses noop_with_empty_axes, because versions of ONNX define
// it differently.
func logOf(l *lowering, n *protos.NodeProto, sum func() string) (bool, error) {
	if intOr(n, "noop_with_empty_axes", 0) != 0 {
		return refused(n, "the attribute noop_with_empty_axes is 1")
	}
	y := l.op("Log", sum())
	if n.OpType == "ReduceLogSumExp" {
		y = l.op("Add", y, l.reduced("ReduceMax", n, n.Input[0]))
	}
	return l.finish(n, y)
}

// axesFrom is the axes of x from a first one to the last.
func (l *lowering) axesFrom(x string, first int64) string {
	rank := l.op("Size", l.op("Shape", x))
	from := l.integer(first)
	if first < 0 {
		from = l.op("Add", rank, from)
	}
	return l.op("Range", from, rank, l.integer(1))
}

// standardized has mean 0 and variance 1 over the axes.
func (l *lowering) standardized(x, axes string, epsilon float32) string {
	centered := l.op("Sub", x, l.op("ReduceMean", x, axes))
	variance := l.op("ReduceMean", l.op("Mul", centered, centered), axes)
	return l.op("Div", centered, l.op("Sqrt", l.op("Add", variance, l.scalar(x, epsilon))))
}

// channels is y·scale + bias along axis 1 of x: scale and bias of shape [channels].
func (l *lowering) channels(x, y, scale, bias string) string {
	ones := l.op("Add", l.op("Mul", l.axesFrom(x, 2), l.integer(0)), l.integer(1))
	shape := l.opWith("Concat", axisAttribute(0), l.integers(-1), ones)
	return l.op("Add", l.op("Mul", y, l.op("Reshape", scale, shape)), l.op("Reshape", bias, shape))
}
