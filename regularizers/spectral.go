package regularizers

import (
	"hash/fnv"
	"math"
	"math/rand/v2"
	"strings"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/ml/train"
	"github.com/gomlx/gomlx/support/exceptions"

	"github.com/geometric-complexity/toolkit/internal/gomlxcompat"
	"github.com/geometric-complexity/toolkit/internal/modelfn"
	"github.com/geometric-complexity/toolkit/internal/numbers"
	"github.com/geometric-complexity/toolkit/internal/precision"
)

const (
	// ParamSpectral is the coefficient c of the penalty c·Σ σ_max(W)². A float64 >= 0; unset means
	// no penalty.
	ParamSpectral = "spectral_coefficient"

	// ParamSpectralIterations is the largest number of power iterations per kernel and training
	// step. An int >= 1; the default is 100, which the first step may need. Later steps start from
	// the last vector of the step before, so [ParamSpectralTolerance] ends them sooner.
	ParamSpectralIterations = "spectral_iterations"

	// ParamSpectralTolerance ends the power iteration: it stops when
	// ‖WᵀWv - ρv‖ <= tolerance·ρ with ρ = ‖Wv‖² and ‖v‖ = 1, which bounds the
	// relative distance of ρ to a squared singular value by the tolerance. A
	// float64 >= 0; the default is 1e-3.
	ParamSpectralTolerance = "spectral_tolerance"

	spectralIterationsDefault = 100
	spectralToleranceDefault  = 1e-3

	// spectralScope holds the iteration's vectors in the store, outside the model's scopes, with
	// one scope for each kernel.
	spectralScope = "/regularizers/spectral"
)

// Spectral decorates modelFn with the penalty c·Σ_i σ_max(W_i)²: the sum of the squares of the
// largest singular values (no mean, no factor 1/2) over the trainable kernels, variables of rank >=
// 2, that the model uses under the scope it is called with. c is [ParamSpectral].
//
// A kernel of rank > 2 is reshaped to the matrix [product of the other axes, last axis], for a
// convolution [kh·kw·cin, cout]. The norm of this matrix is not the norm of the convolution itself:
// see [WithConvolutions].
//
// The largest singular value comes from a power iteration on WᵀW. A non-trainable variable,
// "direction" under /regularizers/spectral, keeps the iteration's vector from step to step. A
// second one, "challenger", follows the largest singular value among the vectors orthogonal to it.
// While the penalty lowers the first value, the second may pass it: each step iterates from
// whichever of the two vectors W lengthens more. This costs three products with W per step, as much
// as one and a half iterations; near convergence a step has one or two iterations. The challenger
// takes one iteration per step, so that after an abrupt change of W the penalty may take a few
// steps to find the new largest value.
//
// Checkpoints save both vectors. They start from fixed values that depend only on the kernel's
// path, so the penalty draws no random numbers and does not change a run's initial weights.
// Evaluation graphs neither compute nor update anything for the penalty.
//
// The penalty is ‖Wv‖² with constant v. Its gradient with respect to W, 2σuvᵀ, equals the gradient
// of σ² if the largest singular value is simple (the envelope theorem: at the maximizing v the
// value is stationary in v). Second derivatives treat v as constant too, so they differ from those
// of σ².
//
// It panics if a hyperparameter is out of range, or if c is set and there is no kernel. Options:
// [WithCoefficient], [WithSchedule], [WithVariables], [WithConvolutions].
//
// Source: the spectral regularization of the paper's Figure 3; the power iteration that keeps its
// vector follows Yoshida and Miyato (2017).
func Spectral[F train.ModelFnCompatible](modelFn F, opts ...Option) train.ModelFn {
	config := newConfig("Spectral", modelfn.Coefficient{Param: ParamSpectral}, opts)
	fn := gomlxcompat.ModelFn(modelFn)
	checked := func(scope *model.Scope, spec any, inputs []*graph.Node) []*graph.Node {
		spectralLimits(scope)
		return fn(scope, spec, inputs)
	}
	return modelfn.Penalized(checked, &config.coefficient,
		func(scope *model.Scope, g *graph.Graph, _ []*graph.Node) []*graph.Node {
			vars := trainable(scope, g, func(v *model.Variable) bool {
				return isKernel(v) && (config.variables == nil || config.variables(v))
			})
			if len(vars) == 0 {
				exceptions.Panicf("regularizers.Spectral: the model uses no trainable kernel (rank >= 2) in scope %q",
					scope.Scope())
			}
			limits := spectralLimits(scope)
			norms := make([]*graph.Node, len(vars))
			for i, v := range vars {
				norms[i] = config.squaredSpectralNorm(v, g, limits)
			}
			return norms
		})
}

