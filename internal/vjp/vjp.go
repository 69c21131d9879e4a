// Package vjp computes vector-Jacobian products of the outputs of a graph with respect to its
// inputs, for many cotangents at once and separately for each example.
package vjp

import (
	"fmt"
	"slices"

	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	. "github.com/gomlx/gomlx/support/exceptions"

	"github.com/geometric-complexity/toolkit/internal/gomlxcompat"
)

// Pullback is a reverse pass over the part of a graph that lies between inputs and outputs. GoMLX's
// own Gradient computes one cotangent. A Pullback computes C cotangents at once, along a new first
// axis: the adjoint of a node of shape [dims...] has shape [C, dims...]. The graph is as small as
// for one cotangent, and C thin matrix products become one wide product. A Pullback builds only
// ordinary nodes, so that its results can be differentiated again.
//
// A Pullback separates the examples. It finds out to which example every element of a node belongs
// (see layout), and holds constant every value that depends on several examples or on another one,
// such as the statistics of batch norm in training mode, or the other example in a mixture of two.
// No adjoint passes through such a value, but a later Gradient still sees its dependence on the
// parameters. A Pullback thus takes the derivative of each example's outputs with respect to the
// example's own input, so that all estimators built on it estimate the same quantity.
type Pullback struct {
	outputs, inputs *Node

	// nodes are the nodes on a path from inputs to outputs, in the order of the graph.
	nodes  []*Node
	onPath map[*Node]bool

	// places has the possible layouts of every output of a node on the path, see flow.
	places map[*Node][][]layout

	// constant are the nodes that some choice of layouts holds constant, see allowedLayouts; nil
	// after the choice.
	constant map[*Node]bool

	// fixed has the inputs that each node holds constant.
	fixed map[*Node][]int

	// coupling are the nodes that mix examples.
	coupling []*Node

	// diagonals caches the local derivatives of elementwise nodes.
	diagonals map[*Node][]*Node

	// factors has the factors of factored adjoints.
	factors map[*Node]factored

	// columns has the columns of adjoints, see PreferColumns; nil unless the Pullback stores them.
	columns map[*Node]*Node
	// products has the factors of columns that are a product with weights.
	products map[*Node]columnProduct

	// gains has the adjoints that are a product with a gain per channel, and scaled the
	// convolutions with such a gain in their kernel, see gainIntoKernel.
	gains  map[*Node]channelGain
	scaled map[*Node]*Node
}

// New returns the Pullback of outputs and inputs, both of shape [batch, ...] and of a float dtype.
// It panics if it cannot follow the examples through a node, and if the first axis of the outputs
// is not the batch.
func New(outputs, inputs *Node) *Pullback {
	s := newPullback(outputs, inputs)
	reached := s.reachedFromOutputs()
	allowed := s.allowedLayouts(reached)
	for _, n := range reached {
		if n == inputs {
			s.addInputs()
			continue
		}
		mustNotCapture(n)
		if passes(n) && slices.ContainsFunc(edges(n), s.isOnPath) && s.follow(n) {
			s.dropLayouts(n, allowed[n])
			s.add(n)
		}
	}
	s.dropDeadEnds()
	if s.Depends() && !s.HasBatchFirst(outputs) {
		panic(&OrderError{Outputs: outputs, Inputs: inputs})
	}
	return s
}

// OrderError reports that the first axis of the outputs does not number the examples of the inputs
// in their order.
type OrderError struct{ Outputs, Inputs *Node }

