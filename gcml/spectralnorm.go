package gcml

import (
	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph"

	"github.com/geometric-complexity/toolkit/internal/gomlxcompat"
	"github.com/geometric-complexity/toolkit/internal/platform"
	"github.com/geometric-complexity/toolkit/internal/precision"
)

// JacobianSpectralNorm returns the largest singular value σ₁ of ∂outputs[b]/∂inputs[b] for every
// example b, not squared: the local Lipschitz constant at the example, in the Euclidean norms. Its
// largest value over a data set is a lower bound of the Lipschitz constant of the function.
//
// outputs and inputs are as for SquaredJacobianNorm. The result has shape [batch] and the dtype of
// outputs. A Jacobian of zeros has the norm 0. The result can be differentiated with respect to the
// parameters of the model; if several singular values are the largest, it is the gradient of one of
// their convex combinations.
//
// With K outputs and D inputs per example there are two methods:
//
//   - If min(K, D) is small and the Jacobian fits in memory, all K vector-Jacobian products are
//     computed, and repeated squaring of J·Jᵀ or Jᵀ·J, whichever is smaller, gives its largest
//     eigenvalue. The result equals σ₁ up to rounding, even if singular values are close to each
//     other: the relative error is 1e-10 in float64 and 1e-5 in float32.
//   - Otherwise, or with WithLanczosSteps, the result comes from the Lanczos iteration on J·Jᵀ with
//     full reorthogonalization and a random start, which takes one Jᵀu and one J·v per step. The
//     result does not exceed σ₁, except by rounding. After n steps it is, with a probability of at
//     least 1-δ over the start, at least σ₁·√(1-ε) with ε = (ln(1.648·√min(K,D)/δ)/(2n-1))², for
//     any other singular values (Kuczyński and Woźniakowski, SIAM J. Matrix Anal. Appl. 13, 1992).
//     For min(K, D) = 1,000, δ = 0.01 and the default of 24 steps this bound is 0.98·σ₁; it is far
//     more accurate if the singular values fall off. n = min(K, D) steps are exact. The start is
//     the same in each call and uses no random state, so the result is repeatable.
//
// It panics as SquaredJacobianNorm does, and with Lanczos if an op between the inputs and outputs
// cannot be differentiated twice.
func JacobianSpectralNorm(outputs, inputs *Node, opts ...Option) *Node {
	o := newOptions(inJacobianSpectralNorm, opts)
	outputs = o.transformed(outputs)
	return ConvertDType(newSpectrum(outputs, inputs, o).norm, outputs.DType())
}

// JacobianStableRank returns ‖J_b‖²_F / σ₁(J_b)² for every example b, with J_b =
// ∂outputs[b]/∂inputs[b]: a number from 1 to the rank of J_b, near 1 if one direction dominates. It
// is 0 for a Jacobian of zeros. The result has shape [batch] and the dtype of outputs.
//
// σ₁ is computed as by JacobianSpectralNorm. The Frobenius norm is exact unless an estimator is
// given; with a random estimator the ratio is noisy and may lie outside of its bounds. With an
// estimator or the Lanczos iteration, ‖J_b‖²_F itself is computed: entries of J below about 1e-19
// underflow in float32, and those above 1e19 overflow. It panics as JacobianSpectralNorm and
// SquaredJacobianNorm do.
func JacobianStableRank(outputs, inputs *Node, opts ...Option) *Node {
	o := newOptions(inJacobianStableRank, opts)
	o.noClosedForm = true // See newSpectrum.
	outputs = o.transformed(outputs)
	s := newSpectrum(outputs, inputs, o)
	j := newJacobian(outputs, inputs, o)
	if s.stableRank != nil && j.plan.isExact() {
		return ConvertDType(s.stableRank, outputs.DType())
	}
	squaredFrobenius := ConvertDType(j.total(), s.norm.DType())
	isZero := Equal(s.norm, ZerosLike(s.norm))
	ratio := Div(sqrtOrZero(squaredFrobenius), Where(isZero, OnesLike(s.norm), s.norm))
	return ConvertDType(Square(Where(isZero, ZerosLike(s.norm), ratio)), outputs.DType())
}

