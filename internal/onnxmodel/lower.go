package onnxmodel

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"

	"github.com/gomlx/compute-onnx/support/protos"
	"google.golang.org/protobuf/proto"
)

// A rewrite expresses a node by nodes that the importer computes correctly, or refuses it. It
// returns true if the emitted nodes replace the node, and false if the node stays, perhaps with
// attributes or inputs changed in place.
type rewrite func(l *lowering, n *protos.NodeProto) (replaced bool, err error)

// rewrites by operator, as in allowed.
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
	// dtypes of values as far as they are known, and the type of the network's first float input
	// for those that are not.
	dtypes  map[string]int32
	float   int32
	emitted []*protos.NodeProto
	outer   *lowering // of the graph around this one, or nil
	weights map[string]*protos.TensorProto
	makers  map[string]*protos.NodeProto // of what is emitted
	*lowered
}

// lowered holds the facts about a whole file that the rewrites need, by the names of values.
type lowered struct {
	names    int                          // how many were made
	origins  map[string]*protos.NodeProto // the node of the file that a value belongs to
	refusals map[string]error             // of the node that computes a value
	hints    map[string]string            // why a value that checks sizes cannot be built
	folded   map[string][]int64           // of values that have been computed
	ranks    map[string]int               // that have been inferred, -1 for one that cannot be
	bodies   int                          // how many steps of loops were written out
	types    map[string]int32             // as far as they are known
}

// lower rewrites the nodes of a graph, and of the graphs inside its nodes. Nodes that are refused
// stay.
func lower(g *protos.GraphProto, opset int64) *lowered {
	all := &lowered{origins: make(map[string]*protos.NodeProto), refusals: make(map[string]error),
		hints: make(map[string]string), folded: make(map[string][]int64), ranks: make(map[string]int)}
	all.types = make(map[string]int32)
	lowerGraph(&lowering{graph: g, opset: opset, float: int32(protos.TensorProto_FLOAT), dtypes: all.types, lowered: all})
	return all
}

// newLowering is for a graph that was lowered before.
func newLowering(g *protos.GraphProto, before *lowered) *lowering {
	l := &lowering{graph: g, float: int32(protos.TensorProto_FLOAT), dtypes: before.types, lowered: before}
	l.weights, l.makers = make(map[string]*protos.TensorProto), make(map[string]*protos.NodeProto)
	for _, w := range g.Initializer {
		l.weights[w.Name] = w
	}
	return l
}

func lowerGraph(l *lowering) {
	g := l.graph
	l.weights, l.makers = make(map[string]*protos.TensorProto), make(map[string]*protos.NodeProto)
	for _, w := range g.Initializer {
		l.weights[w.Name] = w
	}
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
		first := len(l.emitted)
		original := proto.CloneOf(n)
		err := l.node(n)
		if err != nil {
			l.emitted = l.emitted[:first:first]
			l.add(proto.CloneOf(original))
		}
		for _, e := range l.emitted[first:] {
			for _, out := range e.Output {
				if l.origins[out] == nil {
					l.origins[out] = original
				}
				if err != nil {
					l.refusals[out] = err
				}
			}
		}
	}
	g.Node = l.emitted
}

func (l *lowering) node(n *protos.NodeProto) error {
	trimInputs(n)
	remove(n, "consumed_inputs") // It says what may be overwritten, before opset 6.
	if err := checkForm(n, l.opset); err != nil {
		return err
	}
	if isLoop, err := l.unroll(n); isLoop {
		return err
	}
	for _, a := range n.Attribute {
		for _, inner := range append(slices.Clone(a.Graphs), a.G) {
			if inner != nil {
				lowerGraph(&lowering{graph: inner, opset: l.opset, float: l.float, dtypes: l.dtypes, outer: l, lowered: l.lowered})
			}
		}
	}
	r := rewrites[operatorKey(n)]
	if r == nil || len(n.Input) == 0 && n.OpType != "Constant" || len(n.Output) == 0 {
		l.add(n)
		return nil
	}
	replaced, err := r(l, n)
	if err == nil && !replaced {
		l.add(n)
	}
	return err
}

// trimInputs removes the optional inputs that are left out at the end.
func trimInputs(n *protos.NodeProto) {
	for len(n.Input) > 0 && n.Input[len(n.Input)-1] == "" {
		n.Input = n.Input[:len(n.Input)-1]
	}
}

