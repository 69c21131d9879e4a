package gcml

import (
	"math/rand/v2"

	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph"
	. "github.com/gomlx/gomlx/support/exceptions"

	"github.com/geometric-complexity/toolkit/internal/precision"
	"github.com/geometric-complexity/toolkit/internal/vjp"
)

// lanczosSeed makes the start of the iteration the same in each graph.
const lanczosSeed = 20220927

// lanczos approximates the largest singular value from the Krylov space of J·Jᵀ. It orthogonalizes
// each basis vector u_i, [batch, K], twice against all previous ones. It takes the Ritz value from
// the Gram matrix of the rows Jᵀu_i, so that it is a lower bound even if rounding spoils the
// recurrence.
func (j *jacobian) lanczos(steps int) spectrum {
	push := j.newPushforward()
	u := j.lanczosStart(push)
	basis := InsertAxes(u, 1) // [batch, i, K]
	var rows []*Node          // Jᵀu_i, [batch, D].
	var last [2]*Node         // The factors of the norm of the last step's new direction, [batch].
	for i := range steps {
		y := precision.Wide(Reshape(j.pullback.Pull(InsertAxes(j.asCotangent(u), 0)), j.plan.batch, -1))
		rows = append(rows, y)
		length := rowNorms(StopGradient(y))
		w := push.of(divideOrZero(StopGradient(y), length, ZerosLike(length)))
		before := rowNorms(w)
		w = orthogonalTo(w, basis)
		after := rowNorms(w)
		last = [2]*Node{Reshape(length, -1), Reshape(ConvertDType(after, length.DType()), -1)}
		if i+1 < steps {
			u = divideOrZero(w, after, MulScalar(before, breakdown(w.DType())))
			basis = Concatenate([]*Node{basis, InsertAxes(u, 1)}, 1)
		}
	}
	return j.ritz(rows, last)
}

// breakdown returns the relative length below which an orthogonalized vector consists of rounding
// errors: the basis then spans all directions that the start can reach.
func breakdown(dtype dtypes.DType) float64 {
	if dtype == dtypes.Float64 {
		return 1e-13
	}
	return 1e-5
}

// ritz returns the largest singular value of the rows Jᵀu_i, each [batch, D], and the residual,
// computed from the norm of the last step's new direction, the product of two factors [batch].
func (j *jacobian) ritz(rows []*Node, last [2]*Node) spectrum {
	y := Stack(rows, 1) // [batch, steps, D]
	scale := StopGradient(ReduceMax(Abs(y), 1, 2))
	scale = Where(Equal(scale, ZerosLike(scale)), OnesLike(scale), scale)
	y = Div(y, Reshape(scale, -1, 1, 1))
	gram := Dot(y, y).General([]int{2}, []int{0}, []int{2}, []int{0})
	projector := topProjector(gram)
	top := ReduceSum(Mul(gram, projector), 1, 2) // θ², in units of the square of the scale.
	n := len(rows)
	share := Reshape(Slice(projector, AxisRange(), AxisRange(n-1, n), AxisRange(n-1, n)), -1)
	isZero := Equal(top, ZerosLike(top))
	direction := Mul(Div(last[0], scale), Div(last[1], scale)) // Unscaled, the product could underflow.
	residual := Div(Mul(direction, sqrtOrZero(share)), Where(isZero, OnesLike(top), top))
	return spectrum{
		norm:     Mul(scale, sqrtOrZero(top)),
		residual: StopGradient(residual),
		steps:    n,
	}
}

// lanczosStart returns the unit vector that the iteration starts from, [batch, K]. It is random; if
// there are fewer inputs than outputs, it is J times a random vector. This excludes directions that
// Jᵀ maps to 0, so that the result is exact after as many steps as there are inputs.
func (j *jacobian) lanczosStart(push pushforward) *Node {
	u := j.randomVector(min(j.plan.outputs, j.plan.inputs))
	if j.plan.inputs < j.plan.outputs {
		u = push.of(u)
	}
	length := rowNorms(u)
	return divideOrZero(u, length, ZerosLike(length))
}

// randomVector returns standard normal values [batch, n], the same for every example and in each
// graph.
func (j *jacobian) randomVector(n int) *Node {
	rng := rand.New(rand.NewPCG(lanczosSeed, uint64(n)))
	values := make([]float64, n)
	for i := range values {
		values[i] = rng.NormFloat64()
	}
	dtype := j.outputs.DType()
	if dtype.Size() < 4 {
		dtype = dtypes.Float32
	}
	return BroadcastToDims(InsertAxes(ConstAsDType(j.outputs.Graph(), dtype, values), 0), j.plan.batch, n)
}

func (j *jacobian) asCotangent(u *Node) *Node { return ConvertDType(u, j.outputs.DType()) }

// pushforward computes Jacobian-vector products J·v as the gradient of ⟨Jᵀu, v⟩ with respect to u.
// The product is linear in u, so the value of u does not matter.
type pushforward struct {
	j       *jacobian
	u, rows *Node // [1, batch, K], and Jᵀu, [1, batch, D...].
}

func (j *jacobian) newPushforward() pushforward {
	u := InsertAxes(j.asCotangent(j.randomVector(j.plan.outputs)), 0)
	rows := j.pullback.Pull(u)
	if missing := vjp.NotDifferentiable(rows, []*Node{u}); len(missing) > 0 {
		Panicf("gcml.JacobianSpectralNorm: the model cannot be differentiated twice, which Lanczos needs: GoMLX has no gradient for %s: %s",
			vjp.TypeName(missing[0].Type()), vjp.Replacement(missing[0].Type()))
	}
	return pushforward{j: j, u: u, rows: rows}
}

// of returns J·v, [batch, K], held constant, for v of shape [batch, D].
func (p pushforward) of(v *Node) *Node {
	v = ConvertDType(Reshape(v, p.rows.Shape().Dimensions...), p.rows.DType())
	w := Gradient(ReduceAllSum(Mul(p.rows, v)), p.u)[0]
	return StopGradient(precision.Wide(Squeeze(w, 0)))
}

// orthogonalTo subtracts from w, [batch, n], its components along the unit vectors of the basis,
// [batch, i, n], twice ("twice is enough", Giraud et al. 2005). A vector of zeros in the basis
// changes nothing.
func orthogonalTo(w, basis *Node) *Node {
	for range 2 {
		parts := ReduceAndKeep(Mul(basis, InsertAxes(w, 1)), ReduceSum, -1) // [batch, i, 1]
		w = Sub(w, ReduceSum(Mul(basis, parts), 1))
	}
	return w
}

// rowNorms returns the Euclidean norms of the rows of x, [batch, n], as [batch, 1]. It scales each
// row first, so that the squares do not overflow or underflow.
func rowNorms(x *Node) *Node {
	largest := ReduceAndKeep(Abs(x), ReduceMax, 1)
	largest = Where(Equal(largest, ZerosLike(largest)), OnesLike(largest), largest)
	return Mul(largest, Sqrt(ReduceAndKeep(Square(Div(x, largest)), ReduceSum, 1)))
}

// divideOrZero divides the rows of x, [batch, n], by the lengths, [batch, 1]; rows whose length is
// at most the limit, [batch, 1], become 0.
func divideOrZero(x, lengths, limit *Node) *Node {
	isZero := LessOrEqual(lengths, limit)
	x = Div(x, Where(isZero, OnesLike(lengths), lengths))
	return Mul(x, Where(isZero, ZerosLike(lengths), OnesLike(lengths)))
}
