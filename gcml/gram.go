package gcml

import (
	"slices"

	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph"

	"github.com/geometric-complexity/toolkit/internal/gomlxcompat"
	"github.com/geometric-complexity/toolkit/internal/precision"
	"github.com/geometric-complexity/toolkit/internal/vjp"
)

// If the inputs enter only through one dense layer x·W with n units, the Jacobian is V·Wᵀ, where V
// is the derivative of the outputs with respect to the layer's result, and
//
//	‖V·Wᵀ‖²_F = Σ_rows v·G·vᵀ,  G = Wᵀ·W of shape [n, n].
//
// So the Jacobian with respect to the input is never built, and the cost per row is n² instead of
// n·(number of inputs). This holds for any layers after the first.

// gramSquares returns values whose sum over the units is v·G·vᵀ for each row of v. They are the
// elementwise products of v with v·G', where G' has the strips of G from the diagonal down, doubled
// below the diagonal. v and the result have shape [C, batch, units].
func (j *jacobian) gramSquares(v *Node) *Node {
	if j.gramStrips == nil {
		for _, strip := range symmetricStrips(j.weights(), j.unitsAxis()) {
			j.gramStrips = append(j.gramStrips, doubleBelowDiagonal(strip))
		}
	}
	bounds := blockBounds(v.Shape().Dimensions[2], len(j.gramStrips))
	products := make([]*Node, len(j.gramStrips))
	for i, strip := range j.gramStrips {
		products[i] = vjp.TimesMatrix(between(v, 2, bounds[i], bounds[len(products)]), strip, 0)
	}
	return Mul(Concatenate(products, 2), v)
}

// The terms of v·G·vᵀ are as large as ‖v‖²·tr(G), and so is their rounding error. Where v almost
// cancels a direction in which the weights are large, the sum is far smaller: the softmax of a
// linear model ignores what its classes share, and layer norm what its units share. Then the value
// has no correct digit left, while ‖v·Wᵀ‖² keeps half of them. So Measure compares the two sizes,
// and computes such a batch without the closed form.

// largestCancellation returns the largest ratio of ‖v‖²·tr(G) to v·G·vᵀ for which the closed form
// is used. In float32 one rounding of terms of that size is 1/256 of the value; in linear
// classifiers below the limit (400 inputs, 10 classes) the values of examples were off by up to
// 0.07 %. The error of G grows with the number of features that it sums over: with a million of
// them, values were off by 0.7 % while the limit was the same for all. The ratio of random weights
// is about the number of units.
func largestCancellation(dtype dtypes.DType, features int) float64 {
	if dtype == dtypes.Float64 {
		return 1 << 45
	}
	return (1 << 16) / max(1, float64(features)/2048)
}

// smallestWeight is the least size of the largest weight whose squares G holds with full precision.
func smallestWeight(dtype dtypes.DType) float64 {
	if dtype == dtypes.Float64 {
		return 1e-146
	}
	return 1e-15
}

// cancels returns a scalar for values that ofRound computed by the Gram matrix: 1 if one of them is
// too small for its terms, or if the weights are so small that their squares underflow, else 0.
func (j *jacobian) cancels(values *Node, perOutput bool) *Node {
	var rows []*Node // ‖v‖² of the rows, [C, batch].
	for _, v := range j.pulled {
		rows = append(rows, ReduceSum(Square(v), 2))
	}
	terms := Concatenate(rows, 0)
	if !perOutput {
		terms = MulScalar(ReduceSum(terms, 0), j.plan.scale)
	}
	weights := precision.Wide(j.weights())
	terms = Mul(terms, ReduceAllSum(Square(weights)))
	features := weights.Shape().Dimensions[1-j.unitsAxis()]
	tooSmall := LessThan(MulScalar(values, largestCancellation(values.DType(), features)), terms)
	largest := ReduceAllMax(Abs(weights))
	smallest := smallestWeight(largest.DType())
	underflows := LogicalAnd(GreaterThan(largest, ScalarZero(largest.Graph(), largest.DType())),
		LessThan(largest, Scalar(largest.Graph(), largest.DType(), smallest)))
	return ReduceAllMax(ConvertDType(LogicalOr(tooSmall, underflows), values.DType()))
}

