package gcml

import (
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"

	"example.com/geometric-complexity/internal/platform"
)

// JacobianSpectralNorm returns the largest singular value σ₁ of ∂outputs[b]/∂inputs[b] for every
// example b, not squared: the local Lipschitz constant at the example, in the Euclidean norms. Its
// largest value over a data set is a lower bound of the Lipschitz constant of the function.
//
// outputs and inputs are as for SquaredJacobianNorm. The result has shape [batch] and the dtype of
// outputs. A Jacobian of zeros has the norm 0. The result can be differentiated with respect to the
// parameters of the model; where several singular values are the largest, the gradient is that of
// one of their convex combinations.
//
// With K outputs and D inputs per example there are two methods:
//
//   - Where min(K, D) is small and the Jacobian fits in memory, all K vector-Jacobian products are
//     computed, and the largest eigenvalue of J·Jᵀ (or of Jᵀ·J, the smaller one) comes from its
//     repeated squares. The result is then within rounding of σ₁, however close to each other the
//     singular values are: relative 1e-10 in float64, 1e-5 in float32.
//   - Elsewhere, or with WithLanczosSteps, the Lanczos iteration on J·Jᵀ with full
//     reorthogonalization takes one Jᵀu and one J·v per step, from a random start. The result is
//     never above σ₁ (but for rounding). After n steps it is, with a probability of at least 1-δ
//     over the start, at least σ₁·√(1-ε) with ε = (ln(1.648·√min(K,D)/δ)/(2n-1))², whatever the
//     other singular values are (Kuczyński and Woźniakowski, SIAM J. Matrix Anal. Appl. 13, 1992).
//     For min(K, D) = 1,000, δ = 0.01 and the default of 24 steps that is 0.98·σ₁; singular values
//     that fall off give many more digits. n = min(K, D) steps are exact. The start is the same in
//     each call, so that the result is repeatable, and no random state is used.
//
// It panics as SquaredJacobianNorm does, and for Lanczos if an op is in the way that cannot be
// differentiated twice.
func JacobianSpectralNorm(outputs, inputs *Node, opts ...Option) *Node {
	o := newOptions(inJacobianSpectralNorm, opts)
	return newSpectrum(o.transformed(outputs), inputs, o).norm
}

// JacobianStableRank returns ‖J_b‖²_F / σ₁(J_b)² for every example b, with J_b =
// ∂outputs[b]/∂inputs[b]: a number from 1 to the rank of J_b, and near 1 where one direction
// dominates. It is 0 for a Jacobian of zeros. The result has shape [batch] and the dtype of
// outputs.
//
// σ₁ is computed as by JacobianSpectralNorm. The Frobenius norm is exact, or comes from the
// estimator that is given: then so noisy a ratio may lie outside of its bounds. Panics are as for
// both.
func JacobianStableRank(outputs, inputs *Node, opts ...Option) *Node {
	o := newOptions(inJacobianStableRank, opts)
	outputs = o.transformed(outputs)
	s := newSpectrum(outputs, inputs, o)
	squaredFrobenius := s.squaredFrobenius
	if j := newJacobian(outputs, inputs, o); squaredFrobenius == nil || !j.plan.isExact() {
		squaredFrobenius = ConvertDType(j.total(), j.outputs.DType())
	}
	isZero := Equal(s.norm, ZerosLike(s.norm))
	ratio := Div(sqrtOrZero(squaredFrobenius), Where(isZero, OnesLike(s.norm), s.norm))
	return Square(Where(isZero, ZerosLike(s.norm), ratio))
}

// spectrum is what is known of the singular values of each example's Jacobian. All nodes have shape
// [batch].
type spectrum struct {
	// norm is the largest singular value, in the dtype of the outputs.
	norm *Node
	// squaredFrobenius is ‖J‖²_F where the method gives it exactly, in the dtype of the outputs,
	// else nil.
	squaredFrobenius *Node
	// residual is ‖J·Jᵀu - θ²u‖/θ² for the approximate singular value θ and vector u, nil where the
	// method leaves none.
	residual *Node
	// steps is how many of the Lanczos iteration were taken, 0 for the other method.
	steps int
}

// newSpectrum chooses the method and builds its nodes. The estimator plays no part.
func newSpectrum(outputs, inputs *Node, o options) spectrum {
	o.estimator, o.inRounds, o.forGradient = Exact(), false, false
	j := newJacobian(outputs, inputs, o)
	smaller, bytes := min(j.plan.outputs, j.plan.inputs), j.plan.outputs*inputs.Shape().Size()*inputs.DType().Size()
	if j.usesFirstLayer() {
		bytes = j.plan.outputs * j.first.Node.Shape().Size() * inputs.DType().Size()
	}
	if o.lanczosSteps == 0 && smaller <= largestDenseSpectrum && bytes <= largestDenseSpectrumBytes {
		return j.denseSpectrum()
	}
	steps := o.lanczosSteps
	if steps == 0 {
		steps = defaultLanczosSteps
	}
	return j.lanczos(min(steps, smaller))
}

// usesFirstLayer tells whether J·Jᵀ is had from the Gram matrix of the first layer's weights.
func (j *jacobian) usesFirstLayer() bool {
	return j.plan.norm == fromGram && j.plan.outputs <= j.first.Node.Shape().Dimensions[1]
}

