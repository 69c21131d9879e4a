package vjp

import (
	"fmt"
	"slices"

	. "github.com/gomlx/gomlx/core/graph"
	. "github.com/gomlx/gomlx/support/exceptions"

	"github.com/geometric-complexity/toolkit/internal/gomlxcompat"
)

// flow is the result of a rule for a node, given the layouts of its inputs.
type flow struct {
	// outputs has the possible layouts of every output, the likeliest first. There is only one,
	// except in a batch of one. An output without a layout does not depend on the inputs, or is
	// held constant.
	outputs [][]layout
	// fixed are the inputs of the node that it holds constant, because they come from other
	// examples.
	fixed []int
	// mixes says that every value of the node depends on several examples.
	mixes bool
	// holdsStatistics says that the node holds statistics of several examples constant.
	holdsStatistics bool
	// unknown says why the rule cannot follow the examples through the node; "" if it can.
	unknown string
}

func (f flow) isClean() bool { return !f.mixes && f.unknown == "" && len(f.fixed) == 0 }

// one returns the flow of a node with one output.
func one(layouts ...layout) flow { return flow{outputs: [][]layout{layouts}} }

var mixes = flow{mixes: true}

func unknown(why string) flow { return flow{unknown: why} }

// rule follows the examples through a node. in has the layout of every input of the node, nil for
// an input that does not depend on the network's inputs.
type rule func(n *Node, in []*layout, batch int) flow

// follow finds the layouts of n's outputs, and reports whether any output depends on the network's
// inputs. It records which inputs n holds constant.
func (s *Pullback) follow(n *Node) bool {
	if alternate := alternateOf(n); alternate != nil {
		s.places[n] = s.places[alternate]
		return s.onPath[alternate]
	}
	if index, ok := gomlxcompat.SplitOf(n); ok {
		places := s.places[n.Inputs()[0]]
		if index >= len(places) || len(places[index]) == 0 {
			return false
		}
		s.places[n] = places[index : index+1]
		return true
	}
	f := s.flowOf(n)
	if f.unknown != "" {
		panic(&FollowError{Node: n, Why: f.unknown})
	}
	if f.mixes || f.holdsStatistics || len(f.fixed) > 0 {
		s.coupling = append(s.coupling, n)
	}
	s.fixed[n] = f.fixed
	s.places[n] = f.outputs
	return slices.ContainsFunc(f.outputs, func(places []layout) bool { return len(places) > 0 })
}

// FollowError reports that the examples of the batch cannot be followed through a node, and why.
type FollowError struct {
	Node *Node
	Why  string
}

// Error says what to do.
func (e *FollowError) Error() string {
	return fmt.Sprintf("vjp: cannot follow the examples of the batch through %s: %s; "+
		"put StopGradient around it to hold it constant", e.Node, e.Why)
}

// mustNotCapture panics for nodes with functions that may use values of the surrounding graph.
// These values are not inputs of the node, so that the derivative would miss them.
func mustNotCapture(n *Node) {
	if n.Type() == NodeTypeIf || n.Type() == NodeTypeWhile {
		Panicf("vjp: cannot follow the examples of the batch into the functions of %s: "+
			"use plain ops instead, or put StopGradient around its results", n)
	}
}

// flowOf applies the rule of n to every choice of layouts of its inputs; only a batch of one has
// several choices. It keeps the flows in which n mixes no examples, if there are any.
func (s *Pullback) flowOf(n *Node) flow {
	var flows, clean []flow
	for _, in := range s.choices(n) {
		f := flowFor(n, in, s.batch())
		flows = append(flows, f)
		if f.isClean() {
			clean = append(clean, f)
		}
	}
	if len(clean) > 0 {
		return united(clean)
	}
	return flows[max(0, slices.IndexFunc(flows, func(f flow) bool { return f.unknown == "" }))]
}

// flowFor applies the rule of n to given layouts of its inputs.
func flowFor(n *Node, in []*layout, batch int) flow {
	r, ok := rules[n.Type()]
	switch {
	case !ok:
		return unknown("this toolkit has no rule for its type")
	case n.NumOutputs() == 1 && n.DType().IsComplex():
		return unknown(complexNumbers)
	case n.NumOutputs() == 1 && n.Shape().Size() == 0:
		return flow{outputs: make([][]layout, 1)} // A node without values depends on nothing.
	case !slices.ContainsFunc(in, func(l *layout) bool { return l != nil }):
		return flow{outputs: make([][]layout, n.NumOutputs())} // All its inputs are held constant.
	}
	return r(n, in, batch)
}

