package onnxmodel

import (
	"fmt"
	"maps"
	"math/bits"
	"slices"

	"github.com/gomlx/compute-onnx/support/protos"
)

// maxNodes is far above any real network. The importer calls itself for each node on a path, and a
// path of many millions would take more stack than Go gives.
const maxNodes = 100_000

// checkNames refuses a graph that defines a value twice, and operators whose inputs neither the
// graph nor those around it define. The latter's values are outer.
func checkNames(g *protos.GraphProto, outer map[string]bool) error {
	defined := maps.Clone(outer)
	if defined == nil {
		defined = make(map[string]bool)
	}
	for _, in := range g.Input {
		defined[in.Name] = true
	}
	for _, w := range g.Initializer {
		defined[w.Name] = true
	}
	for _, w := range g.SparseInitializer {
		defined[w.GetValues().GetName()] = true
	}
	for _, n := range g.Node {
		for _, out := range n.Output {
			if out != "" && defined[out] && !outer[out] {
				return fmt.Errorf("operator %s: its output %q is defined twice, which ONNX does not allow", nodeName(n), out)
			}
			defined[out] = true
		}
	}
	for _, n := range g.Node {
		for _, in := range n.Input {
			if in != "" && !defined[in] {
				return fmt.Errorf("operator %s: nothing defines its input %q", nodeName(n), in)
			}
		}
		for _, a := range n.Attribute {
			if a.G != nil {
				if err := checkNames(a.G, defined); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// validate refuses faults that the importer does not check for: tensors that claim more elements
// than they hold, operators that lack inputs, and cycles.
func validate(g *protos.GraphProto, folder *dataFolder) error {
	v := validator{folder: folder, visits: make(map[*protos.NodeProto]visit)}
	return v.graph(g, nil)
}

type validator struct {
	folder *dataFolder
	nodes  int
	visits map[*protos.NodeProto]visit
}

// visit is the state of a node in the search for cycles.
type visit struct {
	begun, finished bool
}

// scope is a graph. One inside an operator can use the values of the graph around it.
type scope struct {
	outside   *scope
	leaves    map[string]bool // inputs and weights
	producers map[string]*protos.NodeProto
}

func newScope(g *protos.GraphProto, outside *scope) *scope {
	s := &scope{outside: outside, leaves: make(map[string]bool), producers: make(map[string]*protos.NodeProto)}
	for _, in := range g.Input {
		s.leaves[in.Name] = true
	}
	for _, w := range g.Initializer {
		s.leaves[w.Name] = true
	}
	for _, n := range g.Node {
		for _, out := range n.Output {
			if out != "" {
				s.producers[out] = n
			}
		}
	}
	return s
}

// find returns the node that computes a value, and the graph in which it is; nil for an input, a
// weight or a value that nothing computes, which the importer names.
func (s *scope) find(name string) (*protos.NodeProto, *scope) {
	for ; s != nil; s = s.outside {
		if s.leaves[name] {
			return nil, nil
		}
		if n := s.producers[name]; n != nil {
			return n, s
		}
	}
	return nil, nil
}

func (v *validator) graph(g *protos.GraphProto, outside *scope) error {
	if v.nodes += len(g.Node); v.nodes > maxNodes {
		return fmt.Errorf("the network has more than %d nodes", maxNodes)
	}
	for _, w := range g.Initializer {
		if _, ok := elementBytes[protos.TensorProto_DataType(w.DataType)]; !ok {
			return fmt.Errorf("weight %s is of type %s, which is not supported", w.Name, protos.TensorProto_DataType(w.DataType))
		}
		if err := v.tensor(w); err != nil {
			return err
		}
	}
	if len(g.SparseInitializer) > 0 {
		return fmt.Errorf("weight %s is sparse, which is not supported: store it dense",
			g.SparseInitializer[0].GetValues().GetName())
	}
	s := newScope(g, outside)
	for _, n := range g.Node {
		if err := v.node(n); err != nil {
			return err
		}
	}
	for _, n := range g.Node {
		if err := v.follow(n, s); err != nil {
			return err
		}
	}
	return nil
}

// node checks an operator by itself.
func (v *validator) node(n *protos.NodeProto) error {
	if countNamed(n.Output) == 0 {
		return fmt.Errorf("operator %s has no output", nodeName(n))
	}
	if err := checkInputs(n); err != nil {
		return err
	}
	for _, a := range n.Attribute {
		for _, t := range append(slices.Clone(a.Tensors), a.T, a.SparseTensor.GetValues(), a.SparseTensor.GetIndices()) {
			if t == nil {
				continue
			}
			if err := v.tensor(t); err != nil {
				return fmt.Errorf("operator %s: %w", nodeName(n), err)
			}
		}
	}
	return nil
}

// checkInputs refuses an operator that lacks inputs which the importer and the rewrites read
// without checking.
func checkInputs(n *protos.NodeProto) error {
	least, ok := leastInputs[operatorKey(n)]
	if !ok {
		least = leastInputs[n.OpType]
	}
	if len(n.Input) < least || slices.Contains(n.Input[:least], "") {
		return fmt.Errorf("operator %s lacks inputs: it has %d, and needs %d", nodeName(n), countNamed(n.Input), least)
	}
	return nil
}

func countNamed(inputs []string) (count int) {
	for _, name := range inputs {
		if name != "" {
			count++
		}
	}
	return count
}

// follow looks for a cycle through a node.
func (v *validator) follow(n *protos.NodeProto, s *scope) error {
	switch state := v.visits[n]; {
	case state.finished:
		return nil
	case state.begun:
		return fmt.Errorf("operator %s is part of a cycle: its input depends on its output", nodeName(n))
	}
	v.visits[n] = visit{begun: true}
	for _, name := range n.Input {
		if from, in := s.find(name); from != nil {
			if err := v.follow(from, in); err != nil {
				return err
			}
		}
	}
	for _, a := range n.Attribute {
		for _, inner := range append(slices.Clone(a.Graphs), a.G) {
			if inner == nil {
				continue
			}
			if err := v.graph(inner, s); err != nil {
				return err
			}
		}
	}
	v.visits[n] = visit{begun: true, finished: true}
	return nil
}

// tensor checks that a tensor has the data that its shape needs, so that no more memory is
// allocated than the file holds.
func (v *validator) tensor(t *protos.TensorProto) error {
	count, ok := elements(t.Dims)
	if !ok {
		return fmt.Errorf("tensor %s has the impossible shape %v", t.Name, t.Dims)
	}
	size, ok := elementBytes[protos.TensorProto_DataType(t.DataType)]
	high, bytes := bits.Mul64(uint64(count), uint64(size))
	switch {
	case count == 0 || !ok: // Nothing is allocated, or the importer names the type that it does not know.
		return nil
	case high != 0 || bytes > 1<<62:
		return fmt.Errorf("tensor %s has the impossible shape %v", t.Name, t.Dims)
	case len(t.ExternalData) > 0:
		return v.folder.check(t, int64(bytes))
	case t.RawData != nil && int64(len(t.RawData)) != int64(bytes):
		return fmt.Errorf("tensor %s of shape %v takes %d bytes, but comes with %d", t.Name, t.Dims, bytes, len(t.RawData))
	case t.RawData == nil && listed(t) != count:
		return fmt.Errorf("tensor %s of shape %v has %d elements, but lists %d", t.Name, t.Dims, count, listed(t))
	}
	return nil
}

// elements returns the product of the dimensions. It returns false if one is negative, or if the
// product overflows.
func elements(dims []int64) (int64, bool) {
	count, empty := uint64(1), false
	for _, d := range dims {
		if d < 0 {
			return 0, false
		}
		if d == 0 {
			empty = true
			continue
		}
		high, low := bits.Mul64(count, uint64(d))
		if high != 0 || low > 1<<62 {
			return 0, false
		}
		count = low
	}
	if empty {
		return 0, true
	}
	return int64(count), true
}

// elementBytes is the size of the types that the importer knows.
var elementBytes = map[protos.TensorProto_DataType]int64{
	protos.TensorProto_BOOL: 1, protos.TensorProto_INT8: 1, protos.TensorProto_UINT8: 1,
	protos.TensorProto_FLOAT16: 2, protos.TensorProto_BFLOAT16: 2, protos.TensorProto_INT16: 2,
	protos.TensorProto_UINT16: 2,
	protos.TensorProto_FLOAT:  4, protos.TensorProto_INT32: 4, protos.TensorProto_UINT32: 4,
	protos.TensorProto_DOUBLE: 8, protos.TensorProto_INT64: 8, protos.TensorProto_UINT64: 8,
	protos.TensorProto_COMPLEX64:  8,
	protos.TensorProto_COMPLEX128: 16,
}

// leastInputs is the number of inputs that the importer reads without checking, by operator. It is
// ONNX's minimum over all opsets, because old ones have axes, shapes and pads as attributes. An
// operator of another domain has its own number, if the domain is before its name.
// Operators that need no input have no entry.
var leastInputs = operatorCounts(map[int][]string{
	1: {"Abs", "Acos", "ArgMax", "Asin", "Atan", "EyeLike", "IsInf", "ArgMin", "AveragePool", "Cast", "Ceil", "Clip",
		"Concat", "ConstantOfShape", "Cos",
		"DynamicQuantizeLinear", "Einsum", "Erf", "Exp", "FastGelu", "Flatten", "Floor", "Gelu", "GlobalAveragePool",
		"HardSwish", "Identity", "If", "IsNaN", "Log", "LpPool", "Max", "MaxPool", "Pad", "Min", "Neg", "NonZero", "Not",
		"BitwiseNot", "DFT", "HannWindow", "HammingWindow", "BlackmanWindow",
		"Reciprocal", "ReduceL2", "ReduceMax", "ReduceMean", "ReduceMin", "ReduceProd", "ReduceSum", "Relu", "Reshape",
		"Resize",
		"Shape", "Sigmoid", "Sign", "Sin", "Size", "Slice", "Softmax", "Split", "Sqrt", "Squeeze", "Tanh", "TopK",
		"Transpose", "Trilu",
		"Unsqueeze", "com.microsoft.MultiHeadAttention"},
	2: {"Add", "AffineGrid", "BiasGelu", "com.microsoft.Attention", "FusedConv", "FusedMatMul",
		"And", "BitwiseAnd", "BitwiseOr", "BitwiseXor",
		"Conv", "ConvTranspose", "CumSum", "DequantizeLinear", "Div", "Equal", "Expand", "Gather", "GatherElements",
		"GatherND", "Gemm", "Greater", "GreaterOrEqual", "GridSample", "LayerNormalization", "Less", "LessOrEqual",
		"MatMul", "MatMulInteger", "Mod", "Mul", "Or", "PRelu", "Pow", "QuantizeLinear", "RMSNormalization",
		"SimplifiedLayerNormalization", "STFT", "Sub", "Tile", "Xor"},
	3: {"Attention", "Col2Im", "GroupNormalization", "GRU", "InstanceNormalization", "LSTM", "Range", "RNN", "Scatter",
		"ScatterElements", "ScatterND", "Where"},
	5: {"BatchNormalization", "MelWeightMatrix"},
	8: {"QLinearMatMul"},
})

func operatorCounts(byCount map[int][]string) map[string]int {
	counts := make(map[string]int)
	for count, operators := range byCount {
		for _, op := range operators {
			counts[op] = count
		}
	}
	return counts
}

// nodeName names a node in messages: its operator, and its name or that of its output.
func nodeName(n *protos.NodeProto) string {
	name := n.Name
	for _, out := range n.Output {
		if name == "" {
			name = out
		}
	}
	return fmt.Sprintf("%s (%s)", n.OpType, name)
}

// listed returns the number of elements that a tensor lists in the field of its type.
func listed(t *protos.TensorProto) int64 {
	n := len(t.Int32Data)
	switch protos.TensorProto_DataType(t.DataType) {
	case protos.TensorProto_FLOAT:
		n = len(t.FloatData)
	case protos.TensorProto_COMPLEX64: // Real and imaginary parts.
		n = len(t.FloatData) / 2
	case protos.TensorProto_DOUBLE:
		n = len(t.DoubleData)
	case protos.TensorProto_COMPLEX128:
		n = len(t.DoubleData) / 2
	case protos.TensorProto_INT64:
		n = len(t.Int64Data)
	case protos.TensorProto_UINT32, protos.TensorProto_UINT64:
		n = len(t.Uint64Data)
	}
	return int64(n)
}
