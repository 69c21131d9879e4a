package datasets

import (
	"math"
	"slices"
	"testing"

	"github.com/gomlx/compute/dtypes"
)

func TestParabola(t *testing.T) {
	for _, n := range []int{2, 3, 10, 11, 1000} {
		curve, err := Parabola(n)
		if err != nil {
			t.Fatal(err)
		}
		if len(curve.X) != n || curve.X[0] != -1 || curve.X[n-1] != 1 {
			t.Errorf("n = %d: x from %g to %g", n, curve.X[0], curve.X[n-1])
		}
		for i, x := range curve.X {
			if curve.Y[i] != x*x || x != -curve.X[n-1-i] {
				t.Errorf("n = %d: point %d is (%g, %g)", n, i, x, curve.Y[i])
			}
		}
		// The slope on a piece is twice its midpoint, and the mean of the squared midpoints of m
		// equal pieces of [-1, 1] is (1 - 1/m²)/3.
		m := float64(n - 1)
		want := 4. / 3 * (1 - 1/(m*m))
		if got := curve.DirichletEnergy(); math.Abs(got-want) > 1e-12 {
			t.Errorf("n = %d: Dirichlet energy %.15g, want %.15g", n, got, want)
		}
		if got := curve.DirichletIntegral(); math.Abs(got-2*want) > 1e-12 {
			t.Errorf("n = %d: Dirichlet integral %.15g, want %.15g", n, got, 2*want)
		}
	}
	_, err := Parabola(1)
	wantError(t, err, "1 points, want 2 or more")
}

// On unevenly spaced points the energy equals the numerical integral of the squared slope of At.
func TestCurveUneven(t *testing.T) {
	curve, err := NewCurve([]float64{-1, 0, 0.5, 3}, []float64{2, -1, -1, 4})
	if err != nil {
		t.Fatal(err)
	}
	const pieces = 8000 // Divides the distances of all points.
	h := 4. / pieces
	var integral float64
	for i := range pieces {
		a := -1 + float64(i)*h
		dy := curve.At(a+h) - curve.At(a)
		integral += dy * dy / h
	}
	if got := curve.DirichletIntegral(); math.Abs(got-integral) > 1e-8 {
		t.Errorf("Dirichlet integral %g, numerically %g", got, integral)
	}
	if got := curve.DirichletEnergy(); math.Abs(got-integral/4) > 1e-8 {
		t.Errorf("Dirichlet energy %g, numerically %g", got, integral/4)
	}
	for x, want := range map[float64]float64{-1: 2, 0: -1, 0.5: -1, 3: 4, -0.5: 0.5, 0.25: -1, 1.75: 1.5, -2: 5, 4: 6} {
		if got := curve.At(x); math.Abs(got-want) > 1e-12 {
			t.Errorf("At(%g) = %g, want %g", x, got, want)
		}
	}
}

func TestNewCurveErrors(t *testing.T) {
	for _, test := range []struct {
		name string
		x, y []float64
		want string
	}{
		{"lengths", []float64{1, 2}, []float64{1}, "2 x and 1 y"},
		{"one point", []float64{1}, []float64{1}, "1 points, want 2 or more"},
		{"equal x", []float64{1, 1}, []float64{1, 2}, "must strictly increase"},
		{"falling x", []float64{1, 0}, []float64{1, 2}, "x[1] is 0 after 1"},
		{"NaN", []float64{0, math.NaN()}, []float64{1, 2}, "not finite"},
		{"infinite", []float64{0, 1}, []float64{1, math.Inf(-1)}, "not finite"},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := NewCurve(test.x, test.y)
			wantError(t, err, test.want)
		})
	}
}

func TestCurveTensors(t *testing.T) {
	curve, _ := Parabola(10)
	for dtype, tol := range map[dtypes.DType]float64{dtypes.Float32: 1e-7, dtypes.Float64: 0} {
		t.Run(dtype.String(), func(t *testing.T) {
			for _, infinite := range []bool{false, true} {
				ds, err := curve.Dataset(dtype, infinite)
				if err != nil {
					t.Fatal(err)
				}
				if ds.Name() != "curve-10" {
					t.Errorf("name %q", ds.Name())
				}
				count := 0
				for batch, err := range ds.Iter() {
					if err != nil {
						t.Fatal(err)
					}
					x, y := batch.Inputs[0], batch.Labels[0]
					if x.DType() != dtype || !slices.Equal(x.Shape().Dimensions, []int{10, 1}) || !x.Shape().Equal(y.Shape()) {
						t.Fatalf("got %s and %s", x.Shape(), y.Shape())
					}
					for i, v := range values(t, x) {
						if math.Abs(v-curve.X[i]) > tol {
							t.Errorf("x[%d] = %g, want %g", i, v, curve.X[i])
						}
					}
					for i, v := range values(t, y) {
						if math.Abs(v-curve.Y[i]) > tol {
							t.Errorf("y[%d] = %g, want %g", i, v, curve.Y[i])
						}
					}
					if count++; count == 3 {
						break
					}
				}
				if want := map[bool]int{false: 1, true: 3}[infinite]; count != want {
					t.Errorf("infinite %t: %d batches, want %d", infinite, count, want)
				}
			}
		})
	}
	t.Run("integers", func(t *testing.T) {
		_, _, err := curve.Tensors(dtypes.Int64)
		wantError(t, err, "want float32 or float64")
		_, err = curve.Dataset(dtypes.Int64, false)
		wantError(t, err, "want float32 or float64")
	})
}
