package gcml

import (
	. "github.com/gomlx/gomlx/core/graph"
	. "github.com/gomlx/gomlx/support/exceptions"

	"example.com/geometric-complexity/internal/gomlxcompat"
)

// complexityInTurns is the mean of the squared norms, a scalar that will be differentiated with
// respect to the variables alone, one part of the cotangents after the other: a part's
// vector-Jacobian products and their gradients are computed before those of the next, so that what
// they keep is gone by then. The value's nodes differentiated as usual would keep all parts' until
// the backward pass.
//
// Where a part's gradient goes through the forward pass too, as for smooth activations and the
// statistics of batch norm, it does so once for every part instead of once for all.
func (j *jacobian) complexityInTurns(variables []*Node) *Node {
	var gc *Node
	var done []*Node // What the parts before have added up to, all of it.
	gradients := make([]*Node, len(variables))
	for _, part := range j.parts() {
		if done != nil {
			part = gomlxcompat.After(part, done...)
		}
		value := j.partOfComplexity(part)
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
		carrier := carrierOf(variables[i], func() *Node { return gradient })
		gc = Add(gc, ConvertDType(carrier, gc.DType()))
	}
	return gc
}

// partOfComplexity is the share of the cotangents in the mean of the squared norms.
func (j *jacobian) partOfComplexity(cotangents *Node) *Node {
	if j.plan.norm == fromGram {
		return j.complexityByGram([]*Node{cotangents})
	}
	return MulScalar(ReduceAllSum(j.norms(cotangents)), j.plan.scale/float64(j.plan.batch))
}

// refuseOtherGradients returns gc, of which a later Gradient with respect to a parameter of the
// graph that is none of the variables panics: it would be 0. Gradients with respect to inner nodes,
// which depend on variables, are like those of the variables to GoMLX, and cannot be told apart.
func (j *jacobian) refuseOtherGradients(gc *Node, variables []*Node) *Node {
	g := gc.Graph()
	for _, leaf := range parametersBefore(j.outputs, variables) {
		refused := IdentityWithCustomGradient(leaf, func(_, _ *Node) *Node {
			Panicf("gcml: the gradient of the penalty with respect to %s %s is asked for, but taken in parts "+
				"(WithGradientInParts, or for want of memory) it has one with respect to trainable variables only: "+
				"give WithCotangents instead", leaf.GetParameterName(), leaf.Shape())
			return nil
		})
		zero := ScalarZero(g, gc.DType()) // Whatever the leaf holds, infinities too.
		gc = Add(gc, Where(Const(g, false), ConvertDType(firstElement(refused), gc.DType()), zero))
	}
	return gc
}

// parametersBefore are the parameters of the graph of a float dtype that the outputs depend on, but
// for the given ones.
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