// denseSpectrum has the largest eigenvalue of the smaller Gram matrix of the whole Jacobian.
func (j *jacobian) denseSpectrum() spectrum {
	gram, scale := j.smallerGram()
	top := ReduceSum(Mul(gram, topProjector(gram)), 1, 2)
	return spectrum{
		norm:             ConvertDType(Mul(scale, sqrtOrZero(top)), j.outputs.DType()),
		squaredFrobenius: ConvertDType(Mul(Square(scale), trace(gram)), j.outputs.DType()),
	}
}

// smallerGram returns J·Jᵀ, [batch, K, K], or Jᵀ·J, [batch, D, D], whichever is smaller, divided by
// the square of the scale of each example, [batch]. The scale keeps squares away from overflow and
// underflow.
func (j *jacobian) smallerGram() (gram, scale *Node) {
	var rows []*Node
	for _, part := range j.unitCotangents() {
		if j.usesFirstLayer() {
			rows = append(rows, j.pullback.PullToFirst(j.first, part))
		} else {
			rows = append(rows, j.pullback.Pull(part))
		}
	}
	whole := inComputeDType(Reshape(Concatenate(rows, 0), j.plan.outputs, j.plan.batch, -1)) // [K, batch, D or units]
	scale = StopGradient(ReduceMax(Abs(whole), 0, 2))
	scale = Where(Equal(scale, ZerosLike(scale)), OnesLike(scale), scale)
	whole = Div(whole, Reshape(scale, 1, -1, 1))
	if j.usesFirstLayer() {
		metric := inComputeDType(j.gramMatrix())
		weighted := Dot(whole, metric).General([]int{2}, nil, []int{0}, nil)
		return Dot(weighted, whole).General([]int{2}, []int{1}, []int{2}, []int{1}), scale
	}
	contracted := 2
	if j.plan.inputs < j.plan.outputs {
		contracted = 0
	}
	return Dot(whole, whole).General([]int{contracted}, []int{1}, []int{contracted}, []int{1}), scale
}

// inComputeDType converts floats shorter than float32, which have too few digits for sums of
// squares.
func inComputeDType(x *Node) *Node {
	if x.DType().Size() < 4 {
		return ConvertDType(x, dtypes.Float32)
	}
	return x
}

// topProjector returns P of shape [batch, n, n], of trace 1 and held constant, such that tr(G·P) is
// the largest eigenvalue of the positive semidefinite G, [batch, n, n]; 0 where G is 0.
//
// P is Gᵐ/tr(Gᵐ) with m = 2^s, by s squarings. As tr(Gᵐ⁺¹)/tr(Gᵐ) is at least λ₁·n^(-1/m) and at
// most λ₁, no gap between the eigenvalues is needed, unlike for the power iteration. And as P is
// the projector on the top eigenvectors, the derivative of tr(G·P) with P constant is that of λ₁.
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

// squareAndDivide returns p²/tr(p²) of symmetric matrices, [batch, n, n]. The trace is taken as a
// product, as go-xla has no sums within a loop (v0.4.13).
func squareAndDivide(p *Node) *Node {
	square := Dot(p, p).General([]int{2}, []int{0}, []int{2}, []int{0})
	return divideByTraces(square, Dot(p, p).General([]int{1, 2}, []int{0}, []int{1, 2}, []int{0}))
}

// squareInLoop squares by a loop in the graph: XLA takes seconds to compile so many products one
// after the other. The Go backend compiles nothing, and its products wait for ever for a worker
// within a loop (compute v0.1.14).
//
// The constants are made anew in each closure: GoMLX caches scalars for the graph, and a closure
// cannot use those of another one.
func squareInLoop(start *Node) *Node {
	parameters := func(g *Graph) (i, p *Node) {
		return Parameter(g, "i", shapes.Make(dtypes.Int32)), Parameter(g, "p", start.Shape())
	}
	isOpen := NewClosure(start.Graph(), func(g *Graph) []*Node {
		i, _ := parameters(g)
		return []*Node{LessThan(i, Const(g, squarings(start.DType())))}
	})
	square := NewClosure(start.Graph(), func(g *Graph) []*Node {
		i, p := parameters(g)
		return []*Node{Add(i, Const(g, int32(1))), squareAndDivide(p)}
	})
	return While(isOpen, square, Const(start.Graph(), int32(0)), start)[1]
}

// squarings makes n^(1/2m) - 1, the relative error of the root of the eigenvalue, less than the
// rounding for n up to thousands.
func squarings(dtype dtypes.DType) int32 {
	if dtype == dtypes.Float64 {
		return 40
	}
	return 26
}

// divideByTraces divides each matrix of [batch, n, n], positive semidefinite, by its trace,
// [batch]; zeros stay.
func divideByTraces(g, traces *Node) *Node {
	smallest := ConstAsDType(g.Graph(), g.DType(), 1e-37)
	return Div(g, Reshape(Max(traces, smallest), -1, 1, 1))
}

// trace returns that of each matrix of [batch, n, n].
func trace(g *Node) *Node {
	identity := ConvertDType(Diagonal(g.Graph(), g.Shape().Dimensions[1]), g.DType())
	return ReduceSum(Mul(g, InsertAxes(identity, 0)), 1, 2)
}

// sqrtOrZero has the derivative 0 where x is not above 0.
func sqrtOrZero(x *Node) *Node {
	isPositive := GreaterThan(x, ZerosLike(x))
	return Where(isPositive, Sqrt(Where(isPositive, x, OnesLike(x))), ZerosLike(x))
}