// iterationLimits are the conditions that end a power iteration.
type iterationLimits struct {
	iterations int
	tolerance  float64
}

func spectralLimits(scope *model.Scope) iterationLimits {
	limits := iterationLimits{
		iterations: model.GetParamOr(scope, ParamSpectralIterations, spectralIterationsDefault),
		tolerance:  model.GetParamOr(scope, ParamSpectralTolerance, spectralToleranceDefault),
	}
	if limits.iterations < 1 {
		exceptions.Panicf("regularizers.Spectral: hyperparameter %q is %d, want 1 or more",
			ParamSpectralIterations, limits.iterations)
	}
	if !(limits.tolerance >= 0) || math.IsInf(limits.tolerance, 1) {
		exceptions.Panicf("regularizers.Spectral: hyperparameter %q is %g, want a finite number >= 0",
			ParamSpectralTolerance, limits.tolerance)
	}
	return limits
}

// squaredSpectralNorm returns the scalar σ_max² of the kernel, and updates its vectors.
func (c *config) squaredSpectralNorm(v *model.Variable, g *graph.Graph, limits iterationLimits) *graph.Node {
	kernel := v.NodeValue(g)
	kernel = precision.Wide(kernel)
	rows := kernel.Shape().Size() / kernel.Shape().Dim(-1)
	weights := graph.Reshape(kernel, rows, kernel.Shape().Dim(-1))

	var op linearMap = matrixMap{columns: kernel.Shape().Dim(-1)}
	if c.convolutions != nil {
		if convolution, ok := c.convolutions(v); ok {
			op = convolution.toLinearMap(v.Path(), kernel.Shape())
		}
	}
	vector := topVector(op, v, newMatrix(graph.StopGradient(weights)), limits)
	zero := graph.Scalar(g, kernel.DType(), 0)
	return graph.ReduceAllSum(graph.Square(op.apply(matrix{plain: weights}, graph.StopGradient(vector), zero)))
}

// topVector returns the unit vector that the map of a kernel lengthens most, and updates the two
// vectors that the store keeps for the kernel. The weights must be a StopGradient.
func topVector(op linearMap, kernel *model.Variable, w matrix, limits iterationLimits) *graph.Node {
	g, dtype := w.plain.Graph(), w.plain.DType()
	store, domain := model.GetStore(g), op.domain()
	direction := vectorVar(store, kernel, "direction", 0, domain, dtype)
	challenger := vectorVar(store, kernel, "challenger", 1, domain, dtype)

	zero, scale := graph.Scalar(g, dtype, 0), largestEntry(w.plain)
	generic := genericVector(g, shapes.Make(dtype, domain...))
	first := normalize(direction.NodeValue(g), generic)
	// Without the generic part a challenger that has converged would have no component along a
	// vector that passes it later.
	second := normalize(graph.Add(challenger.NodeValue(g), graph.MulScalar(generic, 0.1)), generic)
	firstImage := graph.Div(op.apply(w, first, zero), scale)
	secondImage := graph.Div(op.apply(w, second, zero), scale)
	isPassed := graph.GreaterThan(inner(secondImage, secondImage), inner(firstImage, firstImage))

	vector := powerIteration(op, w, scale, graph.Where(isPassed, second, first), limits)
	next := graph.Div(op.adjoint(w, graph.Where(isPassed, firstImage, secondImage), zero), scale)
	next = graph.Sub(next, graph.Mul(inner(next, vector), vector))
	direction.SetNodeValue(vector)
	challenger.SetNodeValue(normalize(next, generic))
	return vector
}

