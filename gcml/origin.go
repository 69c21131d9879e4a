package gcml

import (
	"fmt"
	"slices"
	"strings"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/ml/train"

	"github.com/geometric-complexity/toolkit/internal/vjp"
)

// finiteMessage is the log message of the node that says which nodes are finite.
const finiteMessage = "gcml: which nodes are finite"

// originSearch finds the first node of a training graph that is not finite although its operands
// are.
type originSearch struct {
	nodes     []*Node // In the order of the graph.
	roots     []searchRoot
	forward   NodeId // The last node of the loss; later ones belong to the gradient.
	nonFinite map[*Node]bool

	what, origin string // The result, as in NonFiniteError.
}

// searchRoot is a result of the step that the search starts from if it is not finite.
type searchRoot struct {
	what string
	node *Node
}

// trace adds to the graph of a training step a logged result that says for each node whether it is
// finite. changed are the variables that the step updates.
func (s *originSearch) trace(g *Graph, changed []*model.Variable) {
	losses := []searchRoot{{"the training loss", train.GetMainLoss(g)}, {"the penalty", train.GetRegularizationLoss(g)}}
	for _, root := range losses {
		if root.node != nil {
			s.roots = append(s.roots, root)
			s.forward = max(s.forward, root.node.Id())
		}
	}
	for _, v := range changed {
		if v.Trainable {
			s.roots = append(s.roots, searchRoot{fmt.Sprintf("the update of %q", v.Path()), v.NodeValue(g)})
		}
	}
	var flags []*Node
	for _, n := range slices.Clone(g.Nodes()) {
		if n.Function().IsMain() && n.NumOutputs() == 1 && n.DType().IsFloat() && n.Shape().Size() > 0 {
			s.nodes = append(s.nodes, n)
			flags = append(flags, allFinite(n))
		}
	}
	Stack(flags, 0).SetLogged(finiteMessage)
}

// log implements GoMLX's LoggerFn. It searches for the origin after the step has run.
func (s *originSearch) log(_ *Graph, messages []string, values []*tensors.Tensor, _ []NodeId) {
	i := slices.Index(messages, finiteMessage)
	if i < 0 {
		return
	}
	s.nonFinite = map[*Node]bool{}
	for k, finite := range values[i].Value().([]bool) {
		s.nonFinite[s.nodes[k]] = !finite
	}
	for _, root := range s.roots {
		if s.nonFinite[root.node] {
			s.what = root.what
			s.origin = s.describe(s.firstNonFinite(root.node))
			return
		}
	}
}

// firstNonFinite returns the first node in the order of the graph that is not finite, has finite
// operands, and from which a path of nodes that are not finite leads to the root.
func (s *originSearch) firstNonFinite(root *Node) *Node {
	first := root
	seen := map[*Node]bool{}
	var visit func(n *Node) (infinite bool)
	visit = func(n *Node) bool {
		infinite, traced := s.nonFinite[n]
		if traced && !infinite {
			return false
		}
		if seen[n] {
			return infinite
		}
		seen[n] = true
		fromInfinite := false
		for _, in := range n.Inputs() {
			fromInfinite = visit(in) || fromInfinite
		}
		if infinite && !fromInfinite && n.Id() < first.Id() {
			first = n
		}
		return infinite || fromInfinite
	}
	visit(root)
	return first
}

// describe describes a node in one line.
func (s *originSearch) describe(n *Node) string {
	text := "it begins at " + nodeName(n)
	if n.Id() > s.forward {
		text += " of the gradient"
	}
	var operands []string
	for _, in := range n.Inputs() {
		operands = append(operands, nodeName(in))
	}
	if len(operands) > 0 {
		text += ", computed from " + strings.Join(operands, " and ")
	}
	if near := nearestNamed(n); near != "" {
		text += ", after " + near
	}
	return text
}

// nodeName returns the type and shape of a node, and its name if it has one.
func nodeName(n *Node) string {
	text := fmt.Sprintf("%s %s", vjp.TypeName(n.Type()), n.Shape())
	if name := ownName(n); name != "" {
		text += " " + name
	}
	return text
}

// ownName returns the alias of a node, or the name of its variable or input, or "".
func ownName(n *Node) string {
	switch {
	case n.GetAlias() != "":
		return fmt.Sprintf("with alias %q", n.GetAlias())
	case n.Type() == NodeTypeParameter && strings.HasPrefix(n.GetParameterName(), model.ScopeSeparator):
		return fmt.Sprintf("of variable %q", n.GetParameterName())
	case n.Type() == NodeTypeParameter:
		return fmt.Sprintf("given as %q", n.GetParameterName())
	}
	return ""
}

// nearestNamed describes the named node that is the fewest steps before n's operands, or returns
// "".
func nearestNamed(n *Node) string {
	seen := map[*Node]bool{}
	for level := n.Inputs(); len(level) > 0; {
		var next []*Node
		for _, in := range level {
			for _, before := range in.Inputs() {
				if seen[before] {
					continue
				}
				seen[before] = true
				if ownName(before) != "" {
					return nodeName(before)
				}
				next = append(next, before)
			}
		}
		level = next
	}
	return ""
}
