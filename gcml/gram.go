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
// be differentiated. The gradient of Σ v·G·vᵀ is 2·v·G with respect to v, and
// vᵀ·v with respect to G, so it uses the product of the value again, where
// differentiating the value's nodes would multiply v by the transpose of G a
// second time. It returns nil where the Gram matrix is not used.
func complexityForGradient(outputs, inputs *Node, o options) *Node {
	if o.estimator.kind == kindNoise {
		return nil
	}
	j := newJacobian(outputs, inputs, o)
	if !j.isGram {
		return nil
	}
	var norms, carriers *Node // [batch], and a scalar 0.
	for _, part := range j.parts() {
		v := j.sweep.PullToFirst(j.first, part)
		vg := j.timesGram(v)
		squares := ReduceSum(Mul(vg, v), 0, 2)
		carrier := Add(
			carrierOf(v, func() *Node { return MulScalar(vg, 2) }),
			carrierOf(j.gramMatrix(), func() *Node { return Dot(v, v).General([]int{0, 1}, nil, []int{0, 1}, nil) }))
		if norms == nil {
			norms, carriers = squares, carrier
		} else {
			norms, carriers = Add(norms, squares), Add(carriers, carrier)
		}
	}
	return MulScalar(Add(StopGradient(ReduceAllSum(norms)), carriers), j.scale()/float64(j.batch()))
}

// carrierOf returns a scalar of value 0 whose gradient with respect to x is what
// gradient builds, in nodes that can be differentiated again. Of the adjoint,
// which GoMLX gives for all of x, one element is what arrived at the scalar.
func carrierOf(x *Node, gradient func() *Node) *Node {
	first := func(x *Node) *Node {
		specs := make([]SliceAxisSpec, x.Rank())
		for axis := range specs {
			specs[axis] = AxisElem(0)
		}
		return Reshape(Slice(x, specs...))
	}
	carrier := first(IdentityWithCustomGradient(x, func(_, adjoint *Node) *Node {
		return Mul(gradient(), first(adjoint))
	}))
	return Sub(carrier, StopGradient(carrier))
}
