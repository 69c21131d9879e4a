package gcml

import (
	"math"
	"slices"

	. "github.com/gomlx/gomlx/core/graph"
	. "github.com/gomlx/gomlx/support/exceptions"

	"github.com/geometric-complexity/toolkit/internal/autodiff"
	"github.com/geometric-complexity/toolkit/internal/convolution"
	"github.com/geometric-complexity/toolkit/internal/gomlxcompat"
	"github.com/geometric-complexity/toolkit/internal/precision"
	"github.com/geometric-complexity/toolkit/internal/vjp"
)

func init() { autodiff.Register() }

// SquaredJacobianNorm returns ‖∂outputs[b]/∂inputs[b]‖²_F for every example b: the sum of the
// squares of all derivatives, no root taken and no factor 1/2.
//
// outputs and inputs have shape [batch, ...] and a float dtype; all axes after the first are
// flattened. The result has shape [batch] and the dtype of outputs. It can be differentiated with
// respect to the parameters of the model. Random estimators draw from the random state of the
// graph's model.Store. It is computed in float32 for shorter dtypes. In float32 squares below about
// 1e-38 become 0, and those above 3e38 infinite.
//
// It panics if the outputs do not depend on the inputs, if either has no batch axis, if their batch
// sizes or graphs differ, if either is not of a float dtype, and if an op between them has no
// gradient.
func SquaredJacobianNorm(outputs, inputs *Node, opts ...Option) *Node {
	o := newOptions(inSquaredJacobianNorm, opts)
	j := newJacobian(o.transformed(outputs), inputs, o)
	return ConvertDType(j.total(), j.outputs.DType())
}

// SquaredJacobianRowNorms returns ‖∂outputs[b,k]/∂inputs[b]‖² for every example b and output k: one
// value for each row of the Jacobian. Their sum over k is SquaredJacobianNorm. The result has shape
// [batch, outputs]. Arguments and panics are as for SquaredJacobianNorm; it also panics for an
// estimator that is not Exact.
func SquaredJacobianRowNorms(outputs, inputs *Node, opts ...Option) *Node {
	o := newOptions(inSquaredJacobianRowNorms, opts)
	if !o.estimator.isAlwaysExact() {
		Panicf("gcml.SquaredJacobianRowNorms: the estimator %s mixes the outputs, use gcml.Exact()", o.estimator)
	}
	j := newJacobian(o.transformed(outputs), inputs, o)
	return ConvertDType(j.perOutput(), j.outputs.DType())
}

// Complexity returns the geometric complexity of the batch as the paper defines it: the mean over
// the examples of SquaredJacobianNorm, a scalar of the dtype of outputs. Shapes and panics are as
// for SquaredJacobianNorm.
func Complexity(outputs, inputs *Node, opts ...Option) *Node {
	o := newOptions(inComplexity, opts)
	return complexity(o.transformed(outputs), inputs, o)
}

func complexity(outputs, inputs *Node, o options) *Node {
	return ConvertDType(wideComplexity(outputs, inputs, o), outputs.DType())
}

// wideComplexity returns the geometric complexity in float32 if the model is shorter. A penalty
// takes it, because the GC of a float16 model may overflow although its product with the
// coefficient does not.
func wideComplexity(outputs, inputs *Node, o options) *Node {
	j := newJacobian(outputs, inputs, o)
	switch j.plan.gradient {
	case byGram:
		return j.complexityByGram(j.parts())
	case byParts:
		return j.complexityInParts(o.variables)
	}
	return ReduceAllMean(j.total())
}

// jacobian executes a plan on the nodes that it was made for.
type jacobian struct {
	plan     plan
	outputs  *Node // [batch, outputs]
	inputs   *Node
	pullback *vjp.Pullback
	// columnBlock is the most units of one block of columns, see columnNorms.
	columnBlock int

	// Only if the plan uses the Gram matrix.
	first      vjp.FirstLinear
	gram       *Node   // See gramMatrix.
	gramStrips []*Node // See gramSquares.
	pulled     []*Node // The derivatives v, [C, batch, units], of all parts so far.
}

// newJacobian checks the nodes, analyzes the graph between them and makes the plan.
func newJacobian(outputs, inputs *Node, o options) *jacobian {
	checkNodes(outputs, inputs)
	batch := outputs.Shape().Dimensions[0]
	flat := outputs
	if outputs.Rank() != 2 {
		flat = Reshape(outputs, batch, outputs.Shape().Size()/batch)
	}
	o.estimator.mustFit(flat.Shape().Dimensions[1])
	j := &jacobian{outputs: flat, inputs: inputs, pullback: vjp.New(flat, inputs)}
	if !j.pullback.Depends() {
		if len(j.pullback.Coupling()) > 0 {
			Panicf("gcml: outputs %s depend on inputs %s only through values that mix the examples of the batch (first: %s), "+
				"so an example has no Jacobian of its own", outputs.Shape(), inputs.Shape(), j.pullback.Coupling()[0])
		}
		Panicf("gcml: outputs %s do not depend on inputs %s: check that the model was called with these inputs "+
			"and that no StopGradient lies between them", outputs.Shape(), inputs.Shape())
	}
	j.plan, j.first = newPlan(flat, inputs, j.pullback, o)
	if j.plan.columns {
		j.pullback.PreferColumns()
		j.columnBlock = columnBlock
		if o.forGradient { // The gradients of the blocks would have to be joined.
			j.columnBlock = math.MaxInt
		}
	}
	return j
}

