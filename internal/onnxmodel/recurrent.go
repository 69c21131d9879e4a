package onnxmodel

import (
	"fmt"
	"slices"
	"strings"

	"github.com/gomlx/compute-onnx/support/protos"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/layers/activation"
)

// Recurrent layers are built with GoMLX, step by step, as the number of steps is only known with
// the inputs: the importer has an LSTM of fewer forms, no GRU and no RNN.
var _ = register(map[string]rewrite{"LSTM": recurrentForm, "GRU": recurrentForm, "RNN": recurrentForm})

// gates of a cell, in the order of their weights.
var gates = map[string]int{"LSTM": 4, "GRU": 3, "RNN": 1}

// mostSteps limits the length of a sequence: each step is a part of the graph.
const mostSteps = 4096

// recurrent is a node with what its attributes say.
type recurrent struct {
	node              *protos.NodeProto
	reverse           []bool // for each direction
	activations       [][]activationFn
	clip              float64
	batchFirst        bool
	inputForget       bool // of an LSTM
	linearBeforeReset bool // of a GRU
}

type activationFn = func(x *graph.Node) *graph.Node

// recurrentForm refuses what newRecurrent does.
func recurrentForm(_ *lowering, n *protos.NodeProto) (bool, error) {
	_, refusal := newRecurrent(n)
	if refusal != "" {
		return refused(n, "%s", refusal)
	}
	return false, nil
}

// recurrentInside refuses a recurrent layer in a graph inside of a node, which the importer builds,
// but for the LSTM that it has.
func recurrentInside(n *protos.NodeProto) error {
	if gates[n.OpType] == 0 || !isOwn(n) {
		return nil
	}
	plain := n.OpType == "LSTM" && input(n, 3) != "" && input(n, 4) == "" && input(n, 7) == ""
	for _, a := range n.Attribute {
		plain = plain && (a.Name == "hidden_size" || a.Name == "direction" && string(a.S) == "forward")
	}
	if plain {
		return nil
	}
	_, err := refused(n, "it is inside of a branch that no constant chooses, and not a plain LSTM")
	return err
}

func newRecurrent(n *protos.NodeProto) (*recurrent, string) {
	r := &recurrent{node: n, clip: float64(floatOr(n, "clip", 0)), batchFirst: intOr(n, "layout", 0) != 0,
		inputForget: intOr(n, "input_forget", 0) != 0, linearBeforeReset: intOr(n, "linear_before_reset", 0) != 0}
	switch direction := stringOr(n, "direction", "forward"); direction {
	case "forward":
		r.reverse = []bool{false}
	case "reverse":
		r.reverse = []bool{true}
	case "bidirectional":
		r.reverse = []bool{false, true}
	default:
		return nil, fmt.Sprintf("the attribute direction is %q", direction)
	}
	names := map[string][]string{"LSTM": {"Sigmoid", "Tanh", "Tanh"}, "GRU": {"Sigmoid", "Tanh"},
		"RNN": {"Tanh"}}[n.OpType]
	each := len(names)
	names = slices.Repeat(names, len(r.reverse))
	if a := attribute(n, "activations"); a != nil {
		if len(a.Strings) != len(names) {
			return nil, fmt.Sprintf("it has %d activations, not %d", len(a.Strings), len(names))
		}
		for i, s := range a.Strings {
			names[i] = string(s)
		}
	}
	all, refusal := activationsOf(n, names)
	if refusal != "" {
		return nil, refusal
	}
	for d := range r.reverse {
		r.activations = append(r.activations, all[d*each:(d+1)*each])
	}
	return r, ""
}

