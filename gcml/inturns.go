package gcml

import (
	. "github.com/gomlx/gomlx/core/graph"

	"example.com/geometric-complexity/internal/autodiff"
)

// complexityInTurns is Complexity for a value that will be differentiated with respect to o.variables alone, one part of the
// cotangents after the other: a part's vector-Jacobian products and their gradients are computed before those of the next,
// so that what they keep is gone by then. The value's nodes differentiated as usual would keep all parts' until the backward
// pass.
//
// Where a part's gradient goes through the forward pass too, as for smooth activations and the statistics of batch norm, it
// does so once for every part instead of once for all.
//
// It returns nil where there is one part only, where the Gram matrix is used, whose parts share their gradients' work, and
// for an estimator without cotangents.
func complexityInTurns(outputs, inputs *Node, o options) *Node {
	if o.estimator.kind == kindNoise {
		return nil
	}
	j := newJacobian(outputs, inputs, o)
	if j.isGram || j.carried(j.numCotangents()) == j.numCotangents() {
		return nil
	}
	var gc *Node
	var done []*Node // What the parts before have added up to, all of it.
	gradients := make([]*Node, len(o.variables))
	for _, part := range j.parts() {
		if done != nil {
			part = autodiff.After(part, done...)
		}
		value := MulScalar(ReduceAllSum(j.norms(part)), j.scale()/float64(j.batch()))
		mustDifferentiateTwice(value, o.variables)
		gc = addNonNil(gc, value)
		done = []*Node{gc}
		for i, gradient := range Gradient(value, o.variables...) {
			gradients[i] = addNonNil(gradients[i], gradient)
			done = append(done, gradients[i])
		}
	}
	gc = StopGradient(gc)
	for i, gradient := range gradients {
		carrier := carrierOf(o.variables[i], func() *Node { return gradient })
		gc = Add(gc, ConvertDType(carrier, gc.DType()))
	}
	return gc
}
