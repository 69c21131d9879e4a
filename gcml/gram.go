package gcml

import (
	. "github.com/gomlx/gomlx/core/graph"
)

// Where the inputs enter through one dense layer alone, x·W with n units, the
// Jacobian is V·Wᵀ with V the derivative of the outputs with respect to the
// layer's result, and
//
//	‖V·Wᵀ‖²_F = Σ_rows v·G·vᵀ,  G = Wᵀ·W of shape [n, n].
//
// So the Jacobian with respect to the input is never built, and the cost per
// row is n² instead of n·(number of inputs). This holds whatever comes after
// the first layer.
//
// As G is symmetric, v·G·vᵀ = v·U·vᵀ with U the upper triangle of G and what is
// above its diagonal doubled. Taken in blocks of columns, that leaves out a part
// of the products, in G itself and in v·U.

// gramBlock is the least width of a block of columns, and maxGramBlocks their
// number at most. Two blocks save a quarter of the products; more blocks save
// little more, and the copies of their parts of v cost it again.
const (
	gramBlock     = 128
	maxGramBlocks = 2
)

// gramIsCheaper compares the multiplications of both ways.
func (j *jacobian) gramIsCheaper() bool {
	units := j.first.Node.Shape().Dimensions[1]
	features := j.first.Weights.Shape().Size() / units
	rows := j.batch() * j.numCotangents()
	return rows*units+units*features < rows*features
}

func (j *jacobian) numCotangents() int {
	if j.opts.estimator.isExact(j.numOutputs()) {
		return j.numOutputs()
	}
	return j.opts.estimator.samples
}

// gramColumns is a block of the columns start to limit of U, [limit, limit-start].
type gramColumns struct {
	start, limit int
	upper        *Node
}

// gramMatrix returns U by blocks of columns, built when first asked for.
func (j *jacobian) gramMatrix() []gramColumns {
	if j.gram != nil {
		return j.gram
	}
	w := j.first.Weights
	features, units := 0, 1
	if j.first.Transposed {
		features, units = 1, 0
	}
	n := w.Shape().Dimensions[units]
	blocks := min(max(1, n/gramBlock), maxGramBlocks)
	for b := range blocks {
		start, limit := b*n/blocks, (b+1)*n/blocks
		left := SliceAxis(w, units, AxisRange(0, limit))
		right := SliceAxis(w, units, AxisRange(start, limit))
		columns := Dot(left, right).General([]int{features}, nil, []int{features}, nil)
		if start > 0 {
			double := MulScalar(SliceAxis(columns, 0, AxisRange(0, start)), 2)
			columns = Concatenate([]*Node{double, SliceAxis(columns, 0, AxisRange(start, limit))}, 0)
		}
		j.gram = append(j.gram, gramColumns{start: start, limit: limit, upper: columns})
	}
	return j.gram
}

// gramNorms returns v·G·vᵀ for v of shape [C, batch, units], as [C, batch].
func (j *jacobian) gramNorms(v *Node) *Node {
	var total *Node
	for _, block := range j.gramMatrix() {
		left := SliceAxis(v, 2, AxisRange(0, block.limit))
		right := SliceAxis(v, 2, AxisRange(block.start, block.limit))
		product := Dot(left, block.upper).General([]int{2}, nil, []int{0}, nil)
		norms := ReduceSum(Mul(product, right), 2)
		if total == nil {
			total = norms
		} else {
			total = Add(total, norms)
		}
	}
	return total
}

// complexityForGradient is Complexity by the Gram matrix for a value that will
// be differentiated: d(v·G·vᵀ)/dv = 2·v·G, so the gradient uses the product of
// the value again, where differentiating the value's nodes would multiply v by
// the transpose of G a second time. It returns nil where the Gram matrix is not
// used.
func complexityForGradient(outputs, inputs *Node, o options) *Node {
	if o.estimator.kind == kindNoise {
		return nil
	}
	j := newJacobian(outputs, inputs, o)
	if !j.isGram {
		return nil
	}
	w, features := j.first.Weights, 0
	if j.first.Transposed {
		features = 1
	}
	gram := Dot(w, w).General([]int{features}, nil, []int{features}, nil)
	var total *Node
	for _, part := range j.parts() {
		value := quadraticForm(j.sweep.PullToFirst(j.first, part), gram)
		if total == nil {
			total = value
		} else {
			total = Add(total, value)
		}
	}
	return MulScalar(total, j.scale()/float64(j.batch()))
}

// quadraticForm returns Σ v·G·vᵀ over all rows of v, [C, batch, units], for a
// symmetric G. Its gradients are 2·v·G and vᵀ·v times that of the result, in
// nodes that can be differentiated again.
func quadraticForm(v, gram *Node) *Node {
	vg := Dot(v, gram).General([]int{2}, nil, []int{0}, nil)
	value := StopGradient(ReduceAllSum(Mul(vg, v)))
	// Terms of value 0 that carry the gradients.
	alongV := IdentityWithCustomGradient(v, func(_, adjoint *Node) *Node {
		return Mul(adjoint, MulScalar(vg, 2))
	})
	alongG := IdentityWithCustomGradient(gram, func(_, adjoint *Node) *Node {
		return Mul(adjoint, Dot(v, v).General([]int{0, 1}, nil, []int{0, 1}, nil))
	})
	for _, term := range []*Node{alongV, alongG} {
		carrier := ReduceAllSum(term)
		value = Add(value, Sub(carrier, StopGradient(carrier)))
	}
	return value
}
