package gcml

import (
	. "github.com/gomlx/gomlx/core/graph"

	"example.com/geometric-complexity/internal/autodiff"
)

// complexityInTurns is the mean of the squared norms, a scalar that will be differentiated with respect to the variables
// alone, one part of the cotangents after the other: a part's vector-Jacobian products and their gradients are computed
// before those of the next, so that what they keep is gone by then. The value's nodes differentiated as usual would keep all
// parts' until the backward pass.
//
// Where a part's gradient goes through the forward pass too, as for smooth activations and the statistics of batch norm, it
// does so once for every part instead of once for all.
func (j *jacobian) complexityInTurns(variables []*Node) *Node {
	var gc *Node
	var done []*Node // What the parts before have added up to, all of it.
	gradients := make([]*Node, len(variables))
	for _, part := range j.parts() {
		if done != nil {
			part = autodiff.After(part, done...)
		}
		value := MulScalar(ReduceAllSum(j.norms(part)), j.plan.scale/float64(j.plan.batch))
		mustDifferentiateTwice(value, variables)
		gc = addNonNil(gc, value)
		done = []*Node{gc}
		for i, gradient := range Gradient(value, variables...) {
			gradients[i] = addNonNil(gradients[i], gradient)
			done = append(done, gradients[i])
		}
	}
	gc = StopGradient(gc)
	for i, gradient := range gradients {
		carrier := carrierOf(variables[i], func() *Node { return gradient })
		gc = Add(gc, ConvertDType(carrier, gc.DType()))
	}
	return gc
}