// Error gives both shapes.
func (e *OrderError) Error() string {
	return fmt.Sprintf("vjp: the first axis of outputs %s does not number the examples of inputs %s in their order (node %s)",
		e.Outputs.Shape(), e.Inputs.Shape(), e.Outputs)
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
		gains:     make(map[*Node]channelGain),
		scaled:    make(map[*Node]*Node),
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

// passes reports whether a derivative may pass through n.
func passes(n *Node) bool {
	return !n.StopGradient() && (n.NumOutputs() != 1 || n.DType().IsFloat() || n.DType().IsComplex())
}

// Depends reports whether the outputs depend on the inputs.
func (s *Pullback) Depends() bool { return s.onPath[s.outputs] && s.onPath[s.inputs] }

// Coupling returns the nodes that mix examples. The Pullback holds constant either their values or
// their inputs from other examples.
func (s *Pullback) Coupling() []*Node { return s.coupling }

// Nodes returns the nodes between inputs and outputs, both included, in the order of the graph.
func (s *Pullback) Nodes() []*Node { return s.nodes }

// alternateOf returns the node of primitive ops that GoMLX differentiates in place of a fused n,
// nil if there is none.
func alternateOf(n *Node) *Node {
	if alternates := gomlxcompat.AlternateOutputs(n); alternates != nil {
		return alternates[0]
	}
	return nil
}

// edges returns the nodes that n's derivative passes to: its inputs, or its alternate.
func edges(n *Node) []*Node {
	if alternate := alternateOf(n); alternate != nil {
		return []*Node{alternate}
	}
	return n.Inputs()
}

// reachedFromOutputs returns the ancestors of the outputs, in the order of the graph. It stops at
// the inputs and at nodes without a derivative.
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

// dropDeadEnds removes the nodes from which every path to the outputs goes through an input that is
// held constant.
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
// dims...] the result has shape [C, input dims...]. Axes of size 1 of the cotangents broadcast.
func (s *Pullback) Pull(cotangents *Node) *Node {
	adjoints := s.pull(cotangents, s.inputs)
	v := adjoints[s.inputs]
	if v == nil {
		Panicf("vjp: no adjoint reached the inputs %s, although the outputs depend on them", s.inputs)
	}
	return spread(v, s.inputs)
}

// pull computes the adjoints from the outputs down to the node until, and returns them.
func (s *Pullback) pull(cotangents, until *Node) map[*Node]*Node {
	if !s.Depends() {
		Panicf("vjp: outputs %s do not depend on inputs %s", s.outputs, s.inputs)
	}
	if cotangents.Rank() != s.outputs.Rank()+1 {
		Panicf("vjp: cotangents have shape %s, want [C, %v]", cotangents.Shape(), s.outputs.Shape().Dimensions)
	}
	adjoints := map[*Node]*Node{s.outputs: cotangents}
	split := make(map[*Node][]*Node) // The adjoints of the outputs of a node with several.
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
		// Check this before SplitOf, because a fused op with several outputs has an alternate for
		// each.
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

// collect adds pulled, the adjoints of n's inputs, to the adjoints from other nodes.
func (s *Pullback) collect(adjoints map[*Node]*Node, n *Node, pulled []*Node) {
	for i, in := range n.Inputs() {
		if i < len(pulled) && pulled[i] != nil && s.onPath[in] && !s.isFixed(n, i) {
			adjoints[in] = s.sum(adjoints[in], pulled[i])
		}
	}
}

// spread broadcasts v, the adjoint of n, to n's sizes.
func spread(v, n *Node) *Node {
	dims := append([]int{v.Shape().Dimensions[0]}, n.Shape().Dimensions...)
	if slices.Equal(dims, v.Shape().Dimensions) {
		return v
	}
	return BroadcastToDims(v, dims...)
}

// gradientOf returns GoMLX's gradient rule of n.
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
	Panicf("%s has no gradient in GoMLX: %s", TypeName(n.Type()), adviceFor(n.Type()))
	return nil
}

// Clone builds the outputs again for other inputs of the same shape and dtype, with the same
// parameters. Values that the Pullback holds constant keep their values for the original inputs.
func (s *Pullback) Clone(inputs *Node) *Node {
	if !inputs.Shape().Equal(s.inputs.Shape()) {
		Panicf("vjp: Clone got inputs of shape %s, want %s", inputs.Shape(), s.inputs.Shape())
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
			clones[n] = normalizedBy(n, replaced[0], replaced[1],
				replaced[2]) // The first output; the others are not on the path.
		case n.Type() == NodeTypeSplitNode && s.holdsStatistics(n.Inputs()[0]):
			clones[n] = replaced[0]
		default:
			clones[n] = n.CloneWithInputs(replaced...)
		}
	}
	return clones[s.outputs]
}
