package vjp

import (
	. "github.com/gomlx/gomlx/core/graph"
)

// In a network of only dense layers and elementwise functions, a Pullback can store adjoints as
// columns: [units, C·batch] instead of [C, batch, units]. This has two advantages on a CPU. Every
// product is W·p with C·batch columns, most often a multiple of the SIMD width, which the numbers
// of units and inputs may not be. And a sum of squares over the inputs adds rows, so that no sum
// within a SIMD register is needed.

// PreferColumns makes Pull store adjoints as columns, if the network allows it.
func (s *Pullback) PreferColumns() {
	for _, n := range s.nodes {
		if n != s.inputs && !s.isColumnwise(n) {
			return
		}
	}
	s.columns, s.products = make(map[*Node]*Node), make(map[*Node]columnProduct)
}

// isColumnwise reports whether n is a dense layer's product or an elementwise function, of shape
// [batch, units], or a reshape of the inputs to that shape.
func (s *Pullback) isColumnwise(n *Node) bool {
	if n.NumOutputs() != 1 || n.Rank() != 2 {
		return false
	}
	switch n.Type() {
	case NodeTypeReshape:
		return n.Inputs()[0] == s.inputs && n.Shape().Dimensions[0] == s.batch()
	case NodeTypeDotGeneral:
		lhs, rhs := dotSides(n)
		return s.onPath[lhs.operand] && !s.onPath[rhs.operand] && lhs.operand.Rank() == 2 && rhs.operand.Rank() == 2 &&
			len(lhs.own) == 1 && lhs.own[0] == 0 && len(rhs.own) == 1
	}
	return passing[n.Type()] || isElementwise(n)
}

// Columns returns the columns, [units, C·batch], of an adjoint [C, batch, ...] that Pull returned;
// nil if Pull did not store it as columns. A product with weights of more than so many units is
// returned in blocks of about the same size, one product for each block of the weights; XLA drops
// the whole.
func (s *Pullback) Columns(v *Node, units int) []*Node {
	p := s.columns[v]
	if p == nil {
		return nil
	}
	f, ok := s.products[p]
	all := p.Shape().Dimensions[0]
	if !ok || all <= units {
		return []*Node{p}
	}
	count := (all + units - 1) / units
	blocks := make([]*Node, count)
	for i := range blocks {
		block := []SliceAxisSpec{AxisRange(), AxisRange()}
		block[1-f.contracted] = AxisRange(i*all/count, (i+1)*all/count)
		blocks[i] = Dot(Slice(f.weights, block...), f.adjoint).General([]int{f.contracted}, nil, []int{0}, nil)
	}
	return blocks
}

// columnProduct has the factors of columns: weights, of rank 2, whose axis contracted is summed,
// and the columns of the adjoint of their units.
type columnProduct struct {
	weights, adjoint *Node
	contracted       int
}

// fromColumns returns the adjoint [C, batch, units] with the columns p, and remembers the columns.
// XLA drops the adjoint if nothing uses it in this form.
func (s *Pullback) fromColumns(p *Node, cotangents int) *Node {
	units, columns := p.Shape().Dimensions[0], p.Shape().Dimensions[1]
	v := Reshape(Transpose(p, 0, 1), cotangents, columns/cotangents, units)
	s.columns[v] = p
	return v
}

// keepColumns returns reshaped and remembers v's columns for it. reshaped is v with other axes in
// place of the axis of the units.
func (s *Pullback) keepColumns(reshaped, v *Node) *Node {
	if p := s.columns[v]; p != nil {
		s.columns[reshaped] = p
	}
	return reshaped
}

// timesMatrix is TimesMatrix, but uses columns for v of shape [C, batch, units] if the Pullback
// stores them. For v equal for every example, [C, 1, units], the product is small in either form.
func (s *Pullback) timesMatrix(v, w *Node, axis int) *Node {
	if s.columns == nil || v.Rank() != 3 || v.Shape().Dimensions[1] == 1 {
		return TimesMatrix(v, w, axis)
	}
	cotangents, units := v.Shape().Dimensions[0], v.Shape().Dimensions[2]
	if p := s.columns[v]; p != nil {
		product := Dot(w, p).General([]int{axis}, nil, []int{0}, nil)
		s.products[product] = columnProduct{weights: w, adjoint: p, contracted: axis}
		return s.fromColumns(product, cotangents)
	}
	return s.fromColumns(Dot(w, Reshape(v, -1, units)).General([]int{axis}, nil, []int{1}, nil), cotangents)
}

// timesDiagonal multiplies v, [C, batch or 1, units], by the local derivative d of an elementwise
// node.
func (s *Pullback) timesDiagonal(v, d *Node) *Node {
	if s.columns == nil || v.Rank() != 3 || d.Rank() != 2 || v.Shape().Dimensions[2] != d.Shape().Dimensions[1] {
		return Mul(v, InsertAxes(d, 0))
	}
	cotangents, batch, units := v.Shape().Dimensions[0], d.Shape().Dimensions[0], d.Shape().Dimensions[1]
	p := s.columns[v]
	switch {
	case p != nil:
		p = Reshape(p, units, cotangents, batch)
	case v.Shape().Dimensions[1] == 1:
		p = InsertAxes(Transpose(Reshape(v, cotangents, units), 0, 1), 2)
	default:
		return Mul(v, InsertAxes(d, 0))
	}
	p = Mul(p, InsertAxes(Transpose(d, 0, 1), 1)) // Both factors are [units, C, batch] or broadcast to it.
	return s.fromColumns(Reshape(p, units, cotangents*batch), cotangents)
}

// sum returns a+b, or the other one if either is nil. Axes of size 1 broadcast.
func (s *Pullback) sum(a, b *Node) *Node {
	switch {
	case a == nil:
		return b
	case b == nil:
		return a
	}
	if p, q := s.columns[a], s.columns[b]; p != nil && q != nil {
		total := s.fromColumns(Add(p, q), a.Shape().Dimensions[0])
		return s.keepColumns(Reshape(total, a.Shape().Dimensions...), total) // Restores the axes of the inputs.
	}
	return Add(a, b)
}
