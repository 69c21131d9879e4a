package gcml

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/support/exceptions"
	"github.com/pkg/errors"

	"github.com/geometric-complexity/toolkit/internal/gomlxcompat"
	"github.com/geometric-complexity/toolkit/internal/numbers"
)

// NodeFinding is a node that probably causes a failed check.
type NodeFinding struct {
	Mode string `json:"mode"`
	// Type, Alias and Shape are the node's, and Operands the shapes of its inputs.
	Type     string   `json:"type"`
	Alias    string   `json:"alias,omitempty"`
	Shape    string   `json:"shape"`
	Operands []string `json:"operands"`
	// Scope is the scope of the last variable that the node is computed from, "" for none.
	Scope string `json:"scope,omitempty"`
	// Source is the file and line of the program that created the node.
	Source string `json:"source,omitempty"`
	// Problem describes the fault.
	Problem string `json:"problem"`
}

// String returns one line.
func (f NodeFinding) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "in %s mode, %s %s of %s", f.Mode, f.Type, f.Shape, strings.Join(f.Operands, ", "))
	if f.Alias != "" {
		fmt.Fprintf(&b, ", alias %q", f.Alias)
	}
	if f.Scope != "" {
		fmt.Fprintf(&b, ", scope %s", f.Scope)
	}
	if f.Source != "" {
		fmt.Fprintf(&b, ", created at %s", f.Source)
	}
	return b.String() + ": " + f.Problem
}

// nodesAtOnce is the number of nodes that one graph checks.
const nodesAtOnce = 32

// nodeCheck describes a node whose derivatives a graph computes.
type nodeCheck struct {
	finding NodeFinding
	isStop  bool
	failure string // Why it has no second derivative, or "".
}

// The values that nodeGraph returns for a node. A node that stops gradients has only the first.
const (
	nodeLoss = iota // L
	nodeSum         // S
	nodeLossSlope
	nodeSumSlope
	nodeValues
)

// checkNodes checks the nodes between the inputs or variables and the outputs one by one.
func (c *checker) checkNodes(report *DerivativeReport) error {
	for first, all := 0, 1; first < all; first += nodesAtOnce {
		var checks []nodeCheck
		exec, err := model.NewExec(c.backend, c.store, func(scope *model.Scope, args []*Node) []*Node {
			args[0].Graph().SetTraced(true)
			j := c.build(scope, args)
			t := args[len(args)-1]
			candidates := c.candidates(scope, j)
			all = len(candidates)
			checks = nil
			var results []*Node
			for i, n := range candidates[min(first, all):min(first+nodesAtOnce, all)] {
				check := nodeCheck{finding: describe(n, c.mode), isStop: n.StopGradient()}
				var values []*Node
				err := exceptions.TryCatch[error](func() { values = c.nodeGraph(j, n, t, uint64(first+i)) })
				if err != nil {
					check.failure, values = errors.Cause(err).Error(), slices.Repeat([]*Node{t}, nodeValues)
				}
				checks, results = append(checks, check), append(results, values...)
			}
			return append(results, t)
		})
		if err != nil {
			return err
		}
		err = c.judgeNodes(report, exec, &checks)
		exec.Finalize()
		if err != nil {
			return err
		}
	}
	rank := func(f NodeFinding) int { // A wrong derivative is the more probable cause than a stopped one.
		return slices.IndexFunc(problemOrder, func(p string) bool { return strings.HasPrefix(f.Problem, p) })
	}
	slices.SortStableFunc(report.Nodes, func(a, b NodeFinding) int { return rank(a) - rank(b) })
	return nil
}

const (
	problemFirst  = "its gradient is not the derivative of what it computes"
	problemSecond = "its gradient is right, but the gradient of that is not its derivative"
	problemNone   = "it cannot be differentiated twice"
	problemStop   = "it stops gradients, though the outputs change with it"
)

var problemOrder = []string{problemFirst, problemSecond, problemNone, problemStop}