// spectrum describes the singular values of each example's Jacobian. All nodes have shape [batch],
// and the inputs' dtype, or float32 for a shorter one.
type spectrum struct {
	// norm is the largest singular value.
	norm *Node
	// stableRank is ‖J‖²_F/σ₁², or 0 for a Jacobian of zeros, if the method computes it exactly,
	// else nil.
	stableRank *Node
	// residual is ‖J·Jᵀu - θ²u‖/θ² for the approximate singular value θ and vector u; nil if the
	// method is exact.
	residual *Node
	// steps is the number of Lanczos steps, 0 for the other method.
	steps int
}

// newSpectrum chooses the method and builds its nodes. It ignores the estimator, and takes no
// closed form: in float32 the Gram matrix of the first layer would lose more digits than the
// singular values promise, see gram.go.
func newSpectrum(outputs, inputs *Node, o options) spectrum {
	o.estimator, o.inRounds, o.forGradient, o.noClosedForm = Exact(), false, false, true
	j := newJacobian(outputs, inputs, o)
	smaller, bytes := min(j.plan.outputs, j.plan.inputs), j.plan.outputs*inputs.Shape().Size()*inputs.DType().Size()
	if o.lanczosSteps == 0 && smaller <= largestDenseSpectrum && bytes <= largestDenseSpectrumBytes {
		return j.denseSpectrum()
	}
	steps := o.lanczosSteps
	if steps == 0 {
		steps = defaultLanczosSteps
	}
	return j.lanczos(min(steps, smaller))
}

// SpectralNormProducts returns how many vector-Jacobian products JacobianSpectralNorm and
// WithSpectralNorm compute for each example of a network with these numbers of outputs and inputs
// per example: as many as there are outputs, or three for each Lanczos step, one for Jᵀu and about
// two for J·v, the derivative of a product. Batches whose Jacobians do not fit in memory take
// Lanczos steps, too, but are not counted so.
func SpectralNormProducts(outputs, inputs int) int {
	if min(outputs, inputs) <= largestDenseSpectrum {
		return outputs
	}
	return 3 * defaultLanczosSteps
}

// denseSpectrum computes the largest singular value from the smaller Gram matrix of the whole
// Jacobian.
func (j *jacobian) denseSpectrum() spectrum {
	gram, scale := j.smallerGram()
	top := ReduceSum(Mul(gram, topProjector(gram)), 1, 2)
	isPositive := GreaterThan(top, ZerosLike(top))
	return spectrum{
		norm: Mul(scale, sqrtOrZero(top)),
		// Without the scale, whose square may overflow or underflow.
		stableRank: Where(isPositive, Div(trace(gram), Where(isPositive, top, OnesLike(top))), ZerosLike(top)),
	}
}

// smallerGram returns J·Jᵀ, [batch, K, K], or Jᵀ·J, [batch, D, D], whichever is smaller, divided by
// the square of the scale of each example, [batch]. The scale prevents overflow and underflow of
// squares.
func (j *jacobian) smallerGram() (gram, scale *Node) {
	var rows []*Node
	var before *Node
	for _, part := range j.unitCotangents() {
		before = j.pullback.Pull(j.after(part, before))
		rows = append(rows, before)
	}
	whole := precision.Wide(Reshape(Concatenate(rows, 0), j.plan.outputs, j.plan.batch, -1)) // [K, batch, D]
	scale = StopGradient(ReduceMax(Abs(whole), 0, 2))
	scale = Where(Equal(scale, ZerosLike(scale)), OnesLike(scale), scale)
	whole = Div(whole, Reshape(scale, 1, -1, 1))
	contracted := 2
	if j.plan.inputs < j.plan.outputs {
		contracted = 0
	}
	return Dot(whole, whole).General([]int{contracted}, []int{1}, []int{contracted}, []int{1}), scale
}

