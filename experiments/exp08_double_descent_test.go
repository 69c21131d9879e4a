package experiments

import (
	"math"
	"testing"

	"github.com/geometric-complexity/toolkit/internal/gctest"
)

func TestPeak(t *testing.T) {
	nan := math.NaN()
	for _, tc := range []struct {
		name   string
		values []float64
		at     int
		height float64
	}{
		{"double descent", []float64{3, 2, 4, 1}, 2, 2},
		{"shallow on the left", []float64{3.8, 4, 1, 0.5}, 1, 4 / 3.8},
		{"the higher of two", []float64{1, 2, 1, 4, 1}, 3, 4},
		{"descent", []float64{4, 3, 2, 1}, 1, 0.75},
		{"rise", []float64{1, 2, 3, 4}, 2, 0.75},
		{"diverged run in between", []float64{1, nan, 2, 1}, 2, 2},
		{"diverged runs on one side", []float64{nan, 2, 1}, -1, nan},
		{"a dead network", []float64{0, 3, 2, 4, 1}, 3, 2},
		{"too few", []float64{1, 2}, -1, nan},
	} {
		t.Run(tc.name, func(t *testing.T) {
			at, height := peak(tc.values)
			if at != tc.at || math.IsNaN(height) != math.IsNaN(tc.height) || math.Abs(height-tc.height) > 1e-12 {
				t.Errorf("peak at %d of height %g; want %d, %g", at, height, tc.at, tc.height)
			}
		})
	}
}

// y = a + b·u + c·u² in u = log x, standardized: c times the variance of log x.
func TestCurvature(t *testing.T) {
	x := []float64{1, math.E, math.Exp(2), math.Exp(3), math.Exp(4), 0, math.Inf(1)}
	for _, c := range []float64{-2, 0.5} {
		var y []float64
		for _, v := range x {
			u := math.Log(v)
			y = append(y, 7-3*u+c*u*u)
		}
		gctest.AssertClose(t, []float64{curvature(x, y)}, []float64{2.5 * c}, 1e-12, 0, "curvature")
	}
	if v := curvature(x[:3], x[:3]); !math.IsNaN(v) {
		t.Errorf("curvature of three points %g; want NaN", v)
	}
}
