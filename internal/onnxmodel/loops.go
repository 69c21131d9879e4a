package onnxmodel

import (
	"fmt"
	"slices"

	"github.com/gomlx/compute-onnx/support/protos"
	"google.golang.org/protobuf/proto"
)

// A Loop or Scan is written as its steps, one after another, if the file tells how many they are:
// from constants, counters, and the shapes of the inputs that the file states.

// unroll writes out the steps of a node, and reports whether the node has steps.
func (l *lowering) unroll(n *protos.NodeProto) (isLoop bool, err error) {
	switch operatorKey(n) {
	case "Loop":
		return true, l.loop(n)
	case "Scan":
		return true, l.scan(n)
	}
	return false, nil
}

// loop writes out the steps of a Loop. The body has the inputs step, condition and carried values,
// and the outputs condition, carried values and what is collected of each step.
func (l *lowering) loop(n *protos.NodeProto) error {
	body := attribute(n, "body").GetG()
	carried := max(0, len(n.Input)-2)
	if body == nil || len(body.Input) != 2+carried || len(body.Output) < 1+carried || len(n.Output) >= len(body.Output) {
		return unsupported(n, "its body has not the inputs and outputs of a Loop")
	}
	most := int64(-1) // Until the condition ends it.
	if count := input(n, 0); count != "" {
		values, ok := l.constant(count)
		if !ok || len(values) != 1 {
			return unsupported(n,
				"the file does not tell its number of steps: export the network with a fixed length of sequences")
		}
		most = max(0, values[0])
	}
	goesOn := true
	if condition := input(n, 1); condition != "" {
		var known bool
		if goesOn, known = l.boolean(condition); !known {
			return unsupported(n, "its condition is computed from the inputs")
		}
	}
	state := slices.Clone(n.Input[min(2, len(n.Input)):])
	collected := make([][]string, len(body.Output)-1-carried)
	for step := int64(0); goesOn && step != most; step++ {
		if step == mostSteps {
			return unsupported(n, "it has more than %d steps", mostSteps)
		}
		outputs, err := l.bodyOnce(body, append([]string{l.integer(step), l.truth(true)}, state...))
		if err != nil {
			return err
		}
		if step+1 != most {
			var known bool
			if goesOn, known = l.boolean(outputs[0]); !known {
				return unsupported(n, "its condition is computed from the inputs")
			}
		}
		for i := range state {
			state[i] = outputs[1+i]
			if values, ok := l.constant(state[i]); ok {
				l.folded[state[i]] = values
			}
		}
		for i := range collected {
			collected[i] = append(collected[i], outputs[1+carried+i])
		}
	}
	for i, value := range state {
		l.finishOutput(n, i, value)
	}
	for i, values := range collected {
		if err := l.finishCollected(n, carried+i, values, 0); err != nil {
			return err
		}
	}
	return nil
}

// scan writes out the steps of a Scan. The body has carried values and a slice of each sequence as
// inputs, and carried values and what is collected as outputs.
func (l *lowering) scan(n *protos.NodeProto) error {
	body := attribute(n, "body").GetG()
	sequences := int(intOr(n, "num_scan_inputs", 0))
	carried := len(n.Input) - sequences
	if body == nil || sequences < 1 || carried < 0 || len(body.Input) != len(n.Input) || len(body.Output) < carried ||
		len(n.Output) > len(body.Output) || slices.Contains(n.Input, "") {
		return unsupported(n, "its body has not the inputs and outputs of a Scan")
	}
	kinds := len(body.Output) - carried
	axes, fromEnd := intsOr(n, "scan_input_axes", make([]int64, sequences)),
		intsOr(n, "scan_input_directions", make([]int64, sequences))
	outAxes, outFromEnd := intsOr(n, "scan_output_axes", make([]int64, kinds)),
		intsOr(n, "scan_output_directions", make([]int64, kinds))
	if len(axes) != sequences || len(fromEnd) != sequences || len(outAxes) != kinds || len(outFromEnd) != kinds {
		return unsupported(n, "its axes or directions are not as many as its sequences")
	}
	steps, ok := l.sizeOf(n.Input[carried], axes[0], 16)
	if !ok || steps < 1 || steps > mostSteps {
		return unsupported(n,
			"the file does not tell its number of steps, or they are more than %d: export the network with a "+
				"fixed length of sequences", mostSteps)
	}
	state := slices.Clone(n.Input[:carried])
	collected := make([][]string, kinds)
	for step := range steps {
		inputs := slices.Clone(state)
		for i := range sequences {
			at := step
			if fromEnd[i] != 0 {
				at = steps - 1 - step
			}
			inputs = append(inputs, l.opWith("Gather", axisAttribute(axes[i]), n.Input[carried+i], l.integer(at)))
		}
		outputs, err := l.bodyOnce(body, inputs)
		if err != nil {
			return err
		}
		state = outputs[:carried:carried]
		for i := range collected {
			collected[i] = append(collected[i], outputs[carried+i])
		}
	}
	for i, value := range state {
		l.finishOutput(n, i, value)
	}
	for i, values := range collected {
		if outFromEnd[i] != 0 {
			slices.Reverse(values)
		}
		if err := l.finishCollected(n, carried+i, values, outAxes[i]); err != nil {
			return err
		}
	}
	return nil
}