// activationsOf makes functions of their names. Those that have parameters take them from the
// attributes in their order, or have the defaults of ONNX's operators. Lists of another length are
// refused, because implementations differ in which function gets which.
func activationsOf(n *protos.NodeProto, names []string) (all []activationFn, refusal string) {
	var alphas, betas int
	for _, name := range names {
		known, ok := activations[strings.ToLower(name)]
		if !ok {
			return nil, fmt.Sprintf("it has the activation %s", name)
		}
		alphas, betas = alphas+boolInt(known.alpha != 0), betas+boolInt(known.beta != 0)
	}
	given := func(name string) []float32 {
		if a := attribute(n, name); a != nil {
			return a.Floats
		}
		return nil
	}
	alpha, beta := given("activation_alpha"), given("activation_beta")
	if len(alpha) != 0 && len(alpha) != alphas || len(beta) != 0 && len(beta) != betas {
		return nil, fmt.Sprintf("it has %d values of activation_alpha and %d of activation_beta, and its activations take %d and %d",
			len(alpha), len(beta), alphas, betas)
	}
	next := func(values *[]float32, otherwise float64) float64 {
		if otherwise == 0 || len(*values) == 0 {
			return otherwise
		}
		v := (*values)[0]
		*values = (*values)[1:]
		return float64(v)
	}
	for _, name := range names {
		known := activations[strings.ToLower(name)]
		if known.needed && (len(alpha) == 0 || len(beta) == 0) {
			return nil, fmt.Sprintf("it has the activation %s without activation_alpha or activation_beta", name)
		}
		a, b := next(&alpha, known.alpha), next(&beta, known.beta)
		all = append(all, func(x *graph.Node) *graph.Node { return known.fn(x, a, b) })
	}
	return all, ""
}

// parameterized is an activation with the defaults of its parameters, 0 for one that it has not.
type parameterized struct {
	fn          func(x *graph.Node, alpha, beta float64) *graph.Node
	alpha, beta float64
	needed      bool // It has no defaults.
}

// activations by their names in lower case, as files differ in that.
var activations = map[string]parameterized{
	"sigmoid":  {fn: func(x *graph.Node, _, _ float64) *graph.Node { return graph.Sigmoid(x) }},
	"tanh":     {fn: func(x *graph.Node, _, _ float64) *graph.Node { return graph.Tanh(x) }},
	"relu":     {fn: func(x *graph.Node, _, _ float64) *graph.Node { return activation.Relu(x) }},
	"softsign": {fn: func(x *graph.Node, _, _ float64) *graph.Node { return graph.Div(x, graph.OnePlus(graph.Abs(x))) }},
	"softplus": {fn: func(x *graph.Node, _, _ float64) *graph.Node {
		return graph.Add(activation.Relu(x), graph.Log1P(graph.Exp(graph.Neg(graph.Abs(x)))))
	}},
	"hardsigmoid": {alpha: 0.2, beta: 0.5, fn: func(x *graph.Node, alpha, beta float64) *graph.Node {
		return graph.ClipScalar(graph.AddScalar(graph.MulScalar(x, alpha), beta), 0, 1)
	}},
	"leakyrelu": {alpha: 0.01, fn: func(x *graph.Node, alpha, _ float64) *graph.Node {
		return graph.Where(graph.LessThan(x, graph.ScalarZero(x.Graph(), x.DType())), graph.MulScalar(x, alpha), x)
	}},
	"thresholdedrelu": {alpha: 1, fn: func(x *graph.Node, alpha, _ float64) *graph.Node {
		return graph.Where(graph.GreaterThan(x, graph.Scalar(x.Graph(), x.DType(), alpha)), x, graph.ZerosLike(x))
	}},
	"elu": {alpha: 1, fn: func(x *graph.Node, alpha, _ float64) *graph.Node {
		below := graph.MinScalar(x, 0)
		return graph.Where(graph.Equal(below, x), graph.MulScalar(graph.MinusOne(graph.Exp(below)), alpha), x)
	}},
	"affine": {alpha: 1, beta: 1, needed: true, fn: func(x *graph.Node, alpha, beta float64) *graph.Node {
		return graph.AddScalar(graph.MulScalar(x, alpha), beta)
	}},
	"scaledtanh": {alpha: 1, beta: 1, needed: true, fn: func(x *graph.Node, alpha, beta float64) *graph.Node {
		return graph.MulScalar(graph.Tanh(graph.MulScalar(x, beta)), alpha)
	}},
}