// largestEntry returns the largest absolute value of the weights, or 1 if that is 0. Products with
// the weights are divided by it, because squares of their entries overflow in float32 if the
// weights are about 1e9, and underflow at 1e-11.
func largestEntry(weights *graph.Node) *graph.Node {
	largest := graph.ReduceAllMax(graph.Abs(weights))
	return graph.Where(graph.GreaterThan(largest, graph.ZerosLike(largest)), largest, graph.OnesLike(largest))
}

// genericVector returns a fixed vector of norm about 1 that no singular vector is likely to be
// orthogonal to: the fractional parts of i·frac(i·φ), whose frequencies are all about equally
// strong. It is computed because a constant would be as large as the map's domain in the program.
func genericVector(g *graph.Graph, shape shapes.Shape) *graph.Node {
	index := graph.OnePlus(graph.Iota(g, shapes.Make(shape.DType, shape.Size()), 0))
	fraction := func(x *graph.Node) *graph.Node { return graph.Sub(x, graph.Floor(x)) }
	values := fraction(graph.Mul(index, fraction(graph.MulScalar(index, math.Phi))))
	unit := graph.MulScalar(graph.AddScalar(values, -0.5), math.Sqrt(12/float64(shape.Size())))
	return graph.Reshape(unit, shape.Dimensions...)
}

// normalize returns x divided by its norm, or the fallback if x is 0 or not finite.
func normalize(x, fallback *graph.Node) *graph.Node {
	squared := inner(x, x)
	isUsable := graph.LogicalAnd(graph.GreaterThan(squared, graph.Scalar(x.Graph(), x.DType(), 1e-30)),
		graph.LessThan(squared, graph.Scalar(x.Graph(), x.DType(), 1e30)))
	norm := graph.Sqrt(graph.Where(isUsable, squared, graph.OnesLike(squared)))
	return graph.Where(isUsable, graph.Div(x, norm), fallback)
}

// vectorVar returns the variable that keeps one of the kernel's vectors. If it does not exist,
// vectorVar creates it as a unit vector drawn from a generator seeded by the kernel's path.
func vectorVar(store *model.Store, v *model.Variable, name string, stream uint64, domain []int,
	dtype dtypes.DType) *model.Variable {
	path := model.JoinPath(spectralScope, strings.TrimPrefix(v.Path(), model.ScopeSeparator), name)
	if existing := store.GetVariable(path); existing != nil {
		if want := shapes.Make(dtype, domain...); !existing.Shape().Equal(want) {
			exceptions.Panicf("regularizers.Spectral: the store has %q with shape %s, but the kernel %q (%s) needs %s: "+
				"delete the variable if the kernel's operator has changed", path, existing.Shape(), v.Path(), v.Shape(), want)
		}
		return existing.SetTrainable(false)
	}
	hash := fnv.New64a()
	hash.Write([]byte(v.Path())) // Never fails, as package hash documents.
	rng := rand.New(rand.NewPCG(hash.Sum64(), stream))
	values := make([]float64, shapes.Make(dtype, domain...).Size())
	norm := 0.0
	for i := range values {
		values[i] = rng.NormFloat64()
		norm = math.Hypot(norm, values[i])
	}
	for i := range values {
		values[i] /= norm
	}
	value, err := numbers.Tensor(values, dtype, domain...)
	if err != nil {
		panic(err)
	}
	return store.VariableWithValue(path, value).SetTrainable(false)
}

// linearMap is a map of vectors that is linear in the vector and in its weights, a matrix.
type linearMap interface {
	// domain returns the shape of the vectors that the map accepts.
	domain() []int
	// apply maps the vector x; the result is differentiable with respect to the weights. zero is
	// the scalar 0 in the graph of x.
	apply(w matrix, x, zero *graph.Node) *graph.Node
	// adjoint applies the transposed map to y.
	adjoint(w matrix, y, zero *graph.Node) *graph.Node
}

// matrix holds weights [rows, columns] for the products of a loop, together with their transpose if
// productsPreferTranspose.
type matrix struct{ plain, transposed *graph.Node }

func newMatrix(weights *graph.Node) matrix {
	m := matrix{plain: weights}
	if productsPreferTranspose(weights.Graph().Backend()) {
		m.transposed = graph.Transpose(weights, 0, 1)
	}
	return m
}