// finishCollected stacks the results of the steps along a new axis, as an output.
func (l *lowering) finishCollected(n *protos.NodeProto, output int, values []string, axis int64) error {
	if !used(n, output) {
		return nil
	}
	if len(values) == 0 {
		return unsupported(n, "it has no step that gives the output %s", n.Output[output])
	}
	for i, v := range values {
		values[i] = l.op("Unsqueeze", v, l.integers(axis))
	}
	l.finishOutput(n, output, l.opWith("Concat", axisAttribute(axis), values...))
	return nil
}

// bodyOnce adds the nodes of a graph inside of a node, with values in place of its inputs, and
// returns the names of its outputs.
func (l *lowering) bodyOnce(body *protos.GraphProto, inputs []string) ([]string, error) {
	names := make(map[string]string)
	for i, in := range body.Input {
		names[in.Name] = inputs[i]
	}
	once := proto.CloneOf(body)
	once.Input = nil
	l.bodies++
	s := separator{taken: make(map[string]bool), suffix: fmt.Sprintf("step%d.", l.bodies)}
	takeAll(body, s.taken)
	s.graph(once, names)
	for _, v := range once.ValueInfo {
		if t := v.GetType().GetTensorType(); t != nil && t.ElemType != 0 {
			l.dtypes[v.Name] = t.ElemType
		}
	}
	l.graph.ValueInfo = append(l.graph.ValueInfo, once.ValueInfo...)
	for _, w := range once.Initializer {
		l.weight(w)
	}
	for _, n := range once.Node {
		if err := l.node(n); err != nil {
			return nil, err
		}
		if len(l.emitted) > maxNodes {
			return nil, fmt.Errorf("operator %s: its steps have more than %d nodes", nodeName(n), maxNodes)
		}
	}
	var outputs []string
	for _, out := range once.Output {
		outputs = append(outputs, out.Name)
	}
	return outputs, nil
}

// takeAll marks all names that a graph and the graphs inside it define.
func takeAll(g *protos.GraphProto, taken map[string]bool) {
	for _, in := range g.Input {
		taken[in.Name] = true
	}
	for _, w := range g.Initializer {
		taken[w.Name] = true
	}
	for _, n := range g.Node {
		for _, out := range n.Output {
			taken[out] = true
		}
		for _, a := range n.Attribute {
			if a.G != nil {
				takeAll(a.G, taken)
			}
		}
	}
}

// sizeOf is the size of an axis, from a weight or the shape of an input that the file states, going
// back a number of nodes.
func (l *lowering) sizeOf(name string, axis int64, depth int) (int64, bool) {
	if t := l.tensor(name); t != nil {
		return at(t.Dims, axis)
	}
	for _, in := range l.graph.Input {
		if in.Name != name {
			continue
		}
		var dims []int64
		for _, d := range in.GetType().GetTensorType().GetShape().GetDim() {
			dims = append(dims, d.GetDimValue())
		}
		size, ok := at(dims, axis)
		return size, ok && size > 0
	}
	n := l.makers[name]
	switch {
	case n == nil && l.outer != nil:
		return l.outer.sizeOf(name, axis, depth)
	case n == nil || depth == 0 || len(n.Input) == 0 || !isOwn(n):
		return 0, false
	case n.OpType == "Transpose":
		from, ok := at(intsOr(n, "perm", nil), axis)
		if !ok {
			return 0, false
		}
		return l.sizeOf(n.Input[0], from, depth-1)
	case slices.Contains(elementwise, n.OpType):
		return l.sizeOf(n.Input[0], axis, depth-1)
	case n.OpType == "Reshape" && len(n.Input) > 1:
		dims, known := l.fold(n.Input[1], depth-1)
		size, ok := at(dims, axis)
		return size, known && ok && size > 0
	}
	return 0, false
}

// elementwise has operators of one value that keep its shape.
var elementwise = []string{"Identity", "Cast", "Relu", "Tanh", "Sigmoid", "Neg", "Abs", "Exp", "Log", "Sqrt", "Erf",
	"Softmax", "Clip", "Floor", "Ceil", "Round", "Sign", "Sin", "Cos", "Reciprocal", "Dropout"}

// at returns element i of a list, counted from the end if i is negative.
func at(list []int64, i int64) (int64, bool) {
	if i < 0 {
		i += int64(len(list))
	}
	if i < 0 || i >= int64(len(list)) {
		return 0, false
	}
	return list[i], true
}

// truth adds a boolean constant.
func (l *lowering) truth(yes bool) string {
	return l.weight(&protos.TensorProto{Name: l.fresh(), DataType: int32(protos.TensorProto_BOOL),
		Int32Data: []int32{int32(boolInt(yes))}})
}

// unsupported is refused for callers that return only an error.
func unsupported(n *protos.NodeProto, format string, args ...any) error {
	_, err := refused(n, format, args...)
	return err
}
