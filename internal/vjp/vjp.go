// Package vjp differentiates the outputs of a graph with respect to its inputs for many cotangents
// at once, example by example.
package vjp

import (
	"slices"

	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	. "github.com/gomlx/gomlx/support/exceptions"

	"example.com/geometric-complexity/internal/gomlxcompat"
)

// Pullback is a reverse pass over the part of a graph that lies between inputs and outputs. GoMLX's
// own Gradient carries one cotangent; a Pullback carries C of them at once, as one more axis in
// front: the adjoint of a node of shape [dims...] has shape [C, dims...]. That keeps the graph as
// small as for one cotangent and turns C thin matrix products into one wide one. Everything it
// builds is made of ordinary nodes, so that it can be differentiated again.
//
// Examples are kept apart. It follows to which example every element of a node belongs (see
// layout), and holds constant what is computed from several: the statistics of batch norm in
// training mode, for one, or the other example in a mixture of two. No adjoint passes through,
// though the dependence on the parameters is still there for a later Gradient. So a Pullback takes
// the derivative of each example's outputs with respect to that example's own input, and every
// estimator built on it means the same quantity.
type Pullback struct {
	outputs, inputs *Node

	// nodes on a path from inputs to outputs, in the order of the graph.
	nodes  []*Node
	onPath map[*Node]bool

	// places has, for every output of a node on the path, the layouts that it may have, see flow.
	places map[*Node][][]layout

	// constant are the nodes that some choice of layouts holds constant, see wishes; nil once they
	// are chosen.
	constant map[*Node]bool

	// fixed are the inputs of a node that are held constant in it.
	fixed map[*Node][]int

	// coupling are the nodes that mix examples.
	coupling []*Node

	// diagonals caches the local derivatives of elementwise nodes.
	diagonals map[*Node][]*Node

	// factors has the two factors of adjoints that are products, see factored.
	factors map[*Node]factored

	// columns has the adjoints that are kept as columns as well, see PreferColumns; nil where none
	// are.
	columns map[*Node]*Node
}

// New finds the nodes between inputs and outputs, both of shape [batch, ...] and of a float dtype.
// It panics for a node through which the examples cannot be followed, and for outputs whose first
// axis is not the batch.
func New(outputs, inputs *Node) *Pullback {
	s := newPullback(outputs, inputs)
	reached := s.reachedFromOutputs()
	fitting := s.wishes(reached)
	for _, n := range reached {
		if n == inputs {
			s.addInputs()
			continue
		}
		mustNotCapture(n)
		if passes(n) && slices.ContainsFunc(edges(n), s.isOnPath) && s.follow(n) {
			s.keep(n, fitting[n])
			s.add(n)
		}
	}
	s.dropDeadEnds()
	if s.Depends() && !s.HasBatchFirst(outputs) {
		Panicf("vjp: the first axis of outputs %s does not number the examples of inputs %s in their order (node %s)",
			outputs.Shape(), inputs.Shape(), outputs)
	}
	return s
}

func newPullback(outputs, inputs *Node) *Pullback {
	return &Pullback{
		outputs:   outputs,
		inputs:    inputs,
		onPath:    make(map[*Node]bool),
		places:    make(map[*Node][][]layout),
		fixed:     make(map[*Node][]int),
		diagonals: make(map[*Node][]*Node),
		factors:   make(map[*Node]factored),
	}
}

func (s *Pullback) addInputs() {
	s.places[s.inputs] = [][]layout{{batchFirst(dimsOf(s.inputs)).normal(s.batch())}}
	s.add(s.inputs)
}

func (s *Pullback) add(n *Node) {
	s.nodes = append(s.nodes, n)
	s.onPath[n] = true
}

func (s *Pullback) isOnPath(n *Node) bool { return s.onPath[n] }

// passes tells whether a derivative may pass through n.
func passes(n *Node) bool {
	return !n.StopGradient() && (n.NumOutputs() != 1 || n.DType().IsFloat() || n.DType().IsComplex())
}

// Depends tells whether the outputs depend on the inputs at all.
func (s *Pullback) Depends() bool { return s.onPath[s.outputs] && s.onPath[s.inputs] }

// Coupling returns the nodes that mix examples, which are held constant or hold other examples
// constant.
func (s *Pullback) Coupling() []*Node { return s.coupling }

// Nodes returns the nodes between inputs and outputs, both included, in the order of the graph.
func (s *Pullback) Nodes() []*Node { return s.nodes }

// alternateOf returns the node of primitive ops that stands for a fused n in differentiation, nil
// for none.
func alternateOf(n *Node) *Node {
	if alternates := gomlxcompat.AlternateOutputs(n); alternates != nil {
		return alternates[0]
	}
	return nil
}

// edges are the nodes that n's derivative passes to: its inputs, or the node that stands for it.
func edges(n *Node) []*Node {
	if alternate := alternateOf(n); alternate != nil {
		return []*Node{alternate}
	}
	return n.Inputs()
}