// weights returns W. XLA would compute the Gram matrix of constants while it compiles, by a plain
// sum in float32, which is slow and loses digits that its product keeps (an optimization barrier
// does not stop it). So to constants it adds 0 times an input.
func (j *jacobian) weights() *Node {
	if !isConstant(j.first.Weights, make(map[*Node]bool)) {
		return j.first.Weights
	}
	x := ConvertDType(firstElement(StopGradient(j.inputs)), j.first.Weights.DType())
	x = Where(IsFinite(x), x, ZerosLike(x))
	return Add(j.first.Weights, MulScalar(x, 0))
}

// isConstant says whether the node depends on constants only. known has the nodes that do.
func isConstant(n *Node, known map[*Node]bool) bool {
	if known[n] {
		return true
	}
	if len(n.Inputs()) == 0 {
		return n.Type() == NodeTypeConstant || n.Type() == NodeTypeIota
	}
	known[n] = !slices.ContainsFunc(n.Inputs(), func(in *Node) bool { return !isConstant(in, known) })
	return known[n]
}

// unitsAxis returns the axis of the weights that holds the units.
func (j *jacobian) unitsAxis() int {
	if j.first.Transposed {
		return 0
	}
	return 1
}

// gramMatrix returns G, [units, units], and builds it on the first call.
func (j *jacobian) gramMatrix() *Node {
	if j.gram == nil {
		j.gram = symmetricFromStrips(symmetricStrips(j.weights(), j.unitsAxis()))
	}
	return j.gram
}

// complexityByGram computes the cotangents' share of the mean of the squared norms by the Gram
// matrix, as a scalar with a custom gradient. The gradient of Σ v·G·vᵀ is 2·v·G with respect to v
// and 2·W·(vᵀ·v) with respect to W. The custom gradient reuses v·G and computes vᵀ·v as a symmetric
// product, which differentiating the value's nodes would not do.
func (j *jacobian) complexityByGram(parts []*Node) *Node {
	var norms, zero *Node // Shapes [batch] and scalar; zero carries the gradient.
	var products []*Node  // The strips of Σ vᵀ·v.
	for _, part := range parts {
		v := j.pullback.PullToFirst(j.first, part)
		vg := vjp.TimesMatrix(v, j.gramMatrix(), 0)
		norms = addNonNil(norms, ReduceSum(Mul(vg, v), 0, 2))
		zero = addNonNil(zero, zeroWithGradient(v, func() *Node { return MulScalar(vg, 2) }))
		for i, strip := range symmetricStrips(Reshape(v, -1, v.Shape().Dimensions[2]), 1) {
			if len(products) == i {
				products = append(products, nil)
			}
			products[i] = addNonNil(products[i], strip)
		}
	}
	zero = Add(zero, zeroWithGradient(j.weights(), func() *Node {
		if j.first.Transposed {
			return MulScalar(Dot(symmetricFromStrips(products), j.weights()).Product(), 2)
		}
		return MulScalar(Dot(j.weights(), symmetricFromStrips(products)).Product(), 2)
	}))
	return MulScalar(Add(StopGradient(ReduceAllSum(norms)), zero), j.plan.scale/float64(j.plan.batch))
}

// zeroWithGradient returns a scalar of value 0 whose gradient with respect to x is the node that
// gradient builds, which can be differentiated again. GoMLX passes an adjoint with x's shape; its
// first element is the adjoint of the scalar. The value is 0 for an infinite first element, too:
// the logarithms of a mask may begin with one.
func zeroWithGradient(x *Node, gradient func() *Node) *Node {
	element := firstElement(IdentityWithCustomGradient(x, func(_, adjoint *Node) *Node {
		return Mul(gradient(), firstElement(adjoint))
	}))
	return gomlxcompat.WithGradientOf(element, func() *Node {
		return Where(Const(x.Graph(), false), element, ZerosLike(element))
	})
}

// firstElement returns x[0, ..., 0] as a scalar.
func firstElement(x *Node) *Node {
	specs := make([]SliceAxisSpec, x.Rank())
	for axis := range specs {
		specs[axis] = AxisElem(0)
	}
	return Reshape(Slice(x, specs...))
}
