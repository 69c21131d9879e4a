package gcml

import (
	. "github.com/gomlx/gomlx/core/graph"
	. "github.com/gomlx/gomlx/support/exceptions"

	"github.com/geometric-complexity/toolkit/internal/convolution"
	"github.com/geometric-complexity/toolkit/internal/precision"
)

// SquaredJacobianColumnNorms returns Σ_k (∂outputs[b,k]/∂inputs[b,...])² for every example b and
// every value of its input: the squared norm of each column of the Jacobian, which says how
// sensitive the outputs are to that value alone. For an image this is a map of its pixels and
// channels. The sum over the values of an example is SquaredJacobianNorm.
//
// The result has the shape of inputs and the dtype of outputs. A random estimator gives each value
// without bias. Arguments and panics are as for SquaredJacobianNorm; it also panics for
// ForwardNoise, which moves all values of the input at once.
func SquaredJacobianColumnNorms(outputs, inputs *Node, opts ...Option) *Node {
	o := newOptions(inSquaredJacobianColumnNorms, opts)
	if o.estimator.kind == kindNoise {
		Panicf("gcml.SquaredJacobianColumnNorms: the estimator %s moves all values of the input at once: "+
			"use gcml.Exact() or gcml.Projection", o.estimator)
	}
	o.noClosedForm = true // The Gram matrix of the first layer stands for a sum over the columns.
	j := newJacobian(o.transformed(outputs), inputs, o)
	var total *Node
	for _, part := range j.parts() {
		v := precision.Wide(convolution.Unfused(j.pullback.Pull(j.after(part, total)))) // [C, batch, ...]
		total = addNonNil(total, ReduceSum(Square(v), 0))
	}
	total = Reshape(MulScalar(total, j.plan.scale), inputs.Shape().Dimensions...)
	return ConvertDType(total, j.outputs.DType())
}