// judgeNodes runs the graph of some nodes and adds the faulty ones to the report.
func (c *checker) judgeNodes(report *DerivativeReport, exec *model.Exec, checks *[]nodeCheck) error {
	run := func(t float64) ([]float64, error) {
		step, err := numbers.Tensor([]float64{t}, c.scalarDType())
		if err != nil {
			return nil, err
		}
		out, err := c.run(exec, step)
		if err != nil {
			return nil, err
		}
		var flat []float64
		for _, v := range out {
			flat = append(flat, v...)
		}
		return flat, nil
	}
	start, err := run(0)
	if err != nil {
		return err
	}
	slopes, _, err := difference(run, c.step)
	if err != nil {
		return err
	}
	narrow, _, err := difference(run, c.step/4)
	if err != nil {
		return err
	}
	at := 0
	for _, check := range *checks {
		f := check.finding
		differs := func(value, slope int) bool {
			got, want, other := start[at+slope], slopes[at+value], narrow[at+value]
			size := max(math.Abs(got), math.Abs(want), 1e-4*math.Abs(start[at+value]))
			d := math.Abs(got - want)
			f.Problem = fmt.Sprintf(" (%.6g along a random direction, by differences %.6g)", got, want)
			return !(d <= 10*c.tolerance*size) && !(math.Abs(want-other) > d/4) // At a kink the differences depend on the step.
		}
		problem := ""
		switch {
		case check.failure != "":
			problem, f.Problem = problemNone, ": "+check.failure
		case check.isStop:
			slope, size := slopes[at], max(math.Abs(start[at]), 1e-30)
			if math.Abs(slope) > 10*c.tolerance*size {
				problem, f.Problem = problemStop, ", so that derivatives through it are missing"
			}
		case differs(nodeLoss, nodeLossSlope):
			problem = problemFirst
		case differs(nodeSum, nodeSumSlope):
			problem = problemSecond
		}
		if problem != "" {
			f.Problem = problem + f.Problem
			report.Nodes = append(report.Nodes, f)
		}
		at += nodeValues
	}
	return nil
}

// candidates returns the nodes that may be faulty, in the order of the graph: those on a path from
// the inputs or trainable variables to the outputs that do more than move values.
func (c *checker) candidates(scope *model.Scope, j *jacobian) []*Node {
	depends := map[*Node]bool{j.inputs: true}
	for v := range scope.Store().IterVariables() {
		if v.Trainable && v.InUseByGraph(j.inputs.Graph()) {
			depends[v.NodeValue(j.inputs.Graph())] = true
		}
	}
	var candidates []*Node
	for _, n := range ancestors(j.outputs, differentiated) {
		if depends[n] || !slices.ContainsFunc(differentiated(n), func(in *Node) bool { return depends[in] }) {
			continue
		}
		depends[n] = true
		if n.NumOutputs() != 1 || !n.DType().IsFloat() || alternateOf(n) != nil {
			continue
		}
		if n.CustomGradient() == nil && !n.StopGradient() && slices.Contains(plainNodes, n.Type()) {
			continue
		}
		candidates = append(candidates, n)
	}
	return candidates
}

// plainNodes are the types of nodes that only move, repeat or convert values.
var plainNodes = []NodeType{NodeTypeIdentity, NodeTypeReshape, NodeTypeTranspose, NodeTypeBroadcastInDim,
	NodeTypeConvertDType, NodeTypeConstant, NodeTypeParameter}

// differentiated returns the nodes to which the derivative of n passes, ignoring StopGradient.
func differentiated(n *Node) []*Node {
	if alternate := alternateOf(n); alternate != nil {
		return []*Node{alternate}
	}
	return n.Inputs()
}

