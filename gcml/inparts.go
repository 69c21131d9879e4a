package gcml

import (
	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph"
	. "github.com/gomlx/gomlx/support/exceptions"

	"github.com/geometric-complexity/toolkit/internal/gomlxcompat"
)

// complexityInParts returns the mean of the squared norms, a scalar that can be differentiated with
// respect to the variables only. It computes the vector-Jacobian products of one part of the
// cotangents and their gradients before those of the next part, so that the memory of a part is
// free by then. The usual gradient would keep the values of all parts until the backward pass.
//
// With smooth activations or the statistics of batch norm, each part's gradient also passes through
// the forward pass: once for every part instead of once for all.
func (j *jacobian) complexityInParts(variables []*Node) *Node {
	refuseFloat16(variables)
	var gc *Node
	var done []*Node // The sums over the parts so far.
	gradients := make([]*Node, len(variables))
	for _, part := range j.parts() {
		if done != nil {
			part = gomlxcompat.After(part, done...)
		}
		value := j.complexityOfPart(part)
		mustDifferentiateTwice(value, variables)
		gc = addNonNil(gc, value)
		done = []*Node{gc}
		for i, gradient := range Gradient(value, variables...) {
			gradients[i] = addNonNil(gradients[i], gradient)
			done = append(done, gradients[i])
		}
	}
	gc = j.refuseOtherGradients(StopGradient(gc), variables)
	for i, gradient := range gradients {
		zero := zeroWithGradient(variables[i], func() *Node { return gradient })
		gc = Add(gc, ConvertDType(zero, gc.DType()))
	}
	return gc
}

// refuseFloat16 panics for variables of float16. The coefficient multiplies a gradient that is
// complete, so that it would have overflowed, or the coefficient would underflow.
func refuseFloat16(variables []*Node) {
	for _, v := range variables {
		if v.DType() == dtypes.Float16 {
			Panicf("gcml: %s %s is of float16, in which the gradient of a penalty computed in parts (WithGradientInParts, or to save "+
				"memory) overflows or becomes 0: keep the variables in float32, or give WithCotangents instead", v.GetParameterName(), v.Shape())
		}
	}
}

// complexityOfPart returns the cotangents' share of the mean of the squared norms.
func (j *jacobian) complexityOfPart(cotangents *Node) *Node {
	if j.plan.norm == fromGram {
		return j.complexityByGram([]*Node{cotangents})
	}
	return MulScalar(ReduceAllSum(j.norms(cotangents)), j.plan.scale/float64(j.plan.batch))
}

// refuseOtherGradients returns gc such that a later Gradient with respect to any other parameter of
// the graph than the variables panics; it would silently be 0. GoMLX takes the same path for
// gradients with respect to inner nodes that depend on variables, so these are not detected.
func (j *jacobian) refuseOtherGradients(gc *Node, variables []*Node) *Node {
	g := gc.Graph()
	for _, leaf := range parametersBefore(j.outputs, variables) {
		refused := IdentityWithCustomGradient(leaf, func(_, _ *Node) *Node {
			Panicf("gcml: the penalty has no gradient with respect to %s %s: computed in parts (WithGradientInParts, or "+
				"to save memory), it has gradients with respect to trainable variables only; give WithCotangents instead", leaf.GetParameterName(), leaf.Shape())
			return nil
		})
		zero := ScalarZero(g, gc.DType()) // Where, unlike a product with 0, gives 0 for infinities too.
		gc = Add(gc, Where(Const(g, false), ConvertDType(firstElement(refused), gc.DType()), zero))
	}
	return gc
}

// parametersBefore returns the graph's float parameters that the outputs depend on, except the
// given ones.
func parametersBefore(outputs *Node, without []*Node) []*Node {
	seen := map[*Node]bool{}
	for _, n := range without {
		seen[n] = true
	}
	var parameters []*Node
	var visit func(n *Node)
	visit = func(n *Node) {
		if seen[n] {
			return
		}
		seen[n] = true
		if n.Type() == NodeTypeParameter && n.DType().IsFloat() {
			parameters = append(parameters, n)
		}
		for _, in := range n.Inputs() {
			visit(in)
		}
	}
	visit(outputs)
	return parameters
}
