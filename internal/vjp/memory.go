package vjp

import (
	"slices"

	. "github.com/gomlx/gomlx/core/graph"

	"github.com/geometric-complexity/toolkit/internal/gomlxcompat"
)

// AdjointBytes estimates the memory of one cotangent's adjoints, in bytes, when Pull computes them
// down to the node until. alive is the largest amount needed at one time. all is the sum over all
// adjoints, which a later gradient of Pull's result keeps.
//
// It counts the adjoints in the order of the graph, each with the size and dtype of its node. It
// counts an adjoint once if an op passes it on unchanged, and assumes that an elementwise op
// overwrites an adjoint that nothing else needs. It does not count the ops' temporary buffers, such
// as the patches of a convolution, nor the local derivatives, which all cotangents share.
func (s *Pullback) AdjointBytes(until *Node) (alive, all int) {
	m := memory{held: make(map[*Node][]*buffer)}
	m.give(s.outputs, m.allocate(s.outputs))
	for _, n := range slices.Backward(s.nodes) {
		if n == until {
			break
		}
		if len(m.held[n]) == 0 {
			continue
		}
		s.count(&m, n)
		m.release(m.held[n]...)
		delete(m.held, n)
	}
	return m.most, m.all
}

// LargestWeights returns the bytes of the largest factor of a product between the node until and
// the outputs that does not depend on the inputs, 0 if there is none. Each call of Pull down to
// until reads it once, for however many cotangents.
func (s *Pullback) LargestWeights(until *Node) int {
	most := 0
	for _, n := range slices.Backward(s.nodes) {
		if n == until {
			break
		}
		if n.Type() != NodeTypeDotGeneral && n.Type() != NodeTypeFusedDense {
			continue
		}
		for _, in := range n.Inputs() {
			if !s.onPath[in] {
				most = max(most, bytesOf(in))
			}
		}
	}
	return most
}

// count records in m the memory of the adjoints that pull computes from the adjoint of n.
func (s *Pullback) count(m *memory, n *Node) {
	operands := s.operandsOnPath(n)
	for _, in := range operands {
		switch {
		case s.passesOn(n, in):
			m.share(in, m.held[n])
		case len(operands) == 1 && sameDims(in, n) && (passing[n.Type()] || isElementwise(n)):
			m.all += bytesOf(in)
			m.share(in, m.held[n])
		default:
			m.give(in, m.allocate(in))
		}
	}
}

// operandsOnPath returns the nodes that receive an adjoint from n.
func (s *Pullback) operandsOnPath(n *Node) []*Node {
	var operands []*Node
	for i, in := range edges(n) {
		if s.onPath[in] && (alternateOf(n) != nil || !s.isFixed(n, i)) && !slices.Contains(operands, in) {
			operands = append(operands, in)
		}
	}
	return operands
}

// passesOn reports whether the adjoint of n's operand in is the adjoint of n, perhaps reshaped.
func (s *Pullback) passesOn(n, in *Node) bool {
	if alternateOf(n) != nil {
		return true
	}
	if _, isSplit := gomlxcompat.SplitOf(n); isSplit {
		return true
	}
	switch n.Type() {
	case NodeTypeReshape, NodeTypeReduceSum: // The adjoint of a sum's operand has axes of size 1 until it is broadcast.
		return true
	case NodeTypeAdd, NodeTypeIdentity, NodeTypeOptimizationBarrier:
		return sameDims(in, n)
	case NodeTypeSub:
		return sameDims(in, n) && n.Inputs()[0] == in
	}
	return false
}

// bytesOf returns the size of the adjoint of n for one cotangent; 0 for a node with several
// outputs, whose outputs have the adjoints.
func bytesOf(n *Node) int {
	if n.NumOutputs() != 1 {
		return 0
	}
	return int(n.Shape().ByteSize())
}

// memory counts the bytes of buffers.
type memory struct {
	held           map[*Node][]*buffer // The adjoint of a node; several if it has several outputs.
	now, most, all int                 // In bytes.
}

type buffer struct{ bytes, users int }

func (m *memory) allocate(n *Node) *buffer {
	b := &buffer{bytes: bytesOf(n), users: 1}
	m.now += b.bytes
	m.most = max(m.most, m.now)
	m.all += b.bytes
	return b
}

func (m *memory) release(buffers ...*buffer) {
	for _, b := range buffers {
		b.users--
		if b.users == 0 {
			m.now -= b.bytes
		}
	}
}

// give adds the buffer to the adjoint of n. The sum overwrites a term that nothing else needs.
func (m *memory) give(n *Node, b *buffer) {
	held := m.held[n]
	switch {
	case len(held) == 0 || n.NumOutputs() != 1:
		m.held[n] = append(held, b)
	case held[0].users == 1:
		m.release(b)
	case b.users == 1:
		m.release(held[0])
		held[0] = b
	default:
		sum := m.allocate(n)
		m.release(held[0], b)
		held[0] = sum
	}
}

// share is give for buffers that another node also holds.
func (m *memory) share(n *Node, buffers []*buffer) {
	for _, b := range buffers {
		b.users++
		m.give(n, b)
	}
}
