package onnxmodel

import (
	"fmt"
	"slices"

	"github.com/gomlx/compute-onnx/support/protos"
)

// A rewrite expresses a node by nodes whose form the importer computes rightly, or refuses it. It
// returns true if what it emitted replaces the node, and false if the node stays as it is, perhaps
// with attributes or inputs changed in place.
type rewrite func(l *lowering, n *protos.NodeProto) (replaced bool, err error)

// rewrites by operator of ONNX's own domain.
var rewrites = map[string]rewrite{}

func register(family map[string]rewrite) bool {
	for op, r := range family {
		rewrites[op] = r
	}
	return true
}

// lowering rewrites one graph.
type lowering struct {
	graph *protos.GraphProto
	opset int64
	// dtypes of values as far as they are known, and the type of the network's first float input for
	// those that are not.
	dtypes  map[string]int32
	float   int32
	emitted []*protos.NodeProto
	names   *int // how many names were made, in this graph and those around it
}

// lower rewrites the nodes of a graph, and of the graphs inside its nodes.
func lower(g *protos.GraphProto, opset int64) error {
	names := 0
	return lowerGraph(g, opset, int32(protos.TensorProto_FLOAT), map[string]int32{}, &names)
}

func lowerGraph(g *protos.GraphProto, opset int64, float int32, outside map[string]int32, names *int) error {
	l := &lowering{graph: g, opset: opset, dtypes: outside, float: float, names: names}
	for _, w := range g.Initializer {
		l.dtypes[w.Name] = w.DataType
	}
	for _, v := range slices.Concat(g.ValueInfo, g.Output, g.Input) {
		if t := v.GetType().GetTensorType(); t != nil && t.ElemType != 0 {
			l.dtypes[v.Name] = t.ElemType
		}
	}
	for _, in := range g.Input {
		if dtype := l.dtypes[in.Name]; isFloat(dtype) {
			l.float = dtype
			break
		}
	}
	for _, n := range g.Node {
		if err := l.node(n); err != nil {
			return err
		}
	}
	g.Node = l.emitted
	return nil
}

func (l *lowering) node(n *protos.NodeProto) error {
	for _, a := range n.Attribute {
		for _, inner := range append(slices.Clone(a.Graphs), a.G) {
			if inner == nil {
				continue
			}
			if err := lowerGraph(inner, l.opset, l.float, l.dtypes, l.names); err != nil {
				return err
			}
		}
	}
	// The importer goes by the operator's name alone: one of another domain, a function of the file for
	// example, may do something else.
	switch n.Domain {
	case "", "ai.onnx", "ai.onnx.ml", "com.microsoft":
	default:
		return fmt.Errorf("operator %s: it is of the domain %q, whose operators are not supported", nodeName(n), n.Domain)
	}
	r := rewrites[n.OpType]
	if r == nil || (n.Domain != "" && n.Domain != "ai.onnx") || len(n.Input) == 0 || len(n.Output) == 0 {
		l.add(n)
		return nil
	}
	replaced, err := r(l, n)
	if err == nil && !replaced {
		l.add(n)
	}
	return err
}

func (l *lowering) add(n *protos.NodeProto) {
	for _, out := range n.Output {
		if _, known := l.dtypes[out]; known {
			continue
		}
		if to := attribute(n, "to"); n.OpType == "Cast" && to != nil {
			l.dtypes[out] = int32(to.I)
		} else if len(n.Input) > 0 && isFloat(l.dtypes[n.Input[0]]) {
			l.dtypes[out] = l.dtypes[n.Input[0]]
		}
	}
	l.emitted = append(l.emitted, n)
}

func isFloat(dtype int32) bool {
	switch protos.TensorProto_DataType(dtype) {
	case protos.TensorProto_FLOAT, protos.TensorProto_DOUBLE, protos.TensorProto_FLOAT16, protos.TensorProto_BFLOAT16:
		return true
	}
	return false
}

func (l *lowering) fresh() string {
	*l.names++
	return fmt.Sprintf("gcml.lowered.%d", *l.names)
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
	l.add(&protos.NodeProto{Name: n.Name, OpType: "Identity", Input: []string{value}, Output: n.Output[:1]})
	return true, nil
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
	t := &protos.TensorProto{Name: l.fresh(), DataType: int32(protos.TensorProto_INT64), Dims: []int64{int64(len(values))}, Int64Data: values}
	return l.weight(t)
}

