package onnxmodel

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"sort"
	"strings"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute-onnx/support/protos"
	"github.com/gomlx/gomlx/core/graph"
)

// refusal is the error of a node that a value depends on, if one is refused.
func (m *Model) refusal(value string) error {
	for _, n := range ancestors(m.graph, value) {
		if err := m.lowered.refusalIn(n); err != nil {
			return err
		}
	}
	return nil
}

// refusalIn is the error of a node, or of a node in a graph inside it.
func (l *lowered) refusalIn(n *protos.NodeProto) error {
	for _, out := range n.Output {
		if err := l.refusals[out]; err != nil {
			return err
		}
	}
	for _, a := range n.Attribute {
		if a.G == nil {
			continue
		}
		for _, inner := range a.G.Node {
			if err := cmp.Or(l.refusalIn(inner), recurrentInside(inner)); err != nil {
				return err
			}
		}
	}
	return nil
}

// ancestors returns the nodes that values depend on. Each node comes after those that it depends
// on.
func ancestors(g *protos.GraphProto, values ...string) []*protos.NodeProto {
	s := newScope(g, nil)
	seen := make(map[*protos.NodeProto]bool)
	var order []*protos.NodeProto
	var visit func(name string)
	var inside func(n *protos.NodeProto)
	inside = func(n *protos.NodeProto) {
		for _, name := range n.Input {
			visit(name)
		}
		for _, a := range n.Attribute {
			if a.G != nil {
				for _, inner := range a.G.Node {
					inside(inner)
				}
				for _, out := range a.G.Output {
					visit(out.Name)
				}
			}
		}
	}
	visit = func(name string) {
		n, _ := s.find(name)
		if n == nil || seen[n] {
			return
		}
		seen[n] = true
		inside(n)
		order = append(order, n)
	}
	for _, name := range values {
		visit(name)
	}
	return order
}

// explain returns the reason why the graph of some values cannot be built, with the operator and
// the node of the file: the first node whose removal lets the rest be built.
func (m *Model) explain(backend compute.Backend, inputs []*graph.Node, names []string, cause error) error {
	order := ancestors(m.graph, names...)
	build := func(count int) error {
		var outputs []string
		for _, n := range order[:count] {
			for _, out := range n.Output {
				if out != "" {
					outputs = append(outputs, out)
				}
			}
		}
		return attempt(func() error {
			g := graph.NewGraph(backend, "onnxmodel.explain")
			defer g.Finalize()
			values := make(map[string]*graph.Node)
			for i, in := range inputs {
				values[m.inputs[i]] = graph.Parameter(g, fmt.Sprintf("input%d", i), in.Shape())
			}
			m.call(m.Store.RootScope(), g, values, outputs...)
			return checkNodes(g)
		})
	}
	first := sort.Search(len(order), func(i int) bool { return build(i+1) != nil })
	if first == len(order) {
		return oneLine(cause)
	}
	n := order[first]
	err := build(first + 1)
	switch hint := m.lowered.hints[n.Output[0]]; {
	case hint != "":
		err = errors.New(hint)
	case strings.Contains(err.Error(), "cannot materialize"):
		err = errors.New("a size, an index or another parameter of it is computed from values of the inputs or from weights, " +
			"not from shapes alone, which is not supported")
	}
	if origin := m.lowered.origins[n.Output[0]]; origin != nil {
		n = origin
	}
	return fmt.Errorf("operator %s: %w", nodeName(n), oneLine(err))
}

// checkBranches refuses a branch that values of the inputs choose: it can differ between examples.
func (m *Model) checkBranches(g *graph.Graph) error {
	if !slices.ContainsFunc(g.Nodes(), func(n *graph.Node) bool { return n.Type() == graph.NodeTypeIf }) {
		return nil
	}
	for _, n := range ancestors(m.graph, m.output) {
		if n.OpType == "If" && m.dependsOnInput(n) {
			return unsupported(n, "its condition is computed from values of the inputs")
		}
	}
	return nil
}

// oneLine keeps the first line of an error, as long as a line may be.
func oneLine(err error) error {
	const longest = 300
	line, _, more := strings.Cut(err.Error(), "\n")
	if short, _, found := strings.Cut(line, " for node Node "); found { // The importer's words for the node.
		line, more = short, true
	}
	switch {
	case len(line) > longest:
		return fmt.Errorf("%s …", strings.ToValidUTF8(line[:longest], ""))
	case more:
		return fmt.Errorf("%s", line)
	}
	return err
}
