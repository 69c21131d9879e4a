package vjp

import (
	"slices"

	"github.com/gomlx/compute"
	. "github.com/gomlx/gomlx/core/graph"

	"github.com/geometric-complexity/toolkit/internal/gomlxcompat"
)

// dotSide is one operand of a DotGeneral, with its contracted axes, its batch axes and its own
// axes: the remaining ones, which appear in the result.
type dotSide struct {
	operand                 *Node
	contracting, batch, own []int
}

func dotSides(n *Node) (lhs, rhs dotSide) {
	d, _ := gomlxcompat.DotGeneralOf(n)
	side := func(operand *Node, contracting, batch []int) dotSide {
		ds := dotSide{operand: operand, contracting: contracting, batch: batch}
		for axis := range operand.Rank() {
			if !slices.Contains(contracting, axis) && !slices.Contains(batch, axis) {
				ds.own = append(ds.own, axis)
			}
		}
		return ds
	}
	return side(n.Inputs()[0], d.LHSContracting, d.LHSBatch), side(n.Inputs()[1], d.RHSContracting, d.RHSBatch)
}

// pullDot is the rule of a generalized product. The result's axes are the batch axes, then the own
// axes of lhs, then the own axes of rhs.
func (s *Pullback) pullDot(n, v *Node) []*Node {
	lhs, rhs := dotSides(n)
	batch := len(lhs.batch)
	firstOfLHS := 1 + batch
	firstOfRHS := firstOfLHS + len(lhs.own)
	pulled := make([]*Node, 2)
	if lhs.operand.Rank() == 2 && slices.Equal(lhs.contracting, []int{1}) && !s.onPath[rhs.operand] {
		if pulled[0] = s.pullFactored(v, rhs.operand, rhs.own); pulled[0] != nil {
			return pulled
		}
	}
	if s.onPath[lhs.operand] {
		pulled[0] = s.pullDotSide(n, v, lhs, rhs, axesFrom(firstOfRHS, v.Rank()), axesFrom(firstOfLHS, firstOfRHS))
	}
	if s.onPath[rhs.operand] {
		pulled[1] = s.pullDotSide(n, v, rhs, lhs, axesFrom(firstOfLHS, firstOfRHS), axesFrom(firstOfRHS, v.Rank()))
	}
	return pulled
}

// pullDotSide returns the adjoint of the wanted operand: it contracts v with the other operand over
// the axes of v that come from the other operand, and transposes the product to the axes of the
// wanted one.
func (s *Pullback) pullDotSide(n, v *Node, wanted, other dotSide, fromOther, fromWanted []int) *Node {
	v = spreadAxes(v, n, append(slices.Clone(fromOther), axesFrom(1, 1+len(wanted.batch))...))
	var product *Node
	if other.operand.Rank() == 2 && len(other.own) == 1 && len(other.contracting) == 1 && fromOther[0] == v.Rank()-1 {
		product = s.timesMatrix(v, other.operand, other.own[0])
	} else {
		product = Dot(v, other.operand).General(fromOther, axesFrom(1, 1+len(wanted.batch)), other.own, other.batch)
	}
	// The product's axes are the batch axes, C, the wanted operand's own axes, and the other
	// operand's contracted axes in ascending order.
	batch := len(wanted.batch)
	order := make([]int, 1+wanted.operand.Rank())
	order[0] = batch
	for i, axis := range wanted.batch {
		order[1+axis] = i
	}
	for i, axis := range wanted.own {
		order[1+axis] = batch + 1 + i
	}
	left := slices.Clone(other.contracting)
	slices.Sort(left)
	for i, axis := range wanted.contracting {
		order[1+axis] = batch + 1 + len(fromWanted) + slices.Index(left, other.contracting[i])
	}
	if slices.IsSorted(order) {
		return product
	}
	return TransposeAllAxes(product, order...)
}

// TimesMatrix contracts the last axis of v with an axis of the matrix w, whose other axis takes its
// place. It merges the other axes of v for the product. The gradient with respect to w then
// contracts a single axis, which XLA does without transposing v.
func TimesMatrix(v, w *Node, axis int) *Node {
	dims := slices.Clone(v.Shape().Dimensions)
	last := len(dims) - 1
	rows := Reshape(v, -1, dims[last])
	dims[last] = w.Shape().Dimensions[1-axis]
	return Reshape(Dot(rows, w).General([]int{1}, nil, []int{axis}, nil), dims...)
}

// factored is an adjoint u∘d of one cotangent. u, [1, 1, units], is the same for every example, and
// d, [batch, units], is the local derivative of an activation.
type factored struct {
	uniform, diagonal *Node
}

// keepFactors remembers that p = v∘d, where v is the same for every example.
func (s *Pullback) keepFactors(p, v, d *Node) {
	dims := v.Shape().Dimensions
	if len(dims) == 3 && dims[0] == 1 && dims[1] == 1 && d.Rank() == 2 && dimsOf(d)[0] > 1 && dimsOf(d)[1] == dims[2] {
		s.factors[p] = factored{uniform: v, diagonal: d}
	}
}

