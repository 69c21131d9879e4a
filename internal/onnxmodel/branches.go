package onnxmodel

import (
	"fmt"
	"maps"

	"github.com/gomlx/compute-onnx/support/protos"
)

// separateNames renames values inside branches that have the name of a value elsewhere. ONNX allows
// branches of different nodes to use the same names, and branches that constants choose are moved
// into one graph.
func separateNames(g *protos.GraphProto) {
	s := separator{taken: make(map[string]bool)}
	for _, in := range g.Input {
		s.taken[in.Name] = true
	}
	s.graph(g, nil)
}

type separator struct {
	taken   map[string]bool
	renamed int
	suffix  string // of new names, before their number
}

// graph renames what a graph defines, and what its nodes use: outer has the new names of values
// around it.
func (s *separator) graph(g *protos.GraphProto, outer map[string]string) {
	names := maps.Clone(outer)
	if names == nil {
		names = make(map[string]string)
	}
	define := func(name *string) {
		fresh := *name
		for fresh != "" && s.taken[fresh] {
			s.renamed++
			fresh = fmt.Sprintf("%s.gcml.%s%d", *name, s.suffix, s.renamed)
		}
		s.taken[fresh] = true
		if names[*name] = fresh; fresh == *name {
			delete(names, *name)
		}
		*name = fresh
	}
	use := func(name *string) {
		if other, ok := names[*name]; ok {
			*name = other
		}
	}
	if outer != nil {
		for _, in := range g.Input {
			define(&in.Name)
		}
	}
	for _, w := range g.Initializer {
		define(&w.Name)
	}
	for _, n := range g.Node {
		for i := range n.Output {
			define(&n.Output[i])
		}
	}
	for _, n := range g.Node {
		for i := range n.Input {
			use(&n.Input[i])
		}
		for _, a := range n.Attribute {
			if a.G != nil {
				s.graph(a.G, names)
			}
		}
	}
	for _, v := range append(g.ValueInfo[:len(g.ValueInfo):len(g.ValueInfo)], g.Output...) {
		use(&v.Name)
	}
}

// choose emits a node. For an If with a constant condition it emits the nodes of the chosen branch
// instead.
func (l *lowering) choose(n *protos.NodeProto) error {
	if n.OpType == "If" && isOwn(n) {
		if replaced, err := constantIf(l, n); replaced || err != nil {
			return err
		}
	}
	l.add(n)
	return nil
}

// chooseBranches puts the nodes of branches in place of the nodes whose conditions have become
// constant.
func (m *Model) chooseBranches() error {
	l := newLowering(m.graph, m.lowered)
	for _, n := range m.graph.Node {
		if err := l.choose(n); err != nil {
			return err
		}
	}
	m.graph.Node = l.emitted
	return nil
}

// constantIf puts the nodes of the branch that a constant condition chooses in place of the node.
func constantIf(l *lowering, n *protos.NodeProto) (bool, error) {
	if len(n.Input) == 0 {
		return lacking(n, 1)
	}
	yes, known := l.boolean(n.Input[0])
	if !known {
		return false, nil // The importer evaluates it, if it can.
	}
	name := "else_branch"
	if yes {
		name = "then_branch"
	}
	branch := attribute(n, name)
	if branch == nil || branch.G == nil || len(branch.G.Output) != len(n.Output) {
		return refused(n, "it has no %s with %d outputs", name, len(n.Output))
	}
	for _, w := range branch.G.Initializer {
		l.weight(w)
	}
	for _, inner := range branch.G.Node {
		if err := l.choose(inner); err != nil {
			return false, err
		}
	}
	for i, out := range branch.G.Output {
		if n.Output[i] != "" {
			l.add(&protos.NodeProto{Name: n.Name, OpType: "Identity", Input: []string{out.Name}, Output: []string{n.Output[i]}})
		}
	}
	return true, nil
}

// boolean is the value of a constant, or of comparisons of constant integers.
func (l *lowering) boolean(name string) (value, known bool) { return l.foldBoolean(name, 16) }

// foldBoolean goes back a number of nodes.
func (l *lowering) foldBoolean(name string, depth int) (value, known bool) {
	if t := l.tensor(name); t != nil {
		if t.DataType != int32(protos.TensorProto_BOOL) || len(t.ExternalData) > 0 {
			return false, false
		}
		return len(t.RawData) > 0 && t.RawData[0] != 0 || len(t.Int32Data) > 0 && t.Int32Data[0] != 0, true
	}
	n := l.makers[name]
	if n == nil && l.outer != nil {
		return l.outer.foldBoolean(name, depth)
	}
	if n == nil || depth == 0 || len(n.Input) == 0 || !isOwn(n) {
		return false, false
	}
	switch n.OpType {
	case "Identity", "Squeeze", "Unsqueeze", "Reshape", "Not":
		value, known = l.foldBoolean(n.Input[0], depth-1)
		return value != (n.OpType == "Not"), known
	case "Cast":
		if intOr(n, "to", 0) != int64(protos.TensorProto_BOOL) {
			return false, false
		}
		if whole, ok := l.constant(n.Input[0]); ok && len(whole) == 1 {
			return whole[0] != 0, true
		}
		return l.foldBoolean(n.Input[0], depth-1)
	}
	if len(n.Input) != 2 {
		return false, false
	}
	if combine := map[string]func(a, b bool) bool{
		"And": func(a, b bool) bool { return a && b },
		"Or":  func(a, b bool) bool { return a || b },
		"Xor": func(a, b bool) bool { return a != b },
	}[n.OpType]; combine != nil {
		a, okA := l.foldBoolean(n.Input[0], depth-1)
		b, okB := l.foldBoolean(n.Input[1], depth-1)
		return combine(a, b), okA && okB
	}
	compare := map[string]func(a, b int64) bool{
		"Equal":          func(a, b int64) bool { return a == b },
		"Less":           func(a, b int64) bool { return a < b },
		"LessOrEqual":    func(a, b int64) bool { return a <= b },
		"Greater":        func(a, b int64) bool { return a > b },
		"GreaterOrEqual": func(a, b int64) bool { return a >= b },
	}[n.OpType]
	a, okA := l.constant(n.Input[0])
	b, okB := l.constant(n.Input[1])
	if compare == nil || !okA || !okB || len(a) != 1 || len(b) != 1 {
		return false, false
	}
	return compare(a[0], b[0]), true
}
