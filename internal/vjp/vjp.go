// Package vjp differentiates the outputs of a graph with respect to its inputs
// for many cotangents at once, example by example.
package vjp

import (
	"slices"

	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	. "github.com/gomlx/gomlx/support/exceptions"

	"example.com/geometric-complexity/internal/autodiff"
)

// Pullback is a reverse sweep over the part of a graph that lies between inputs
// and outputs. GoMLX's own Gradient carries one cotangent; a Pullback carries C of
// them at once, as one more axis in front: the adjoint of a node of shape
// [dims...] has shape [C, dims...]. That keeps the graph as small as for one
// cotangent and turns C thin matrix products into one wide one. Everything it
// builds is made of ordinary nodes, so that it can be differentiated again.
//
// Examples are kept apart. A node that sums or contracts over the batch axis
// (the statistics of batch norm in training mode, for one) is held constant:
// adjoints do not pass through it, though its dependence on the parameters is
// still there for a later Gradient. So a Sweep takes the derivative of each
// example's outputs with respect to that example's own input, and every
// estimator built on it means the same quantity.
type Pullback struct {
	outputs, inputs *Node

	// nodes on a path from inputs to outputs, in the order of the graph.
	nodes  []*Node
	onPath map[*Node]bool

	// batchAxis is the position of the batch axis, or -1 where it is not known.
	batchAxis map[*Node]int

	// coupling are the nodes that mix examples, held constant.
	coupling []*Node

	// diagonals caches the local derivatives of elementwise nodes.
	diagonals map[*Node][]*Node

	// factors has the two factors of adjoints that are products, see factored.
	factors map[*Node]factored

	// columns has the adjoints that are kept as columns as well, see PreferColumns; nil where none are.
	columns map[*Node]*Node
}

// New finds the nodes between inputs and outputs, both of shape
// [batch, ...] and of a float dtype.
func New(outputs, inputs *Node) *Pullback {
	s := &Pullback{
		outputs:   outputs,
		inputs:    inputs,
		onPath:    make(map[*Node]bool),
		batchAxis: make(map[*Node]int),
		diagonals: make(map[*Node][]*Node),
		factors:   make(map[*Node]factored),
	}
	reached := s.reachedFromOutputs()
	for _, n := range reached {
		if n == inputs {
			s.add(n, 0)
			continue
		}
		if n.StopGradient() || !slices.ContainsFunc(edges(n), s.isOnPath) || !isFloat(n) {
			continue
		}
		axis, couples := s.traceBatchAxis(n)
		if couples {
			s.coupling = append(s.coupling, n)
			continue
		}
		s.add(n, axis)
	}
	s.dropDeadEnds()
	return s
}

func (s *Pullback) add(n *Node, batchAxis int) {
	s.nodes = append(s.nodes, n)
	s.onPath[n] = true
	s.batchAxis[n] = batchAxis
}

func (s *Pullback) isOnPath(n *Node) bool { return s.onPath[n] }

// Depends tells whether the outputs depend on the inputs at all.
func (s *Pullback) Depends() bool { return s.onPath[s.outputs] && s.onPath[s.inputs] }

// Coupling returns the nodes that mix examples, which the sweep holds constant.
func (s *Pullback) Coupling() []*Node { return s.coupling }

// Nodes returns the nodes between inputs and outputs, both included, in the
// order of the graph.
func (s *Pullback) Nodes() []*Node { return s.nodes }

// edges are the nodes that n's derivative passes to: its inputs, or for a fused
// op the nodes that stand for it in differentiation.
func edges(n *Node) []*Node {
	if alternates := autodiff.AlternateOutputs(n); alternates != nil {
		return slices.DeleteFunc(slices.Clone(alternates), func(a *Node) bool { return a == nil })
	}
	return n.Inputs()
}

// reachedFromOutputs returns the ancestors of the outputs, in the order of the
// graph, without going beyond the inputs.
func (s *Pullback) reachedFromOutputs() []*Node {
	seen := map[*Node]bool{s.outputs: true}
	queue := []*Node{s.outputs}
	for i := 0; i < len(queue); i++ {
		if queue[i] == s.inputs {
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

// dropDeadEnds removes nodes whose every way to the outputs goes through a node
// that is held constant.
func (s *Pullback) dropDeadEnds() {
	alive := map[*Node]bool{s.outputs: s.onPath[s.outputs]}
	for i := len(s.nodes) - 1; i >= 0; i-- {
		if n := s.nodes[i]; alive[n] && n != s.inputs {
			for _, in := range edges(n) {
				alive[in] = alive[in] || s.onPath[in]
			}
		}
	}
	s.nodes = slices.DeleteFunc(s.nodes, func(n *Node) bool { return !alive[n] })
	s.onPath = alive
}

func isFloat(n *Node) bool {
	if n.NumOutputs() != 1 {
		return true // Decided where it is split.
	}
	return n.DType().IsFloat()
}

// Pull returns the vector-Jacobian products of the cotangents: for cotangents
// of shape [C, output dims...] the result has shape [C, input dims...]. An axis
// of the cotangents may have size 1 where the output's is larger, which stands
// for the same value along it.
func (s *Pullback) Pull(cotangents *Node) *Node {
	adjoints := s.pull(cotangents, s.inputs)
	v := adjoints[s.inputs]
	if v == nil {
		Panicf("vjp: no adjoint reached the inputs %s", s.inputs)
	}
	return spread(v, s.inputs)
}

// pull runs the sweep down to the node until, and returns the adjoints.
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
		// Before the outputs of a node that has several: a fused op of several outputs has alternates for each.
		if alternates := autodiff.AlternateOutputs(n); alternates != nil {
			adjoints[alternates[0]] = s.sum(adjoints[alternates[0]], v)
			continue
		}
		if index, ok := autodiff.SplitOf(n); ok {
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
		if i < len(pulled) && pulled[i] != nil && s.onPath[in] {
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
	Panicf("%s has no gradient in GoMLX: %s", n.Type(), Advice(n.Type()))
	return nil
}

// Clone rebuilds the outputs from other inputs of the same shape and dtype,
// with the same parameters. Nodes that mix examples keep the values that they
// have for the original inputs.
func (s *Pullback) Clone(inputs *Node) *Node {
	if !inputs.Shape().Equal(s.inputs.Shape()) {
		Panicf("vjp: cannot put %s in the place of inputs %s", inputs.Shape(), s.inputs.Shape())
	}
	clones := map[*Node]*Node{s.inputs: inputs}
	for _, n := range s.nodes {
		if n == s.inputs {
			continue
		}
		if alternates := autodiff.AlternateOutputs(n); alternates != nil && n.NumOutputs() == 1 {
			clones[n] = clones[alternates[0]]
			continue
		}
		replaced := slices.Clone(n.Inputs())
		for i, in := range replaced {
			if c := clones[in]; c != nil {
				replaced[i] = c
			}
		}
		clones[n] = n.CloneWithInputs(replaced...)
	}
	return clones[s.outputs]
}