// pullFactored pulls an adjoint u∘d through a layer with the weights w, whose axis own has the
// units. It computes d·(u∘w)ᵀ instead of (u∘d)·wᵀ, in the same number of operations. If d is
// piecewise constant, as for ReLU, the gradient then needs one product less, because only u∘w
// depends on the parameters, and d needs no gradient. It returns nil if v is not factored.
func (s *Pullback) pullFactored(v, w *Node, own []int) *Node {
	f, ok := s.factors[v]
	if !ok || w.Rank() != 2 || len(own) != 1 {
		return nil
	}
	scaled := Mul(w, asAxis(f.uniform, w.Rank(), own[0]))
	if s.columns != nil {
		return s.fromColumns(Dot(scaled, Transpose(f.diagonal, 0, 1)).General(own, nil, []int{0}, nil), 1)
	}
	return InsertAxes(Dot(f.diagonal, scaled).General([]int{1}, nil, own, nil), 0)
}

// plainDense returns the weights and their contracted axis of a fused dense layer without an
// activation. GoMLX's Dense is such a node on the pure-Go backend.
func plainDense(n *Node) (weights *Node, contracted int, ok bool) {
	dense, ok := gomlxcompat.FusedDenseOf(n)
	if !ok || dense.Activation != compute.ActivationNone || n.Inputs()[1].Rank() != 2 {
		return nil, 0, false
	}
	if dense.WeightLayout == compute.DenseLayoutOutputsInput {
		contracted = 1
	}
	return n.Inputs()[1], contracted, true
}

// pullFusedDense returns nil if the layer has an activation, or if its weights depend on the
// inputs.
func (s *Pullback) pullFusedDense(n, v *Node) []*Node {
	weights, contracted, ok := plainDense(n)
	if !ok || slices.ContainsFunc(n.Inputs()[1:], s.isOnPath) {
		return nil
	}
	if pulled := s.pullFactored(v, weights, []int{1 - contracted}); pulled != nil {
		return []*Node{pulled}
	}
	return []*Node{TimesMatrix(spreadAxes(v, n, []int{v.Rank() - 1}), weights, 1-contracted)}
}

// spreadAxes broadcasts the given axes of v, the adjoint of n, to n's sizes.
func spreadAxes(v, n *Node, axes []int) *Node {
	dims := slices.Clone(v.Shape().Dimensions)
	for _, axis := range axes {
		dims[axis] = n.Shape().Dimensions[axis-1]
	}
	if slices.Equal(dims, v.Shape().Dimensions) {
		return v
	}
	return BroadcastToDims(v, dims...)
}

// FirstLinear describes the first layer of a network that uses its inputs only in the product
// Dot(x, W), perhaps with a bias, where x is the inputs or a reshape of them.
type FirstLinear struct {
	// Node is the product, of shape [batch, units].
	Node *Node
	// Weights is W, of shape [units, features] if Transposed, else [features, units].
	Weights    *Node
	Transposed bool
}

// FirstLinear finds the first layer. It returns false unless this layer is the only user of the
// inputs, and a plain product with weights that do not depend on the inputs.
func (s *Pullback) FirstLinear() (FirstLinear, bool) {
	at := s.inputs
	for {
		consumers := s.consumers(at)
		if len(consumers) != 1 {
			return FirstLinear{}, false
		}
		n := consumers[0]
		if n.Type() == NodeTypeReshape && n.Rank() > 0 && n.Shape().Dimensions[0] == s.inputs.Shape().Dimensions[0] {
			at = n
			continue
		}
		if weights, contracted, ok := plainDense(n); ok && n.Inputs()[0] == at && !s.onPath[weights] &&
			n.Rank() == 2 && at.Rank() == 2 {
			return FirstLinear{Node: n, Weights: weights, Transposed: contracted == 1}, true
		}
		d, ok := gomlxcompat.DotGeneralOf(n)
		if !ok || n.Inputs()[0] != at || s.onPath[n.Inputs()[1]] || n.Rank() != 2 || at.Rank() != 2 ||
			n.Inputs()[1].Rank() != 2 || len(d.LHSBatch) > 0 || !slices.Equal(d.LHSContracting, []int{1}) {
			return FirstLinear{}, false
		}
		return FirstLinear{Node: n, Weights: n.Inputs()[1], Transposed: d.RHSContracting[0] == 1}, true
	}
}

// PullToFirst is Pull down to the product that FirstLinear found. The result has shape [C, batch,
// units].
func (s *Pullback) PullToFirst(first FirstLinear, cotangents *Node) *Node {
	return spread(s.pull(cotangents, first.Node)[first.Node], first.Node)
}

func (s *Pullback) consumers(of *Node) []*Node {
	var found []*Node
	for _, n := range s.nodes {
		if n != s.inputs && slices.Contains(edges(n), of) {
			found = append(found, n)
		}
	}
	return found
}
