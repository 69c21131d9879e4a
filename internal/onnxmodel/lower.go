package onnxmodel

import (
	"fmt"
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
	stated   map[string]int               // ranks of computed values that the file states, where they were used
}

// lower rewrites the nodes of a graph, and of the graphs inside its nodes. Nodes that are refused
// stay.
func lower(g *protos.GraphProto, opset int64) *lowered {
	all := &lowered{origins: make(map[string]*protos.NodeProto), refusals: make(map[string]error),
		hints: make(map[string]string), folded: make(map[string][]int64), ranks: make(map[string]int)}
	all.types, all.stated = make(map[string]int32), make(map[string]int)
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
	l.keepKnown()
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

// refused returns the error, of one line, for a form of an operator that is not known to be
// computed correctly.
func refused(n *protos.NodeProto, format string, args ...any) (bool, error) {
	return false, fmt.Errorf("operator %s: %s, which is not supported", nodeName(n), fmt.Sprintf(format, args...))
}