// reachedFromOutputs returns the ancestors of the outputs, in the order of the graph, without going
// beyond the inputs or what has no derivative.
func (s *Pullback) reachedFromOutputs() []*Node {
	seen := map[*Node]bool{s.outputs: true}
	queue := []*Node{s.outputs}
	for i := 0; i < len(queue); i++ {
		if queue[i] == s.inputs || !passes(queue[i]) {
			continue
		}
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

// dropDeadEnds removes nodes whose every way to the outputs goes through one where they are held
// constant.
func (s *Pullback) dropDeadEnds() {
	alive := map[*Node]bool{s.outputs: s.onPath[s.outputs]}
	for i := len(s.nodes) - 1; i >= 0; i-- {
		if n := s.nodes[i]; alive[n] && n != s.inputs {
			for k, in := range edges(n) {
				alive[in] = alive[in] || s.onPath[in] && !s.isFixed(n, k)
			}
		}
	}
	s.nodes = slices.DeleteFunc(s.nodes, func(n *Node) bool { return !alive[n] })
	s.onPath = alive
}

// Pull returns the vector-Jacobian products of the cotangents: for cotangents of shape [C, output
// dims...] the result has shape [C, input dims...]. An axis of the cotangents may have size 1 where
// the output's is larger, which stands for the same value along it.
func (s *Pullback) Pull(cotangents *Node) *Node {
	adjoints := s.pull(cotangents, s.inputs)
	v := adjoints[s.inputs]
	if v == nil {
		Panicf("vjp: no adjoint reached the inputs %s", s.inputs)
	}
	return spread(v, s.inputs)
}

// pull carries the cotangents down to the node until, and returns the adjoints.
func (s *Pullback) pull(cotangents, until *Node) map[*Node]*Node {
	if !s.Depends() {
		Panicf("vjp: outputs %s do not depend on inputs %s", s.outputs, s.inputs)
	}
	if cotangents.Rank() != s.outputs.Rank()+1 {
		Panicf("vjp: cotangents have shape %s, want [C, %v]", cotangents.Shape(), s.outputs.Shape().Dimensions)
	}
	adjoints := map[*Node]*Node{s.outputs: cotangents}
	split := make(map[*Node][]*Node) // Adjoints of the outputs of a node that has several.
	for i := len(s.nodes) - 1; i >= 0; i-- {
		n := s.nodes[i]
		if n == until {
			break
		}
		v := adjoints[n]
		if n.NumOutputs() > 1 {
			s.collect(adjoints, n, s.pullMultiOutput(n, split[n]))
			continue
		}
		if v == nil {
			continue
		}
		// Before the outputs of a node that has several: a fused op of several outputs has
		// alternates for each.
		if alternate := alternateOf(n); alternate != nil {
			adjoints[alternate] = s.sum(adjoints[alternate], v)
			continue
		}
		if index, ok := gomlxcompat.SplitOf(n); ok {
			whole := n.Inputs()[0]
			if split[whole] == nil {
				split[whole] = make([]*Node, whole.NumOutputs())
			}
			split[whole][index] = s.sum(split[whole][index], v)
			continue
		}
		s.collect(adjoints, n, s.pullNode(n, v))
	}
	return adjoints
}

// collect adds the adjoints of n's inputs to what has arrived there already.
func (s *Pullback) collect(adjoints map[*Node]*Node, n *Node, pulled []*Node) {
	for i, in := range n.Inputs() {
		if i < len(pulled) && pulled[i] != nil && s.onPath[in] && !s.isFixed(n, i) {
			adjoints[in] = s.sum(adjoints[in], pulled[i])
		}
	}
}

// spread returns v, the adjoint of n, with every axis at n's size.
func spread(v, n *Node) *Node {
	dims := append([]int{v.Shape().Dimensions[0]}, n.Shape().Dimensions...)
	if slices.Equal(dims, v.Shape().Dimensions) {
		return v
	}
	return BroadcastToDims(v, dims...)
}

// gradientOf returns the rule that GoMLX would use for n.
func gradientOf(n *Node) VJP {
	if rule := n.CustomGradient(); rule != nil {
		return rule
	}
	if rule, ok := VJPRegistration[n.Type()]; ok {
		return rule
	}
	if n.Type() == NodeTypeIdentity {
		return func(_ *Node, v []*Node, _ shapes.Shape) []*Node { return v }
	}
	Panicf("%s has no gradient in GoMLX: %s", TypeName(n.Type()), Advice(n.Type()))
	return nil
}

// Clone rebuilds the outputs from other inputs of the same shape and dtype, with the same
// parameters. What is held constant keeps the value that it has for the original inputs.
func (s *Pullback) Clone(inputs *Node) *Node {
	if !inputs.Shape().Equal(s.inputs.Shape()) {
		Panicf("vjp: cannot put %s in the place of inputs %s", inputs.Shape(), s.inputs.Shape())
	}
	clones := map[*Node]*Node{s.inputs: inputs}
	for _, n := range s.nodes {
		if n == s.inputs {
			continue
		}
		if alternate := alternateOf(n); alternate != nil {
			clones[n] = clones[alternate]
			continue
		}
		replaced := slices.Clone(n.Inputs())
		for i, in := range replaced {
			if c := clones[in]; c != nil && !s.isFixed(n, i) {
				replaced[i] = c
			}
		}
		switch {
		case s.holdsStatistics(n):
			clones[n] = normalizedBy(n, replaced[0], replaced[1], replaced[2]) // Its first output, the only one on the path.
		case n.Type() == NodeTypeSplitNode && s.holdsStatistics(n.Inputs()[0]):
			clones[n] = replaced[0]
		default:
			clones[n] = n.CloneWithInputs(replaced...)
		}
	}
	return clones[s.outputs]
}