// layer is the weights of a direction: input [gates·hidden, features], weights [gates·hidden,
// hidden], the biases of both [gates·hidden], and an LSTM's peepholes [3·hidden] or nil.
type layer struct {
	*recurrent
	input, weights, inputBias, recurrentBias, peepholes *graph.Node
	hidden                                              int
	activations                                         []activationFn
}

// build computes the outputs Y, Y_h and, of an LSTM, Y_c. Inputs are the node's, nil where left
// out.
func (r *recurrent) build(inputs []*graph.Node) []*graph.Node {
	in := func(i int) *graph.Node {
		if i < len(inputs) {
			return inputs[i]
		}
		return nil
	}
	x, w, rec := in(0), in(1), in(2)
	x.AssertRank(3)
	w.AssertRank(3)
	rec.AssertRank(3)
	initialHidden, initialCell := in(5), in(6)
	if r.batchFirst {
		x = graph.TransposeAllAxes(x, 1, 0, 2)
		for _, initial := range []**graph.Node{&initialHidden, &initialCell} {
			if *initial != nil {
				*initial = graph.TransposeAllAxes(*initial, 1, 0, 2)
			}
		}
	}
	steps, batch, hidden := x.Shape().Dim(0), x.Shape().Dim(1), rec.Shape().Dim(2)
	count := gates[r.node.OpType]
	if steps < 1 || steps > mostSteps {
		panic(fmt.Errorf("a sequence of %d steps is not supported: from 1 to %d are", steps, mostSteps))
	}
	rec.AssertDims(len(r.reverse), count*hidden, hidden)
	w.AssertDims(len(r.reverse), count*hidden, x.Shape().Dim(2))
	var outputs, lastHidden, lastCell []*graph.Node
	for d, reverse := range r.reverse {
		of := func(v *graph.Node) *graph.Node {
			if v == nil {
				return nil
			}
			return graph.Squeeze(graph.SliceAxis(v, 0, graph.AxisRange(d, d+1)), 0)
		}
		l := layer{recurrent: r, input: of(w), weights: of(rec), hidden: hidden, peepholes: of(in(7)),
			activations: r.activations[d]}
		biases := of(in(3))
		if biases == nil {
			biases = graph.Zeros(x.Graph(), shapes.Make(x.DType(), 2*count*hidden))
		}
		l.inputBias = graph.SliceAxis(biases, 0, graph.AxisRange(0, count*hidden))
		l.recurrentBias = graph.SliceAxis(biases, 0, graph.AxisRange(count*hidden, 2*count*hidden))
		hiddenState, cell := of(initialHidden), of(initialCell)
		zero := graph.Zeros(x.Graph(), shapes.Make(x.DType(), batch, hidden))
		if hiddenState == nil {
			hiddenState = zero
		}
		if cell == nil {
			cell = zero
		}
		y, h, c := l.run(x, in(4), hiddenState, cell, reverse)
		outputs, lastHidden, lastCell = append(outputs, y), append(lastHidden, h), append(lastCell, c)
	}
	y, h, c := graph.Stack(outputs, 1), graph.Stack(lastHidden, 0), graph.Stack(lastCell, 0)
	if r.batchFirst {
		y, h, c = graph.TransposeAllAxes(y, 2, 0, 1, 3), graph.TransposeAllAxes(h, 1, 0, 2),
			graph.TransposeAllAxes(c, 1, 0, 2)
	}
	return []*graph.Node{y, h, c}
}

