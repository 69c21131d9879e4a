package gcml

import (
	"fmt"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph"
	. "github.com/gomlx/gomlx/support/exceptions"

	"github.com/geometric-complexity/toolkit/internal/vjp"
)

// plan says how the squared norms of the Jacobians of a batch are computed. Only newPlan makes one,
// before any node is built; everything that computes a norm executes a plan. It is a plain value,
// so that it can be kept with a compiled graph.
type plan struct {
	estimator Estimator

	// batch is the number of examples, outputs and inputs are the dimensions of one example's
	// Jacobian.
	batch, outputs, inputs int

	norm     normStrategy
	gradient gradientStrategy

	// columns says that adjoints are kept as columns where the network allows it, see
	// vjp.Pullback.PreferColumns.
	columns bool

	// cotangents is the estimator's number of cotangents, and atOnce the number computed together;
	// both are 0 for forward noise.
	cotangents, atOnce int

	// ordered says that a part of the cotangents starts when the one before it is done. Otherwise
	// XLA interleaves the parts, and holds the adjoints of all.
	ordered bool

	// rounds is the number of times that a graph runs for a batch, each time for the next atOnce
	// cotangents. It is 1 if one graph has all of them.
	rounds int

	// scale multiplies the sum of the squared norms over the cotangents.
	scale float64
}

// normStrategy selects what a squared norm is computed from.
type normStrategy string

const (
	// fromJacobian sums the squares of vᵀJ over the cotangents v.
	fromJacobian normStrategy = "Jacobian"
	// fromGram uses the Gram matrix of the first layer and never builds vᵀJ, see gram.go.
	fromGram normStrategy = "Gram matrix"
	// fromNoise compares outputs for noisy inputs.
	fromNoise normStrategy = "forward noise"
)

// gradientStrategy selects how the value is differentiated later.
type gradientStrategy string

const (
	// byNodes lets GoMLX differentiate the value's nodes.
	byNodes gradientStrategy = ""
	// byGram gives the value a custom gradient, see complexityByGram.
	byGram gradientStrategy = "Gram matrix"
	// byParts computes the gradient together with the value, part by part, see complexityInParts.
	byParts gradientStrategy = "in parts"
)

// newPlan decides how to compute the norms of the Jacobians of outputs [batch, outputs] with
// respect to inputs; pullback is the analysis of the graph between them. If the plan uses the Gram
// matrix of the first layer, newPlan returns that layer too. It panics if an option does not apply.
func newPlan(outputs, inputs *Node, pullback *vjp.Pullback, o options) (plan, vjp.FirstLinear) {
	var first vjp.FirstLinear
	b := outputs.Graph().Backend()
	batch := outputs.Shape().Dimensions[0]
	p := plan{
		estimator: o.estimator,
		batch:     batch, outputs: outputs.Shape().Dimensions[1], inputs: inputs.Shape().Size() / batch,
		norm: fromJacobian, gradient: byNodes, rounds: 1, scale: o.estimator.scale(outputs.Shape().Dimensions[1]),
	}
	o.mustNotContradict()
	if o.estimator.kind == kindNoise {
		p.norm = fromNoise
		return p, first
	}
	p.cotangents = o.estimator.samples
	if p.isExact() {
		p.cotangents = p.outputs
	}
	if layer, ok := closedForm(pullback, inputs, o); ok && gramFits(b, layer, batch*p.cotangents, o) {
		p.norm, first = fromGram, layer
	}
	p.divide(pullback, inputs, first, o)
	if p.norm == fromGram && p.gradient == byParts && !gramFits(b, first, batch*p.atOnce, o) {
		p.norm, first = fromJacobian, vjp.FirstLinear{}
		p.divide(pullback, inputs, first, o)
	}
	p.columns = p.norm == fromJacobian && columnsAreFast(b)
	if o.inRounds && p.isExact() && p.parts() > maxParts {
		p.rounds = p.parts()
	}
	p.ordered = p.ordered && p.gradient == byNodes && p.rounds == 1
	return p, first
}

// mustNotContradict panics if several options set the number of cotangents computed together, or if
// one of them does not apply to the estimator.
func (o *options) mustNotContradict() {
	var given []string
	if o.cotangents > 0 {
		given = append(given, fmt.Sprintf("WithCotangents(%d)", o.cotangents))
	}
	if o.memoryBudget > 0 {
		given = append(given, fmt.Sprintf("WithMemoryBudget(%d)", o.memoryBudget))
	}
	if o.gradientParts > 0 {
		given = append(given, fmt.Sprintf("WithGradientInParts(%d)", o.gradientParts))
	}
	if len(given) > 1 {
		Panicf("gcml: options %s and %s exclude each other: both set how many cotangents are computed together; give one", given[0], given[1])
	}
	if o.estimator.kind == kindNoise && len(given) > 0 {
		Panicf("gcml: %s does not apply to the estimator %s, which has no vector-Jacobian products", given[0], o.estimator)
	}
}

