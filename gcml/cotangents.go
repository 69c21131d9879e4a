package gcml

import (
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
	. "github.com/gomlx/gomlx/support/exceptions"

	"github.com/geometric-complexity/toolkit/internal/precision"
	"github.com/geometric-complexity/toolkit/internal/random"
)

// parts returns the estimator's cotangents, divided into the parts that are computed together, each
// of shape [C, batch or 1, outputs].
func (j *jacobian) parts() []*Node {
	if j.plan.isExact() {
		return j.unitCotangents()
	}
	all := j.drawCotangents()
	var parts []*Node
	for start := 0; start < j.plan.cotangents; start += j.plan.atOnce {
		parts = append(parts, SliceAxis(all, 0, AxisRange(start, min(start+j.plan.atOnce, j.plan.cotangents))))
	}
	return parts
}

// unitCotangents returns the rows of the identity in parts, the same for every example.
func (j *jacobian) unitCotangents() []*Node {
	k := j.plan.outputs
	identity := ConvertDType(Diagonal(j.outputs.Graph(), k), j.outputs.DType())
	var parts []*Node
	for start := 0; start < k; start += j.plan.atOnce {
		rows := Slice(identity, AxisRange(start, min(start+j.plan.atOnce, k)))
		parts = append(parts, InsertAxes(rows, 1)) // [C, 1, outputs]
	}
	return parts
}

// unitCotangentsOfRound returns the rows of the identity for a round, a scalar node of an integer
// dtype that counts from 0. The shape is [C, 1, outputs]; rows beyond the last output are zero.
func (j *jacobian) unitCotangentsOfRound(round *Node) *Node {
	shape := shapes.Make(round.DType(), j.plan.atOnce, j.plan.outputs)
	g := j.outputs.Graph()
	start := MulScalar(round, j.plan.atOnce)
	ones := Equal(Add(Iota(g, shape, 0), start), Iota(g, shape, 1))
	return InsertAxes(ConvertDType(ones, j.outputs.DType()), 1)
}

// drawCotangents draws the cotangents of a random estimator, [samples, batch, outputs].
func (j *jacobian) drawCotangents() *Node {
	shape := shapes.Make(j.outputs.DType(), j.plan.cotangents, j.plan.batch, j.plan.outputs)
	switch j.plan.estimator.kind {
	case kindRademacher:
		coins := j.store().RandomBernoulli(ConstAsDType(j.outputs.Graph(), dtypes.Float32, 0.5), shape)
		return SubScalar(MulScalar(coins, 2), 1)
	case kindGaussian:
		return random.Normal(j.store(), j.outputs.Graph(), shape)
	}
	drawn := precision.Wide(random.Normal(j.store(), j.outputs.Graph(), shape)) // A sum of squares overflows in float16.
	return ConvertDType(orthonormal(drawn), shape.DType)
}

// store returns the model.Store that holds the graph's random state.
func (j *jacobian) store() *model.Store {
	store := model.GetStore(j.outputs)
	if store == nil {
		Panicf("gcml: the estimator %s draws random numbers, but this graph has no model.Store: "+
			"build it by model.NewExec, or use gcml.Exact()", j.plan.estimator)
	}
	return store
}

// orthonormal makes the vectors x[0], x[1], ... of shape [batch, n] orthonormal for each example,
// by Gram-Schmidt with each vector orthogonalized twice ("twice is enough", Giraud et al. 2005).
// For normally distributed x the directions are uniformly distributed.
func orthonormal(x *Node) *Node {
	var directions []*Node // Each [batch, n].
	for i := range x.Shape().Dimensions[0] {
		v := Squeeze(SliceAxis(x, 0, AxisElem(i)), 0)
		for range 2 {
			for _, d := range directions {
				v = Sub(v, Mul(d, ReduceAndKeep(Mul(v, d), ReduceSum, -1)))
			}
		}
		directions = append(directions, Div(v, Sqrt(ReduceAndKeep(Square(v), ReduceSum, -1))))
	}
	return Stack(directions, 0)
}

// forwardNoise returns the estimates of ForwardNoise, shape [batch].
func (j *jacobian) forwardNoise() *Node {
	e := j.plan.estimator
	var total *Node
	for range e.samples {
		noise := MulScalar(random.Normal(j.store(), j.inputs.Graph(), j.inputs.Shape()), e.sigma)
		change := Sub(j.pullback.Clone(Add(j.inputs, noise)), j.outputs)
		total = addNonNil(total, ReduceSum(Square(precision.Wide(change)), 1))
	}
	return MulScalar(total, j.plan.scale)
}