// add emits a node. It names outputs that have no name, because the importer takes several
// without a name for the same value.
func (l *lowering) add(n *protos.NodeProto) {
	for len(n.Output) > 1 && n.Output[len(n.Output)-1] == "" {
		n.Output = n.Output[:len(n.Output)-1]
	}
	for i, out := range n.Output {
		if out == "" && len(n.Output) > 1 {
			n.Output[i] = l.fresh()
		}
	}
	for i, out := range n.Output {
		l.makers[out] = n
		if _, known := l.dtypes[out]; !known {
			if dtype := l.outputType(n, i); dtype != 0 {
				l.dtypes[out] = dtype
			}
		}
	}
	l.emitted = append(l.emitted, n)
}

// outputType is the type of an output of a node, or 0 if it is not known.
func (l *lowering) outputType(n *protos.NodeProto, i int) int32 {
	const boolean, index = int32(protos.TensorProto_BOOL), int32(protos.TensorProto_INT64)
	switch n.OpType {
	case "Equal", "Less", "LessOrEqual", "Greater", "GreaterOrEqual", "IsNaN", "Not", "And", "Or", "Xor":
		return boolean
	case "Shape", "Size", "ArgMax", "ArgMin", "NonZero":
		return index
	case "OneHot", "DequantizeLinear":
		return 0
	case "Cast":
		return int32(intOr(n, "to", 0))
	case "Constant":
		return attribute(n, "value").GetT().GetDataType()
	case "ConstantOfShape":
		if value := attribute(n, "value").GetT(); value != nil {
			return value.DataType
		}
		return int32(protos.TensorProto_FLOAT)
	case "If":
		if outputs := attribute(n, "then_branch").GetG().GetOutput(); i < len(outputs) {
			return l.dtypes[outputs[i].Name]
		}
		return 0
	case "TopK":
		if i == 1 {
			return index
		}
	}
	for _, in := range n.Input {
		if isFloat(l.dtypes[in]) {
			return l.dtypes[in]
		}
	}
	// These operators of integers or booleans have an output of the first input's type.
	if len(n.Input) > 0 && slices.Contains(ofFirstInput, n.OpType) {
		return l.dtypes[n.Input[0]]
	}
	return 0
}

// ofFirstInput has operators of integers and booleans whose first output is of the type of their
// first input.
var ofFirstInput = []string{"Add", "Sub", "Mul", "Div", "Mod", "Neg", "Abs", "Max", "Min", "Identity", "Reshape",
	"Squeeze", "Unsqueeze", "Flatten", "Transpose", "Expand", "Tile", "Concat", "Split", "Slice", "Gather", "Range",
	"ReduceSum", "ReduceMax", "ReduceMin", "ReduceProd"}

func isFloat(dtype int32) bool {
	switch protos.TensorProto_DataType(dtype) {
	case protos.TensorProto_FLOAT, protos.TensorProto_DOUBLE, protos.TensorProto_FLOAT16, protos.TensorProto_BFLOAT16:
		return true
	}
	return false
}

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
	l.add(&protos.NodeProto{Name: t.Name, OpType: "Constant", Output: []string{t.Name},
		Attribute: []*protos.AttributeProto{{Name: "value", Type: protos.AttributeProto_TENSOR, T: t}}})
	return t.Name
}

// constant is the value of a weight, a Constant node or a few operators of these, of integers.
func (l *lowering) constant(name string) ([]int64, bool) { return l.fold(name, 16) }

