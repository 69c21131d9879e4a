package onnxmodel

import (
	"fmt"
	"math"
	"slices"

	"github.com/gomlx/compute-onnx/support/protos"
)

func (l *lowering) fresh() string {
	l.names++
	return fmt.Sprintf("gcml.lowered.%d", l.names)
}

// op emits an operator of a single output, and returns the name of its value.
func (l *lowering) op(op string, inputs ...string) string {
	return l.opWith(op, nil, inputs...)
}

func (l *lowering) opWith(op string, attributes []*protos.AttributeProto, inputs ...string) string {
	out := l.fresh()
	l.add(&protos.NodeProto{Name: out, OpType: op, Input: inputs, Output: []string{out}, Attribute: attributes})
	return out
}

// finish gives a value the name of the output of the node that it replaces.
func (l *lowering) finish(n *protos.NodeProto, value string) (bool, error) {
	l.finishOutput(n, 0, value)
	return true, nil
}

// finishOutput does the same for one of several outputs, if it is used.
func (l *lowering) finishOutput(n *protos.NodeProto, index int, value string) {
	if used(n, index) {
		l.add(&protos.NodeProto{Name: n.Name, OpType: "Identity", Input: []string{value},
			Output: n.Output[index : index+1 : index+1]})
	}
}

// refuseUse refuses an output of a node where something uses it, for a reason.
func (l *lowering) refuseUse(n *protos.NodeProto, index int, reason string) {
	outputs := make([]string, index+1)
	outputs[index] = n.Output[index]
	_, l.refusals[n.Output[index]] = refused(n, "%s", reason)
	l.add(&protos.NodeProto{Name: n.Name, OpType: n.OpType, Domain: n.Domain, Input: n.Input, Output: outputs})
}

// checked returns x. If a condition that the importer can evaluate does not hold, the importer
// refuses to build x, and explain gives the reason.
func (l *lowering) checked(x, condition, reason string) string {
	factor := l.op("Where", condition, l.integer(1), l.integer(math.MinInt32))
	y := l.op("Reshape", x, l.op("Mul", l.op("Shape", x), factor))
	l.hints[y] = reason
	return y
}

// scalar is a constant of the float type of a value.
func (l *lowering) scalar(like string, x float32) string {
	dtype, ok := l.dtypes[like]
	if !ok || !isFloat(dtype) {
		dtype = l.float
	}
	name := l.fresh()
	one := l.fresh()
	l.weight(&protos.TensorProto{Name: one, DataType: int32(protos.TensorProto_FLOAT), FloatData: []float32{x}})
	if dtype == int32(protos.TensorProto_FLOAT) {
		return one
	}
	l.add(&protos.NodeProto{Name: name, OpType: "Cast", Input: []string{one}, Output: []string{name},
		Attribute: []*protos.AttributeProto{intAttribute("to", int64(dtype))}})
	return name
}

// integers is a constant of rank 1.
func (l *lowering) integers(values ...int64) string {
	t := &protos.TensorProto{Name: l.fresh(), DataType: int32(protos.TensorProto_INT64), Dims: []int64{int64(len(values))},
		Int64Data: values}
	return l.weight(t)
}

func (l *lowering) integer(value int64) string {
	return l.weight(&protos.TensorProto{Name: l.fresh(), DataType: int32(protos.TensorProto_INT64),
		Int64Data: []int64{value}})
}

// weight adds a constant as a node, because the importer does not support weights in graphs inside
// nodes.
func (l *lowering) weight(t *protos.TensorProto) string {
	l.dtypes[t.Name] = t.DataType
	if withoutElements(t) {
		l.zeros(t.Name, t.DataType, t.Dims)
		return t.Name
	}
	l.add(&protos.NodeProto{Name: t.Name, OpType: "Constant", Output: []string{t.Name},
		Attribute: []*protos.AttributeProto{{Name: "value", Type: protos.AttributeProto_TENSOR, T: t}}})
	return t.Name
}

// withoutElements reports whether a constant is an array of several axes without elements. go-xla
// writes those so that XLA cannot read them.
func withoutElements(t *protos.TensorProto) bool {
	return len(t.Dims) > 1 && slices.Contains(t.Dims, 0) && elementBytes[protos.TensorProto_DataType(t.DataType)] > 0
}

// zeros emits zeros of a type, which has elementBytes, as a value of the name.
func (l *lowering) zeros(name string, dtype int32, dims []int64) {
	zero := &protos.TensorProto{DataType: dtype, Dims: []int64{1},
		RawData: make([]byte, elementBytes[protos.TensorProto_DataType(dtype)])}
	l.add(&protos.NodeProto{Name: name, OpType: "ConstantOfShape", Input: []string{l.integers(dims...)},
		Output:    []string{name},
		Attribute: []*protos.AttributeProto{{Name: "value", Type: protos.AttributeProto_TENSOR, T: zero}}})
}