// timesVector returns W·x [rows] for x [columns].
func (m matrix) timesVector(x *graph.Node) *graph.Node { return graph.Dot(m.plain, x).Product() }

// transposeTimesVector returns Wᵀ·y [columns] for y [rows].
func (m matrix) transposeTimesVector(y *graph.Node) *graph.Node {
	if m.transposed != nil {
		return graph.Dot(m.transposed, y).Product()
	}
	return graph.Dot(y, m.plain).Product()
}

// matrixMap is x -> W·x, for weights [rows, columns].
type matrixMap struct{ columns int }

func (m matrixMap) domain() []int { return []int{m.columns} }

func (m matrixMap) apply(w matrix, x, _ *graph.Node) *graph.Node { return w.timesVector(x) }

func (m matrixMap) adjoint(w matrix, y, _ *graph.Node) *graph.Node { return w.transposeTimesVector(y) }

// powerIteration iterates x -> AᵀAx from start until the residual is within the tolerance, and
// returns the resulting unit vector. The iteration is a loop in the graph, through which no
// gradient flows, so the weights must be a StopGradient. A is the map divided by the scale.
//
// Everything that the loop's closures use except the weights is part of the loop's state, even
// constants. GoMLX shares one node for each scalar constant of a graph, so a constant that one
// closure creates would be used outside of it, where it is not defined. And GoMLX's XLA backend
// supports products, but no elementwise arithmetic, between values inside and outside of a closure.
func powerIteration(op linearMap, w matrix, scale, start *graph.Node, limits iterationLimits) *graph.Node {
	g := start.Graph()
	dtype := start.DType()
	zero, one := graph.Scalar(g, dtype, 0), graph.Scalar(g, dtype, 1)
	state := []*graph.Node{
		atIterated:  zero,
		atExcess:    one, // Positive: the loop runs at least once.
		atVector:    start,
		atLimit:     graph.Scalar(g, dtype, float64(limits.iterations)),
		atTolerance: graph.Scalar(g, dtype, limits.tolerance),
		atScale:     scale,
		atConstant0: zero,
		atConstant1: one,
	}
	cond := graph.NewClosure(g, func(g *graph.Graph) []*graph.Node {
		s := gomlxcompat.LoopState(g, state)
		return []*graph.Node{graph.LogicalAnd(
			graph.LessThan(s[atIterated], s[atLimit]), graph.GreaterThan(s[atExcess], s[atConstant0]))}
	})
	body := graph.NewClosure(g, func(g *graph.Graph) []*graph.Node {
		s := gomlxcompat.LoopState(g, state)
		image := graph.Div(op.apply(w, s[atVector], s[atConstant0]), s[atScale])
		image = graph.Div(op.adjoint(w, image, s[atConstant0]), s[atScale])
		quotient := inner(s[atVector], image)
		difference := graph.Sub(image, graph.Mul(quotient, s[atVector]))
		residual := graph.Sqrt(inner(difference, difference))
		s[atExcess] = graph.Sub(residual, graph.Mul(s[atTolerance], quotient))
		// A zero matrix maps everything to 0: it keeps its vector.
		length := graph.Sqrt(inner(image, image))
		positive := graph.GreaterThan(length, s[atConstant0])
		next := graph.Div(image, graph.Where(positive, length, s[atConstant1]))
		s[atVector] = graph.Where(positive, next, s[atVector])
		s[atIterated] = graph.Add(s[atIterated], s[atConstant1])
		return s
	})
	return graph.While(cond, body, state...)[atVector]
}

// Indices into the state of powerIteration's loop.
const (
	atIterated  = iota // Iterations so far, in the weights' dtype.
	atExcess           // The residual minus what the tolerance allows.
	atVector           // The unit vector.
	atLimit            // The largest number of iterations; it and the following never change.
	atTolerance        // The relative tolerance.
	atScale            // What each product with the weights is divided by.
	atConstant0
	atConstant1
)

// inner returns the scalar Σ x·y. It is a product and not a reduction because GoMLX's XLA backend
// does not support reductions in closures.
func inner(x, y *graph.Node) *graph.Node {
	return graph.Dot(graph.Reshape(x, -1), graph.Reshape(y, -1)).Product()
}