// run goes through the steps of x [steps, batch, features], and returns all hidden states [steps,
// batch, hidden], and the last hidden state and cell [batch, hidden]. Beyond the length of an
// example its states stay, and its output is 0.
func (l *layer) run(x, lengths, hidden, cell *graph.Node, reverse bool) (all, lastHidden, lastCell *graph.Node) {
	steps := x.Shape().Dim(0)
	fromInput := graph.Einsum("tbi,gi->tbg", x, l.input)
	fromInput = graph.Add(fromInput, graph.ExpandLeftToRank(l.inputBias, 3))
	outputs := make([]*graph.Node, steps)
	for i := range steps {
		t := i
		if reverse {
			t = steps - 1 - i
		}
		step := graph.Squeeze(graph.SliceAxis(fromInput, 0, graph.AxisRange(t, t+1)), 0)
		nextHidden, nextCell := l.step(step, hidden, cell)
		output := nextHidden
		if lengths != nil {
			inside := graph.LessThan(graph.Scalar(x.Graph(), dtypes.Int32, t), graph.ConvertDType(lengths, dtypes.Int32))
			inside = graph.BroadcastToDims(graph.ExpandAxes(inside, -1), hidden.Shape().Dimensions...)
			nextHidden, nextCell = graph.Where(inside, nextHidden, hidden), graph.Where(inside, nextCell, cell)
			output = graph.Where(inside, output, graph.ZerosLike(output))
		}
		hidden, cell, outputs[t] = nextHidden, nextCell, output
	}
	return graph.Stack(outputs, 0), hidden, cell
}

// step is one step of a cell: from what the input gives the gates [batch, gates·hidden], and the
// states before [batch, hidden].
func (l *layer) step(x, hidden, cell *graph.Node) (nextHidden, nextCell *graph.Node) {
	f := l.activations
	fromHidden := graph.Add(graph.Einsum("bh,gh->bg", hidden, l.weights), graph.ExpandLeftToRank(l.recurrentBias, 2))
	switch l.node.OpType {
	case "RNN":
		return f[0](l.clipped(graph.Add(x, fromHidden))), cell
	case "GRU":
		update := f[0](l.clipped(graph.Add(l.gate(x, 0), l.gate(fromHidden, 0))))
		reset := f[0](l.clipped(graph.Add(l.gate(x, 1), l.gate(fromHidden, 1))))
		candidate := graph.Mul(reset, l.gate(fromHidden, 2))
		if !l.linearBeforeReset {
			weights := graph.SliceAxis(l.weights, 0, graph.AxisRange(2*l.hidden, 3*l.hidden))
			bias := graph.SliceAxis(l.recurrentBias, 0, graph.AxisRange(2*l.hidden, 3*l.hidden))
			candidate = graph.Add(graph.Einsum("bh,gh->bg", graph.Mul(reset, hidden), weights), graph.ExpandLeftToRank(bias, 2))
		}
		candidate = f[1](l.clipped(graph.Add(l.gate(x, 2), candidate)))
		return graph.Add(graph.Mul(graph.OneMinus(update), candidate), graph.Mul(update, hidden)), cell
	}
	sum := graph.Add(x, fromHidden)
	input := f[0](l.clipped(l.peep(l.gate(sum, 0), cell, 0)))
	forget := graph.OneMinus(input)
	if !l.inputForget {
		forget = f[0](l.clipped(l.peep(l.gate(sum, 2), cell, 2)))
	}
	nextCell = graph.Add(graph.Mul(forget, cell), graph.Mul(input, f[1](l.clipped(l.gate(sum, 3)))))
	output := f[0](l.clipped(l.peep(l.gate(sum, 1), nextCell, 1)))
	return graph.Mul(output, f[2](nextCell)), nextCell
}

// gate is the part of [batch, gates·hidden] that belongs to one.
func (l *layer) gate(x *graph.Node, i int) *graph.Node {
	return graph.SliceAxis(x, -1, graph.AxisRange(i*l.hidden, (i+1)*l.hidden))
}

func (l *layer) peep(gate, cell *graph.Node, i int) *graph.Node {
	if l.peepholes == nil {
		return gate
	}
	return graph.Add(gate, graph.Mul(cell, graph.ExpandLeftToRank(l.gate(l.peepholes, i), 2)))
}

func (l *layer) clipped(x *graph.Node) *graph.Node {
	if l.clip <= 0 {
		return x
	}
	return graph.ClipScalar(x, -l.clip, l.clip)
}
