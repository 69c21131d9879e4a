package gcml

import (
	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph"
	. "github.com/gomlx/gomlx/support/exceptions"

	"example.com/geometric-complexity/internal/autodiff"
	"example.com/geometric-complexity/internal/vjp"
)

// plan says how the squared norms of the Jacobians of a batch are computed. It is decided before a
// node is built, by newPlan alone; everything that computes a norm executes one. It is a plain
// value, so that it can be kept with a compiled graph.
type plan struct {
	estimator Estimator

	// batch is the number of examples, outputs and inputs are the sizes of the Jacobian of one.
	batch, outputs, inputs int

	norm     normStrategy
	gradient gradientStrategy

	// columns says that adjoints are kept as columns where the network allows it, see
	// vjp.Pullback.PreferColumns.
	columns bool

	// cotangents is how many the estimator has, and atOnce how many of them are carried at once;
	// both are 0 for forward noise.
	cotangents, atOnce int

	// rounds is how many times a graph is run for a batch, each time for the next atOnce of the
	// cotangents. It is 1 where one graph has all of them.
	rounds int

	// scale is what the sum of the squared norms over the cotangents is multiplied by.
	scale float64
}

// normStrategy is what a squared norm is computed from.
type normStrategy string

const (
	// fromJacobian sums the squares of vᵀJ over the cotangents v.
	fromJacobian normStrategy = "Jacobian"
	// fromGram never builds vᵀJ, see gram.go.
	fromGram normStrategy = "Gram matrix"
	// fromNoise compares outputs for noisy inputs.
	fromNoise normStrategy = "forward noise"
)

// gradientStrategy is how the value is differentiated later.
type gradientStrategy string

const (
	// byNodes leaves it to the value's nodes.
	byNodes gradientStrategy = ""
	// byGram gives the value a gradient of its own, see complexityForGradient.
	byGram gradientStrategy = "Gram matrix"
	// inTurns takes the gradient together with the value, part by part, see complexityInTurns.
	inTurns gradientStrategy = "parts in turns"
)

// newPlan decides how to compute the norms of outputs [batch, outputs] with respect to inputs,
// between which the pullback has been analyzed, and returns the first layer where the plan is to
// use its Gram matrix. It panics if the estimator does not fit.
func newPlan(outputs, inputs *Node, pullback *vjp.Pullback, o options) (plan, vjp.FirstLinear) {
	var first vjp.FirstLinear
	b := outputs.Graph().Backend()
	batch := outputs.Shape().Dimensions[0]
	p := plan{
		estimator: o.estimator,
		batch:     batch, outputs: outputs.Shape().Dimensions[1], inputs: inputs.Shape().Size() / batch,
		norm: fromJacobian, gradient: byNodes, rounds: 1, scale: o.estimator.scale(outputs.Shape().Dimensions[1]),
	}
	if o.cotangents > 0 && o.gradientParts > 0 {
		Panicf("gcml: WithCotangents(%d) does not apply beside WithGradientInParts(%d), which says how many are carried at once too",
			o.cotangents, o.gradientParts)
	}
	if o.estimator.kind == kindNoise {
		if o.cotangents > 0 {
			Panicf("gcml: WithCotangents(%d) does not apply to the estimator %s, which has no vector-Jacobian products", o.cotangents, o.estimator)
		}
		if o.gradientParts > 0 {
			Panicf("gcml: WithGradientInParts(%d) does not apply to the estimator %s, which has no vector-Jacobian products",
				o.gradientParts, o.estimator)
		}
		p.norm = fromNoise
		return p, first
	}
	p.cotangents = o.estimator.samples
	if p.isExact() {
		p.cotangents = p.outputs
	}
	p.atOnce = min(max(o.cotangents, o.gradientParts), p.cotangents)
	if p.atOnce == 0 {
		p.atOnce = cotangentsAtOnce(b, p.cotangents, largestAdjointBytes(pullback))
	}
	isWide := inputs.DType().Size() >= dtypes.Float32.Size() // Else G would be rounded too much.
	if !o.noClosedForm && o.gradientParts == 0 && isWide {
		layer, ok := pullback.FirstLinear()
		if ok {
			units := layer.Node.Shape().Dimensions[1]
			features := layer.Weights.Shape().Size() / units
			if gramIsCheaper(b, batch*p.cotangents, units, features, o.forGradient) {
				p.norm, first = fromGram, layer
			}
		}
	}
	p.columns = p.norm == fromJacobian && autodiff.IsXLACPU(b)
	if o.inRounds && p.isExact() && p.parts() > maxParts {
		p.rounds = p.parts()
	}
	switch {
	case !o.forGradient:
	case p.norm == fromGram:
		p.gradient = byGram
	case o.gradientParts > 0 && p.parts() > 1:
		p.gradient = inTurns
	}
	return p, first
}

// parts returns in how many parts the cotangents are carried.
func (p plan) parts() int { return (p.cotangents + p.atOnce - 1) / p.atOnce }

// isExact tells whether the plan has the rows of the identity for cotangents.
func (p plan) isExact() bool { return p.estimator.isExact(p.outputs) }

// largestAdjointBytes returns how large the largest adjoint of one cotangent is.
func largestAdjointBytes(pullback *vjp.Pullback) int {
	largest := 1
	for _, n := range pullback.Nodes() {
		if n.NumOutputs() == 1 {
			largest = max(largest, int(n.Shape().ByteSize()))
		}
	}
	return largest
}