// fold computes operators that PyTorch's exporter applies to constants, such as Unsqueeze and
// Concat, going back a number of nodes.
func (l *lowering) fold(name string, depth int) ([]int64, bool) {
	if values, ok := l.folded[name]; ok {
		return values, true
	}
	if t := l.tensor(name); t != nil {
		return integersOf(t)
	}
	n := l.makers[name]
	if n == nil && l.outer != nil {
		return l.outer.fold(name, depth)
	}
	if n == nil || depth == 0 || len(n.Input) == 0 {
		return nil, false
	}
	if size, ok := l.foldSize(n, depth); ok {
		return []int64{size}, true
	}
	var all [][]int64
	for _, in := range n.Input {
		values, ok := l.fold(in, depth-1)
		if !ok {
			return nil, false
		}
		all = append(all, values)
	}
	combine := func(f func(a, b int64) int64) ([]int64, bool) {
		if len(all) != 2 || len(all[0]) != len(all[1]) {
			return nil, false
		}
		values := make([]int64, len(all[0]))
		for i := range values {
			values[i] = f(all[0][i], all[1][i])
		}
		return values, true
	}
	switch n.OpType {
	case "Identity", "Unsqueeze", "Squeeze", "Reshape":
		return all[0], true
	case "Cast":
		to := protos.TensorProto_DataType(intOr(n, "to", 0))
		return all[0], to == protos.TensorProto_INT64 || to == protos.TensorProto_INT32 ||
			(to == protos.TensorProto_FLOAT || to == protos.TensorProto_DOUBLE) && areSmall(all[0])
	case "Concat":
		return slices.Concat(all...), intOr(n, "axis", 0) == 0
	case "Neg":
		values := slices.Clone(all[0])
		for i := range values {
			values[i] = -values[i]
		}
		return values, true
	case "Add":
		return combine(func(a, b int64) int64 { return a + b })
	case "Sub":
		return combine(func(a, b int64) int64 { return a - b })
	case "Mul":
		return combine(func(a, b int64) int64 { return a * b })
	}
	return nil, false
}

// foldSize returns the size that a Gather selects from a shape that the file states.
func (l *lowering) foldSize(n *protos.NodeProto, depth int) (int64, bool) {
	if n.OpType != "Gather" || intOr(n, "axis", 0) != 0 {
		return 0, false
	}
	shape := l.makers[n.Input[0]]
	for ; shape != nil && shape.OpType == "Cast" && depth > 0; depth-- {
		shape = l.makers[shape.Input[0]]
	}
	index, ok := l.fold(n.Input[1], depth-1)
	if shape == nil || shape.OpType != "Shape" || !ok || len(index) != 1 {
		return 0, false
	}
	return l.sizeOf(shape.Input[0], index[0], depth)
}

// areSmall reports whether 32-bit floats represent the values exactly.
func areSmall(values []int64) bool {
	const most = 1 << 24
	return !slices.ContainsFunc(values, func(v int64) bool { return v < -most || v > most })
}

// wholeOf returns the elements of a tensor of floats, if they are small whole numbers.
func wholeOf(t *protos.TensorProto) (values []int64, ok bool) {
	var floats []float64
	switch {
	case t.DataType == int32(protos.TensorProto_FLOAT) && t.RawData == nil:
		for _, v := range t.FloatData {
			floats = append(floats, float64(v))
		}
	case t.DataType == int32(protos.TensorProto_DOUBLE) && t.RawData == nil:
		floats = t.DoubleData
	case t.DataType == int32(protos.TensorProto_FLOAT):
		for raw := t.RawData; len(raw) >= 4; raw = raw[4:] {
			floats = append(floats, float64(math.Float32frombits(binary.LittleEndian.Uint32(raw))))
		}
	case t.DataType == int32(protos.TensorProto_DOUBLE):
		for raw := t.RawData; len(raw) >= 8; raw = raw[8:] {
			floats = append(floats, math.Float64frombits(binary.LittleEndian.Uint64(raw)))
		}
	default:
		return nil, false
	}
	const most = 1 << 24
	if len(floats) > 16 { // None that counts steps.
		return nil, false
	}
	for _, v := range floats {
		if v != math.Trunc(v) || math.Abs(v) > most {
			return nil, false
		}
		values = append(values, int64(v))
	}
	return values, true
}

func integersOf(t *protos.TensorProto) ([]int64, bool) {
	var size int
	switch {
	case t == nil || len(t.ExternalData) > 0:
		return nil, false
	case isFloat(t.DataType):
		return wholeOf(t)
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
	n.Attribute = slices.DeleteFunc(n.Attribute,
		func(a *protos.AttributeProto) bool { return slices.Contains(names, a.Name) })
}

// used reports whether the output of a node at an index has a name.
func used(n *protos.NodeProto, index int) bool { return index < len(n.Output) && n.Output[index] != "" }

// input is the name of an optional input, or "".
func input(n *protos.NodeProto, index int) string {
	if index < len(n.Input) {
		return n.Input[index]
	}
	return ""
}

// refused returns the error, of one line, for a form of an operator that is not known to be
// computed correctly.
func refused(n *protos.NodeProto, format string, args ...any) (bool, error) {
	return false, fmt.Errorf("operator %s: %s, which is not supported", nodeName(n), fmt.Sprintf(format, args...))
}