// nodeGraph returns nodeValues values to judge a node by, with its operands moved by t times a
// random direction. Let y be the value of the node, L = Σ w·y + y²/2 for fixed w, and S the sum of
// the squares of the gradients of L. The values are L, S, and the products of their gradients with
// the direction. For a node that stops gradients the value is Σ w·outputs, with t times a random
// direction added to the node.
func (c *checker) nodeGraph(j *jacobian, n, t *Node, seed uint64) []*Node {
	if n.StopGradient() {
		moved := rebuild(j.outputs, map[*Node]*Node{n: Add(n, Mul(ConvertDType(t, n.DType()), directionLike(n, seed)))}, nil)
		value := ReduceAllSum(Mul(weightsLike(moved), moved))
		return slices.Repeat([]*Node{value}, nodeValues)
	}
	whole := n
	if _, ok := gomlxcompat.SplitOf(n); ok {
		whole = n.Inputs()[0]
	}
	operands := slices.Clone(whole.Inputs())
	var moved, directions []*Node
	for i, in := range operands {
		if in.NumOutputs() != 1 || !in.DType().IsFloat() {
			continue
		}
		d := directionLike(in, seed+uint64(i)<<32)
		operands[i] = Add(StopGradient(in), Mul(ConvertDType(t, in.DType()), d))
		moved, directions = append(moved, operands[i]), append(directions, d)
	}
	y := whole.CloneWithInputs(operands...)
	if whole != n {
		y = n.CloneWithInputs(y)
	}
	loss := ReduceAllSum(Add(Mul(weightsLike(y), y), MulScalar(Square(y), 0.5)))
	first := Gradient(loss, moved...)
	sum := Scalar(t.Graph(), t.DType(), 0)
	lossSlope, sumSlope := sum, sum
	for i, g := range first {
		sum = Add(sum, ConvertDType(ReduceAllSum(Square(g)), t.DType()))
		lossSlope = Add(lossSlope, ConvertDType(ReduceAllSum(Mul(g, directions[i])), t.DType()))
	}
	for i, g := range Gradient(sum, moved...) {
		sumSlope = Add(sumSlope, ConvertDType(ReduceAllSum(Mul(g, directions[i])), t.DType()))
	}
	return []*Node{ConvertDType(loss, t.DType()), sum, lossSlope, sumSlope}
}

// weightsLike returns fixed irregular weights of x's shape.
func weightsLike(x *Node) *Node {
	return Sin(MulScalar(AddScalar(IotaFull(x.Graph(), x.Shape()), 1), 12.9898))
}

// directionLike returns an irregular direction of x's shape, about as large as x.
func directionLike(x *Node, seed uint64) *Node {
	size := StopGradient(Sqrt(ReduceAllMean(Square(x))))
	size = Where(Equal(size, ZerosLike(size)), OnesLike(size), size)
	phases := AddScalar(IotaFull(x.Graph(), shapes.Make(x.DType(), x.Shape().Dimensions...)), 1+float64(seed%97)/7)
	return StopGradient(Mul(size, Sin(MulScalar(phases, 78.233))))
}

// ancestors returns value and the nodes that it is computed from, in the order of the graph.
func ancestors(value *Node, edges func(n *Node) []*Node) []*Node {
	seen := map[*Node]bool{value: true}
	queue := []*Node{value}
	for i := 0; i < len(queue); i++ {
		for _, in := range edges(queue[i]) {
			if !seen[in] {
				seen[in] = true
				queue = append(queue, in)
			}
		}
	}
	slices.SortFunc(queue, func(a, b *Node) int { return int(a.Id()) - int(b.Id()) })
	return queue
}

// describe returns a finding about the node, without its problem.
func describe(n *Node, mode string) NodeFinding {
	f := NodeFinding{Mode: mode, Type: n.Type().String(), Alias: n.GetAlias(), Shape: n.Shape().String(),
		Source: sourceOf(n)}
	if n.CustomGradient() != nil {
		f.Type += " with a custom gradient"
	}
	for _, in := range n.Inputs() {
		if in.NumOutputs() == 1 {
			f.Operands = append(f.Operands, in.Shape().String())
		}
	}
	parameters := ancestors(n, (*Node).Inputs)
	for _, p := range slices.Backward(parameters) {
		if p.Type() != NodeTypeParameter {
			continue
		}
		if store := model.GetStore(n); store != nil {
			for v := range store.IterVariables() {
				if v.InUseByGraph(n.Graph()) && v.NodeValue(n.Graph()) == p {
					f.Scope = v.Scope()
					return f
				}
			}
		}
	}
	return f
}

// sourceOf returns the file and line outside of GoMLX that created the node.
func sourceOf(n *Node) string {
	tracer, ok := n.Trace().(interface{ StackTrace() errors.StackTrace })
	if !ok {
		return ""
	}
	for _, frame := range tracer.StackTrace() {
		text := fmt.Sprintf("%+s", frame) // The function, and the path of the file below it.
		if strings.Contains(text, "github.com/gomlx/") || strings.HasPrefix(text, "runtime.") {
			continue
		}
		return fmt.Sprintf("%s:%d", frame, frame)
	}
	return ""
}
