package operatornorm

import (
	"math"
	"testing"

	"gonum.org/v1/gonum/mat"
)

// TestSquared compares with the singular values of the matrices themselves. The Gram matrix of the
// last one makes gonum's EigenSym panic.
func TestSquared(t *testing.T) {
	for _, a := range []*mat.Dense{
		mat.NewDense(2, 2, []float64{3, 0, 4, 0}),
		mat.NewDense(2, 3, []float64{1, -2, 3, 0.5, 4, 6}),
		mat.NewDense(3, 1, []float64{1, 2, -2}),
		mat.NewDense(2, 2, make([]float64, 4)),
		mat.NewDense(2, 2, []float64{5.967618974398768e-78, -7.576847945545463e-78, 1.6741521137923552e-77,
			9.219944504401795e-78}),
	} {
		var svd mat.SVD
		if !svd.Factorize(a, mat.SVDNone) {
			t.Fatal("no singular values")
		}
		largest := svd.Values(nil)[0]
		for _, m := range []*mat.Dense{a, mat.DenseCopyOf(a.T())} {
			if got, want := Squared(m), largest*largest; math.Abs(got-want) > 1e-12*want {
				t.Errorf("%v: the squared norm is %g, want %g", mat.Formatted(m), got, want)
			}
		}
	}
}

// TestSquaredOfWhatIsNotFinite checks weights that are not finite, as in a run that diverges.
func TestSquaredOfWhatIsNotFinite(t *testing.T) {
	for _, v := range []float64{math.NaN(), math.Inf(1), math.Inf(-1), 1e200} {
		a := mat.NewDense(3, 2, []float64{1, 2, 3, v, 5, 6})
		if got := Squared(a); !math.IsNaN(got) {
			t.Errorf("with %g it is %g; want NaN", v, got)
		}
		if got := Squared(mat.DenseCopyOf(a.T())); !math.IsNaN(got) {
			t.Errorf("with %g transposed it is %g; want NaN", v, got)
		}
	}
}