// topProjector returns P of shape [batch, n, n], of trace 1 and held constant, such that tr(G·P) is
// the largest eigenvalue of the positive semidefinite G, [batch, n, n]; 0 where G is 0.
//
// P is Gᵐ/tr(Gᵐ) with m = 2^s, by s squarings. tr(Gᵐ⁺¹)/tr(Gᵐ) is at least λ₁·n^(-1/m) and at most
// λ₁, so unlike the power iteration this needs no gap between the eigenvalues. P is the projector
// on the top eigenvectors, so tr(G·P) with P constant has the derivative of λ₁.
func topProjector(gram *Node) *Node {
	p := StopGradient(gram)
	p = divideByTraces(p, trace(p))
	if platform.IsXLA(gram.Graph().Backend()) {
		return StopGradient(squareInLoop(p))
	}
	for range squarings(p.DType()) {
		p = squareAndDivide(p)
	}
	return StopGradient(p)
}

// squareAndDivide returns p²/tr(p²) of symmetric matrices, [batch, n, n]. The trace is computed as
// a product because go-xla supports no sums within a loop (v0.4.13).
func squareAndDivide(p *Node) *Node {
	square := Dot(p, p).General([]int{2}, []int{0}, []int{2}, []int{0})
	return divideByTraces(square, Dot(p, p).General([]int{1, 2}, []int{0}, []int{1, 2}, []int{0}))
}

// squareInLoop squares by a loop in the graph, because XLA takes seconds to compile so many
// successive products. It is not for the Go backend, which compiles nothing and deadlocks on
// products within a loop (compute v0.1.14).
//
// Each closure makes its own constants: GoMLX caches scalars for the graph, and a closure cannot
// use the scalars of another closure.
func squareInLoop(start *Node) *Node {
	g := start.Graph()
	initial := []*Node{Const(g, int32(0)), start} // The number of squarings so far, and the matrices.
	isUnfinished := NewClosure(g, func(g *Graph) []*Node {
		state := gomlxcompat.LoopState(g, initial)
		return []*Node{LessThan(state[0], Const(g, squarings(start.DType())))}
	})
	square := NewClosure(g, func(g *Graph) []*Node {
		state := gomlxcompat.LoopState(g, initial)
		return []*Node{Add(state[0], Const(g, int32(1))), squareAndDivide(state[1])}
	})
	return While(isUnfinished, square, initial...)[1]
}

// squarings returns the number of squarings for which n^(1/2m) - 1, the relative error of the
// square root of the eigenvalue, is below the rounding error for n up to thousands.
func squarings(dtype dtypes.DType) int32 {
	if dtype == dtypes.Float64 {
		return 40
	}
	return 26
}

// divideByTraces divides the positive semidefinite matrices g, [batch, n, n], by their traces,
// [batch]; matrices of zeros stay zero.
func divideByTraces(g, traces *Node) *Node {
	smallest := ConstAsDType(g.Graph(), g.DType(), 1e-37)
	return Div(g, Reshape(Max(traces, smallest), -1, 1, 1))
}

// trace returns the trace of each matrix of g, [batch, n, n].
func trace(g *Node) *Node {
	identity := ConvertDType(Diagonal(g.Graph(), g.Shape().Dimensions[1]), g.DType())
	return ReduceSum(Mul(g, InsertAxes(identity, 0)), 1, 2)
}

// sqrtOrZero returns √x, or 0 with derivative 0 where x is 0 or less: the derivative of √x is
// infinite at 0.
func sqrtOrZero(x *Node) *Node {
	isPositive := GreaterThan(x, ZerosLike(x))
	return Where(isPositive, Sqrt(Where(isPositive, x, OnesLike(x))), ZerosLike(x))
}