// closedForm returns the first layer if its Gram matrix can replace the Jacobian.
func closedForm(pullback *vjp.Pullback, inputs *Node, o options) (vjp.FirstLinear, bool) {
	isWide := inputs.DType().Size() >= dtypes.Float32.Size() // In a shorter dtype the rounding of G is too large.
	if o.noClosedForm || !isWide {
		return vjp.FirstLinear{}, false
	}
	return pullback.FirstLinear()
}

// gramFits says whether the layer's Gram matrix is cheaper than the Jacobian for this number of
// rows.
func gramFits(b compute.Backend, layer vjp.FirstLinear, rows int, o options) bool {
	units := layer.Node.Shape().Dimensions[1]
	return gramIsCheaper(b, rows, units, layer.Weights.Shape().Size()/units, o.forGradient)
}

// divide decides how many cotangents are computed together, and whether the gradient is computed in
// parts of that size.
func (p *plan) divide(pullback *vjp.Pullback, inputs *Node, first vjp.FirstLinear, o options) {
	p.gradient, p.ordered = byNodes, false
	if o.forGradient && p.norm == fromGram {
		p.gradient = byGram
	}
	if chosen := max(o.cotangents, o.gradientParts); chosen > 0 {
		p.atOnce = min(chosen, p.cotangents)
		p.ordered = p.parts() > 1
		if o.gradientParts > 0 && p.parts() > 1 {
			p.gradient = byParts
		}
		return
	}
	b := inputs.Graph().Backend()
	until := inputs
	if first.Node != nil {
		until = first.Node
	}
	alive, kept := adjointBytes(pullback, inputs, first)
	differentiated := o.forGradient && len(o.variables) > 0
	budget, least := memoryBudget(b), alive
	if differentiated {
		budget, least = stepBudget(b, pullback, kept, p.cotangents), kept
	}
	if o.memoryBudget > 0 {
		budget = o.memoryBudget
		if least > budget {
			Panicf("gcml: WithMemoryBudget(%d) is too small: one vector-Jacobian product of a batch of %d takes about %d bytes; "+
				"give a larger budget or a smaller batch", budget, p.batch, least)
		}
	}
	p.atOnce = max(1, workingSet(b, pullback, until, p.cotangents*alive)/alive, ceilDiv(p.cotangents, maxParts))
	p.atOnce = min(p.atOnce, max(1, budget/alive), p.cotangents)
	p.atOnce = ceilDiv(p.cotangents, p.parts()) // Parts of about the same size.
	p.ordered = p.parts() > 1 && alive > budget/p.cotangents
	if !differentiated || p.cotangents == 1 || kept <= budget/p.cotangents {
		return
	}
	p.gradient = byParts
	affordable := min(max(1, budget/kept), ceilDiv(p.cotangents, 2))
	if pullback.IsPiecewiseLinear() {
		p.atOnce = min(max(p.atOnce, leastOfStep(b, pullback, p.cotangents)), affordable)
	} else { // Each part costs time.
		p.atOnce = ceilDiv(p.cotangents, ceilDiv(p.cotangents, affordable))
	}
}

func ceilDiv(a, b int) int { return (a + b - 1) / b }

// adjointBytes estimates the memory of one cotangent's adjoints: the peak, and the bytes kept for
// the gradient if the squared norm is differentiated later.
func adjointBytes(pullback *vjp.Pullback, inputs *Node, first vjp.FirstLinear) (alive, kept int) {
	if first.Node == nil {
		alive, kept = pullback.AdjointBytes(inputs)
		return max(1, alive), max(1, kept)
	}
	alive, kept = pullback.AdjointBytes(first.Node)
	product := int(first.Node.Shape().ByteSize()) // v·G.
	return alive + product, kept + 2*product      // Its gradient is 2·v·G.
}

// parts returns the number of parts into which the cotangents are divided.
func (p plan) parts() int { return ceilDiv(p.cotangents, p.atOnce) }

// isExact says whether the cotangents are the rows of the identity.
func (p plan) isExact() bool { return p.estimator.isExact(p.outputs) }