func (l *lowering) integer(value int64) string {
	return l.weight(&protos.TensorProto{Name: l.fresh(), DataType: int32(protos.TensorProto_INT64), Int64Data: []int64{value}})
}

// weight adds a constant by a node, as graphs inside of nodes may have no weights for the importer.
func (l *lowering) weight(t *protos.TensorProto) string {
	l.dtypes[t.Name] = t.DataType
	l.add(&protos.NodeProto{Name: t.Name, OpType: "Constant", Output: []string{t.Name},
		Attribute: []*protos.AttributeProto{{Name: "value", Type: protos.AttributeProto_TENSOR, T: t}}})
	return t.Name
}

// rank of a value as far as the file says it.
func (l *lowering) rank(name string) (int, bool) {
	for _, w := range l.graph.Initializer {
		if w.Name == name {
			return len(w.Dims), true
		}
	}
	for _, v := range slices.Concat(l.graph.Input, l.graph.ValueInfo, l.graph.Output) {
		if shape := v.GetType().GetTensorType().GetShape(); v.Name == name && shape != nil {
			return len(shape.Dim), true
		}
	}
	return 0, false
}

// constant is the value of a weight or of a Constant node of integers.
func (l *lowering) constant(name string) ([]int64, bool) {
	for _, w := range l.graph.Initializer {
		if w.Name == name {
			return integersOf(w)
		}
	}
	for _, n := range l.emitted {
		if n.OpType != "Constant" || !slices.Contains(n.Output, name) {
			continue
		}
		for _, a := range n.Attribute {
			switch a.Name {
			case "value":
				return integersOf(a.T)
			case "value_ints":
				return a.Ints, true
			case "value_int":
				return []int64{a.I}, true
			}
		}
	}
	return nil, false
}

func integersOf(t *protos.TensorProto) ([]int64, bool) {
	var size int
	switch {
	case t == nil || len(t.ExternalData) > 0:
		return nil, false
	case t.DataType == int32(protos.TensorProto_INT64):
		if t.RawData == nil {
			return t.Int64Data, true
		}
		size = 8
	case t.DataType == int32(protos.TensorProto_INT32):
		if t.RawData == nil {
			var values []int64
			for _, v := range t.Int32Data {
				values = append(values, int64(v))
			}
			return values, true
		}
		size = 4
	default:
		return nil, false
	}
	var values []int64
	for raw := t.RawData; len(raw) >= size; raw = raw[size:] {
		var v uint64
		for i := range size {
			v |= uint64(raw[i]) << (8 * i)
		}
		if size == 4 {
			v = uint64(int64(int32(v)))
		}
		values = append(values, int64(v))
	}
	return values, true
}

func intAttribute(name string, v int64) *protos.AttributeProto {
	return &protos.AttributeProto{Name: name, Type: protos.AttributeProto_INT, I: v}
}

func intsAttribute(name string, v ...int64) *protos.AttributeProto {
	return &protos.AttributeProto{Name: name, Type: protos.AttributeProto_INTS, Ints: v}
}

func intOr(n *protos.NodeProto, name string, otherwise int64) int64 {
	if a := attribute(n, name); a != nil {
		return a.I
	}
	return otherwise
}

func floatOr(n *protos.NodeProto, name string, otherwise float32) float32 {
	if a := attribute(n, name); a != nil {
		return a.F
	}
	return otherwise
}

func stringOr(n *protos.NodeProto, name, otherwise string) string {
	if a := attribute(n, name); a != nil {
		return string(a.S)
	}
	return otherwise
}

func remove(n *protos.NodeProto, names ...string) {
	n.Attribute = slices.DeleteFunc(n.Attribute, func(a *protos.AttributeProto) bool { return slices.Contains(names, a.Name) })
}

// used tells whether a node has an output at an index that has a name.
func used(n *protos.NodeProto, index int) bool { return index < len(n.Output) && n.Output[index] != "" }

// input is the name of an optional input, or "".
func input(n *protos.NodeProto, index int) string {
	if index < len(n.Input) {
		return n.Input[index]
	}
	return ""
}

// refused is the one line for a form of an operator that is not known to be right.
func refused(n *protos.NodeProto, format string, args ...any) (bool, error) {
	return false, fmt.Errorf("operator %s: %s, which is not supported", nodeName(n), fmt.Sprintf(format, args...))
}