// mostChoices limits the choices for one node in a batch of one, where each input may have several
// layouts.
const mostChoices = 64

// choices returns every combination of the layouts of n's inputs, the likeliest first.
func (s *Pullback) choices(n *Node) [][]*layout {
	chosen := make(map[*Node]*layout)
	decided := make(map[*Node]bool) // Inputs that this choice holds constant.
	var all [][]*layout
	var choose func(i int)
	choose = func(i int) {
		if len(all) == mostChoices {
			return
		}
		if i == len(n.Inputs()) {
			in := make([]*layout, i)
			for k, node := range n.Inputs() {
				in[k] = chosen[node]
			}
			all = append(all, in)
			return
		}
		node := n.Inputs()[i]
		if chosen[node] != nil || decided[node] || !s.onPath[node] || node.NumOutputs() > 1 {
			choose(i + 1)
			return
		}
		for _, place := range s.places[node][0] {
			chosen[node] = &place
			choose(i + 1)
		}
		delete(chosen, node)
		if s.constant[node] {
			decided[node] = true
			choose(i + 1)
			delete(decided, node)
		}
	}
	choose(0)
	if len(all) == mostChoices {
		all = append(all, s.equalChoices(n)...)
	}
	return all
}

// equalChoices returns the choices in which all inputs of n have one layout: of a concatenation of
// many parts, as a recurrent layer's outputs are, these are the ones that matter.
func (s *Pullback) equalChoices(n *Node) (all [][]*layout) {
	var first []layout
	for _, node := range n.Inputs() {
		if s.onPath[node] && node.NumOutputs() == 1 {
			first = s.places[node][0]
			break
		}
	}
	for _, place := range first {
		in := make([]*layout, len(n.Inputs()))
		complete := true
		for k, node := range n.Inputs() {
			if !s.onPath[node] || node.NumOutputs() > 1 {
				continue
			}
			in[k] = &place
			complete = complete && slices.ContainsFunc(s.places[node][0], place.equal)
		}
		if complete {
			all = append(all, in)
		}
	}
	return all
}

// united merges clean flows: each output gets all layouts that it has in any of them.
func united(flows []flow) flow {
	outputs := make([][]layout, len(flows[0].outputs))
	for i := range outputs {
		for _, f := range flows {
			for _, place := range f.outputs[i] {
				if !slices.ContainsFunc(outputs[i], place.equal) {
					outputs[i] = append(outputs[i], place)
				}
			}
		}
	}
	return flow{outputs: outputs, holdsStatistics: flows[0].holdsStatistics}
}

// combined returns the flow of a node that computes each element from the same element of all its
// inputs. layouts has the inputs' layouts, nil for inputs that do not depend on the network's
// inputs. If the layouts differ, the node holds constant the inputs that come from other examples
// than the element's own: x[0] in x - x[0].
func combined(layouts []*layout, batch int) flow {
	var result, whole *layout
	same := true
	for _, l := range layouts {
		if l == nil {
			continue
		}
		normal := l.normal(batch)
		if result != nil && !result.equal(normal) {
			same = false
		}
		result = &normal
		if normal.isWhole(batch) {
			if whole != nil && !whole.equal(normal) {
				return mixes
			}
			whole = &normal
		}
	}
	switch {
	case same:
		return one(*result)
	case whole == nil:
		return mixes
	}
	f := one(*whole)
	for i, l := range layouts {
		if l != nil && !l.normal(batch).equal(*whole) {
			f.fixed = append(f.fixed, i)
		}
	}
	return f
}

// isFixed reports whether n holds its input i constant.
func (s *Pullback) isFixed(n *Node, i int) bool { return slices.Contains(s.fixed[n], i) }

// HasBatchFirst reports whether n is [batch, ...] and index i along its first axis belongs to
// example i.
func (s *Pullback) HasBatchFirst(n *Node) bool {
	if !s.onPath[n] || n.NumOutputs() != 1 || n.Rank() == 0 || n.Shape().Dimensions[0] != s.batch() {
		return false
	}
	want := batchFirst(n.Shape().Dimensions).normal(s.batch())
	return slices.ContainsFunc(s.places[n][0], want.equal)
}

func (s *Pullback) batch() int { return s.inputs.Shape().Dimensions[0] }
