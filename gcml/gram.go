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

// timesGram returns v·G for v of shape [C, batch, units].
func (j *jacobian) timesGram(v *Node) *Node {
	return Dot(v, j.gramMatrix()).General([]int{2}, nil, []int{0}, nil)
}

// gramMatrix returns G, [units, units], built when first asked for.
func (j *jacobian) gramMatrix() *Node {
	if j.gram == nil {
		w, features := j.first.Weights, 0
		if j.first.Transposed {
			features = 1
		}
		j.gram = Dot(w, w).General([]int{features}, nil, []int{features}, nil)
	}
	return j.gram
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
	var total *Node
	for _, part := range j.parts() {
		value := j.quadraticForm(j.sweep.PullToFirst(j.first, part))
		if total == nil {
			total = value
		} else {
			total = Add(total, value)
		}
	}
	return MulScalar(total, j.scale()/float64(j.batch()))
}

// quadraticForm returns Σ v·G·vᵀ over all rows of v, [C, batch, units]. Its gradients are 2·v·G and vᵀ·v times that of the result, in
// nodes that can be differentiated again.
func (j *jacobian) quadraticForm(v *Node) *Node {
	vg := j.timesGram(v)
	value := StopGradient(ReduceAllSum(Mul(vg, v)))
	// Terms of value 0 that carry the gradients.
	alongV := IdentityWithCustomGradient(v, func(_, adjoint *Node) *Node {
		return Mul(adjoint, MulScalar(vg, 2))
	})
	alongG := IdentityWithCustomGradient(j.gramMatrix(), func(_, adjoint *Node) *Node {
		return Mul(adjoint, Dot(v, v).General([]int{0, 1}, nil, []int{0, 1}, nil))
	})
	for _, term := range []*Node{alongV, alongG} {
		carrier := ReduceAllSum(term)
		value = Add(value, Sub(carrier, StopGradient(carrier)))
	}
	return value
}