func checkNodes(outputs, inputs *Node) {
	if outputs.Graph() != inputs.Graph() {
		Panicf("gcml: outputs %s and inputs %s are in different graphs", outputs.Shape(), inputs.Shape())
	}
	for _, n := range []struct {
		name string
		node *Node
	}{{"outputs", outputs}, {"inputs", inputs}} {
		if n.node.Rank() == 0 {
			Panicf("gcml: %s %s have no batch axis: want shape [batch, ...]; use values from before any mean over the examples",
				n.name, n.node.Shape())
		}
		if !n.node.DType().IsFloat() {
			Panicf("gcml: %s have dtype %s: derivatives need a float dtype; for integer inputs use the first float node that the "+
				"model computes, for example an embedding: name it with Node.WithAlias and give gcml.WithInputNode",
				n.name, n.node.DType())
		}
		if n.node.Shape().IsDynamic() {
			Panicf("gcml: %s have the dynamic shape %s: want fixed dimensions", n.name, n.node.Shape())
		}
		if n.node.Shape().Size() == 0 {
			Panicf("gcml: %s %s are empty: want at least one example with one value", n.name, n.node.Shape())
		}
	}
	if b, c := outputs.Shape().Dimensions[0], inputs.Shape().Dimensions[0]; b != c {
		Panicf("gcml: outputs %s have batch size %d, but inputs %s have %d: want the same batch size", outputs.Shape(), b, inputs.Shape(), c)
	}
}

// total returns ‖J_b‖² or its estimate, shape [batch], in float32 for a shorter dtype.
func (j *jacobian) total() *Node {
	if j.plan.norm == fromNoise {
		return j.forwardNoise()
	}
	parts := j.parts()
	var total *Node
	for _, part := range parts {
		v := j.pull(j.after(part, total))
		squares := j.columnNorms(v)
		if squares == nil {
			squares = j.squares(v)
		}
		squares = ReduceSum(squares, 0)
		if int(squares.Shape().ByteSize())*len(parts) > largestSquaresBytes {
			squares = sumFrom(squares, 1)
		}
		total = addNonNil(total, squares)
	}
	return MulScalar(sumFrom(total, 1), j.plan.scale)
}

// perOutput returns the squared norms of the rows of J, shape [batch, outputs], in float32 for
// a shorter dtype.
func (j *jacobian) perOutput() *Node {
	var rows []*Node
	var before *Node
	for _, part := range j.parts() {
		before = j.norms(j.after(part, before))
		rows = append(rows, before)
	}
	return Transpose(Concatenate(rows, 0), 0, 1)
}

// after returns a part of the cotangents, behind the result of the part before it if the plan
// orders the parts; before is nil for the first part.
func (j *jacobian) after(part, before *Node) *Node {
	if !j.plan.ordered || before == nil {
		return part
	}
	return gomlxcompat.After(part, before)
}

// norms returns ‖v_cᵀJ_b‖², shape [C, batch], for cotangents of shape
// [C, batch or 1, outputs].
func (j *jacobian) norms(cotangents *Node) *Node {
	v := j.pull(cotangents)
	if norms := j.columnNorms(v); norms != nil {
		return norms
	}
	return sumFrom(j.squares(v), 2)
}

// pull returns the adjoints of the inputs, or of the first layer's result if the plan uses the Gram
// matrix.
func (j *jacobian) pull(cotangents *Node) *Node {
	if j.plan.norm == fromGram {
		v := j.pullback.PullToFirst(j.first, cotangents)
		j.pulled = append(j.pulled, v)
		return v
	}
	return j.pullback.Pull(cotangents)
}

// squares takes the result of pull and returns values of shape [C, batch, ...] whose sum over the
// last axes is ‖v_cᵀJ_b‖².
func (j *jacobian) squares(v *Node) *Node {
	if j.plan.norm == fromGram {
		return j.gramSquares(v)
	}
	v = precision.Wide(convolution.Unfused(v))
	return Square(Reshape(v, v.Shape().Dimensions[0], j.plan.batch, -1))
}

// columnNorms returns ‖v_cᵀJ_b‖², shape [C, batch], if the adjoints are kept as columns, else nil.
// YNNPACK then sums the squares while it computes them.
func (j *jacobian) columnNorms(v *Node) *Node {
	var sum *Node
	for _, p := range j.pullback.Columns(v, j.columnBlock) {
		sum = addNonNil(sum, ReduceSum(Reshape(Square(precision.Wide(p)), -1, v.Shape().Dimensions[0], j.plan.batch), 0))
	}
	return sum
}

// ofRound returns the contribution of a round, a scalar node of an integer dtype that counts from
// 0. If perOutput is true these are squared norms of rows of J, [outputs of the round, batch], else
// the round's share of ‖J_b‖², [batch]. The caller ignores it from the plan's number of rounds on.
func (j *jacobian) ofRound(round *Node, perOutput bool) *Node {
	switch {
	case j.plan.rounds > 1 && perOutput:
		return j.norms(j.unitCotangentsOfRound(round))
	case j.plan.rounds > 1:
		return ReduceSum(j.norms(j.unitCotangentsOfRound(round)), 0)
	case perOutput:
		return Transpose(j.perOutput(), 0, 1)
	}
	return j.total()
}

// sumFrom sums over the axes from first on.
func sumFrom(x *Node, first int) *Node {
	dims := x.Shape().Dimensions[:first]
	return ReduceSum(Reshape(x, append(slices.Clone(dims), -1)...), -1)
}
