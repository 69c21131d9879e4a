package vjp

import (
	"slices"

	. "github.com/gomlx/gomlx/core/graph"
	. "github.com/gomlx/gomlx/support/exceptions"

	"example.com/geometric-complexity/internal/gomlxcompat"
)

// flow is what a rule says about a node, given the layouts of its inputs.
type flow struct {
	// outputs has, for every output, the layouts that it may have, the likeliest first: one, except
	// in a batch of one. An output without any does not depend on the inputs, or is held constant.
	outputs [][]layout
	// fixed are the inputs of the node that are held constant in it: those of other examples.
	fixed []int
	// mixes is set if the node's values are each computed from several examples.
	mixes bool
	// holdsStatistics is set if the node holds statistics of several examples constant within.
	holdsStatistics bool
	// unknown says why the node cannot be followed, "" if it can.
	unknown string
}

func (f flow) isClean() bool { return !f.mixes && f.unknown == "" && len(f.fixed) == 0 }

// one is the flow of a node of one output.
func one(layouts ...layout) flow { return flow{outputs: [][]layout{layouts}} }

var mixes = flow{mixes: true}

func unknown(why string) flow { return flow{unknown: why} }

// rule follows the examples through a node. in has the layout of every input, nil for one that does
// not depend on the inputs of the network.
type rule func(n *Node, in []*layout, batch int) flow

// follow finds the layouts of n's outputs, and tells whether any depends on the inputs. It notes
// which of n's inputs are held constant.
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
		Panicf("vjp: the examples of the batch cannot be followed through %s: %s; "+
			"put StopGradient around it to hold it constant", n, f.unknown)
	}
	if f.mixes || f.holdsStatistics || len(f.fixed) > 0 {
		s.coupling = append(s.coupling, n)
	}
	s.fixed[n] = f.fixed
	s.places[n] = f.outputs
	return slices.ContainsFunc(f.outputs, func(places []layout) bool { return len(places) > 0 })
}

// mustNotCapture panics for nodes whose functions may use values of the graph around them without
// any sign of it in the node: no derivative would pass through those.
func mustNotCapture(n *Node) {
	if n.Type() == NodeTypeIf || n.Type() == NodeTypeWhile {
		Panicf("vjp: the examples of the batch cannot be followed into the functions of %s: "+
			"write out what they do, or put StopGradient around its results", n)
	}
}

// flowOf asks the rule of n for every choice of layouts of its inputs, of which there are several
// in a batch of one only. Those by which n mixes no examples are taken, if there are any.
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

// flowFor asks the rule of n for given layouts of its inputs.
func flowFor(n *Node, in []*layout, batch int) flow {
	r, ok := rules[n.Type()]
	switch {
	case !ok:
		return unknown("this toolkit has no rule for its type")
	case n.NumOutputs() == 1 && n.DType().IsComplex():
		return unknown(complexNumbers)
	case n.NumOutputs() == 1 && n.Shape().Size() == 0:
		return flow{outputs: make([][]layout, 1)} // Nothing depends on no values.
	case !slices.ContainsFunc(in, func(l *layout) bool { return l != nil }):
		return flow{outputs: make([][]layout, n.NumOutputs())} // Its inputs may all be held constant.
	}
	return r(n, in, batch)
}

// mostChoices bounds the choices for one node, in a batch of one, of several inputs each of which
// may have several layouts.
const mostChoices = 64

// choices returns every combination of the layouts of n's inputs, the likeliest first.
func (s *Pullback) choices(n *Node) [][]*layout {
	chosen := make(map[*Node]*layout)
	decided := make(map[*Node]bool) // To be constant.
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
	return all
}

// united puts the layouts of clean flows together, each once.
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

// combined is the flow of a node each element of which is computed from the same element of all of
// its inputs, whose layouts are given, nil for those that do not depend on the inputs of the
// network. Where they differ, those of other examples than the element's own are held constant: in
// x - x[0], x[0].
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

// isFixed tells whether input i of n is held constant in it.
func (s *Pullback) isFixed(n *Node, i int) bool { return slices.Contains(s.fixed[n], i) }

// HasBatchFirst tells whether n is [batch, ...], every example in its place, each with all that n
// has of it.
func (s *Pullback) HasBatchFirst(n *Node) bool {
	if !s.onPath[n] || n.NumOutputs() != 1 || n.Rank() == 0 || n.Shape().Dimensions[0] != s.batch() {
		return false
	}
	want := batchFirst(n.Shape().Dimensions).normal(s.batch())
	return slices.ContainsFunc(s.places[n][0], want.equal)
}

func (s *Pullback) batch() int { return s.inputs.Shape().Dimensions[0] }
