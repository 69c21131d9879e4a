package gcml_test

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/gomlx/compute"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"
	"gonum.org/v1/gonum/mat"

	"github.com/geometric-complexity/toolkit/gcml"
	"github.com/geometric-complexity/toolkit/internal/gctest"
)

// TestLanczosIsWithinItsBound checks Jacobians that are too large to be computed as a whole: a few
// Lanczos steps are within the stated bound, and never above the largest singular value.
func TestLanczosIsWithinItsBound(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	flat := make([]float64, 150) // The worst case: no largest singular value stands out.
	for i := range flat {
		flat[i] = 1 - 0.5*float64(i)/150
	}
	decaying := make([]float64, 150)
	for i := range decaying {
		decaying[i] = math.Pow(0.8, float64(i))
	}
	gctest.ForEachBackend(t, func(t *testing.T, b compute.Backend) {
		for _, c := range []struct {
			name    string
			values  []float64
			atLeast float64
		}{
			{"evenly spread", flat, 0.98},
			{"decaying", decaying, 1 - 1e-9},
		} {
			if b.Name() == "xla" && c.name == "evenly spread" {
				continue // The computation is the same.
			}
			a := withSingularValues(rng, 150, 160, c.values...)
			exec := MustNewExec(b, func(x *Node) *Node { return gcml.JacobianSpectralNorm(squaresThenMatrix(a, x), x) })
			got := gctest.Flat(exec.MustCall(tensors.FromValue([][]float64{constantPoint(160, 0.5)}))[0])[0]
			exec.Finalize()
			if got < c.atLeast || got > 1+1e-12 {
				t.Errorf("%s: got %.12g, want %g to 1", c.name, got, c.atLeast)
			}
		}
	})
}

// TestLanczosResidual compares value and residual after three steps with those of the Krylov space
// of the same start. Some singular value has to be as near to the value as the residual says.
func TestLanczosResidual(t *testing.T) {
	rng := rand.New(rand.NewPCG(15, 16))
	const steps = 3
	for _, dims := range [][2]int{{6, 8}, {8, 6}} {
		a := randomMatrix(rng, dims[0], dims[1])
		points := make([][]float64, 3)
		var norms []float64
		largest := 0.0
		for i := range points {
			for range dims[1] {
				points[i] = append(points[i], float64(1+10*i)*rng.NormFloat64())
			}
			norm, residual := ritzInKrylovSpace(t, scaledColumns(a, points[i]), steps)
			norms, largest = append(norms, norm), max(largest, residual)
		}
		network := func(_ *model.Scope, x *Node) *Node { return squaresThenMatrix(a, x) }
		gctest.ForEachBackend(t, func(t *testing.T, b compute.Backend) {
			got, err := gcml.Measure(t.Context(), b, model.NewStore(), network,
				batches{flat: slices.Concat(points...), features: dims[1], sizes: []int{2, 1}},
				gcml.WithSpectralNorm(), gcml.WithLanczosSteps(steps), gcml.WithPerExample())
			if err != nil {
				t.Fatal(err)
			}
			gctest.AssertClose(t, got.Spectrum.PerExample, norms, 1e-10, 0, "norms")
			gctest.AssertClose(t, []float64{got.Spectrum.Residual}, []float64{largest}, 1e-9, 0, "residual")
		})
	}
}

// ritzInKrylovSpace returns the largest Ritz value θ of J, and the residual ‖J·Jᵀu - θ²u‖/θ² of its
// vector u, in the space of the start, J·Jᵀ times the start, and so on. It fails the test if no
// singular value is within θ times the residual of θ.
func ritzInKrylovSpace(t *testing.T, j *mat.Dense, steps int) (norm, residual float64) {
	t.Helper()
	outputs, inputs := j.Dims()
	rng := rand.New(rand.NewPCG(20220927, uint64(min(outputs, inputs)))) // As gcml draws the start.
	start := mat.NewVecDense(min(outputs, inputs), nil)
	for i := range start.Len() {
		start.SetVec(i, rng.NormFloat64())
	}
	var square, powers mat.Dense
	square.Mul(j, j.T())
	column := mat.NewVecDense(outputs, nil)
	if inputs < outputs {
		column.MulVec(j, start)
	} else {
		column.CopyVec(start)
	}
	powers.ReuseAs(outputs, steps)
	for i := range steps {
		column.ScaleVec(1/mat.Norm(column, 2), column)
		powers.SetCol(i, column.RawVector().Data)
		var next mat.VecDense
		next.MulVec(&square, column)
		column.CopyVec(&next)
	}
	var qr mat.QR
	qr.Factorize(&powers)
	var q, projected mat.Dense
	qr.QTo(&q)
	basis := q.Slice(0, outputs, 0, steps)
	projected.Product(basis.T(), &square, basis)
	symmetric := mat.NewSymDense(steps, nil)
	for i := range steps {
		for k := i; k < steps; k++ {
			symmetric.SetSym(i, k, projected.At(i, k))
		}
	}
	var eigen mat.EigenSym
	if !eigen.Factorize(symmetric, true) {
		t.Fatal("no eigenvalues")
	}
	var vectors mat.Dense
	eigen.VectorsTo(&vectors)
	top := eigen.Values(nil)[steps-1]
	var u, rest mat.VecDense
	u.MulVec(basis, vectors.ColView(steps-1))
	rest.MulVec(&square, &u)
	rest.AddScaledVec(&rest, -top, &u)
	norm, residual = math.Sqrt(top), mat.Norm(&rest, 2)/top
	var svd mat.SVD
	if !svd.Factorize(j, mat.SVDNone) {
		t.Fatal("no singular values")
	}
	if !slices.ContainsFunc(svd.Values(nil), func(s float64) bool { return math.Abs(s-norm) <= norm*residual }) {
		t.Errorf("no singular value of %v is within %g of %g", svd.Values(nil), norm*residual, norm)
	}
	return norm, residual
}
