package training

import (
	"context"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/gomlx/compute"
	"github.com/gomlx/gomlx/core/graph"
	"gonum.org/v1/gonum/mat"

	"github.com/geometric-complexity/toolkit/experiments/runs"
	"github.com/geometric-complexity/toolkit/experiments/runs/runstest"
	"github.com/geometric-complexity/toolkit/gcml"
	"github.com/geometric-complexity/toolkit/internal/gctest"
	"github.com/geometric-complexity/toolkit/internal/operatornorm"
)

// TestLinearRegions uses f(x) = 2·relu(x) - 3·relu(x-1), whose slopes are 0 left of 0, 2 between 0
// and 1, and -1 right of 1.
func TestLinearRegions(t *testing.T) {
	weights := []*mat.Dense{mat.NewDense(1, 2, []float64{1, 1}), mat.NewDense(2, 1, []float64{2, -3})}
	biases := [][]float64{{0, -1}, {7}}
	got := linearRegions(weights, biases, []float64{-2, -1, 0.25, 0.5, 0.75, 1.5, 2, 3, 4, 5})
	if got.count != 3 {
		t.Errorf("%d regions; want 3", got.count)
	}
	gctest.AssertClose(t, []float64{got.gc, got.lipschitz}, []float64{0.3*4 + 0.5*1, 2}, 1e-14, 0,
		"GC and Lipschitz constant")
	// ‖W1‖² = 2 and ‖W2‖² = 13, in two layers.
	gctest.AssertClose(t, []float64{weightsBound(weights)}, []float64{7.5 * 7.5}, 1e-14, 0, "bound by the weights")
	gctest.AssertClose(t, []float64{operatornorm.Squared(mat.NewDense(2, 2, []float64{3, 0, 4, 0}))}, []float64{25}, 1e-14,
		0, "squared operator norm")
}

func TestClosedFormsOnBothBackends(t *testing.T) {
	gctest.ForEachBackend(t, func(t *testing.T, b compute.Backend) {
		env := runs.Env{Backend: b, Out: t.TempDir()}
		r, err := runstest.Do(context.Background(), env,
			runs.Run{Seed: 3, Task: &ClosedForms{Inputs: 3, HiddenLayers: 2, Width: 6, Outputs: 2, Points: 200}})
		if err != nil {
			t.Fatal(err)
		}
		want := r.FinalValue("gc_regions")
		gctest.AssertClose(t, []float64{r.FinalValue("gc"), r.FinalValue("gc_jacobian")}, []float64{want, want}, 1e-9, 0,
			"GC")
		if n := r.FinalValue("regions"); n < 5 || n > 200 {
			t.Errorf("%g regions on 200 points: the test needs several regions with several points each", n)
		}
	})
}

// TestLipschitzConstantIsThatOfGCML compares the largest operator norm over the linear regions with
// gcml's singular values.
func TestLipschitzConstantIsThatOfGCML(t *testing.T) {
	rng := rand.New(rand.NewPCG(4, 5))
	points := make([]float64, 3*100)
	for i := range points {
		points[i] = rng.NormFloat64()
	}
	gctest.ForEachBackend(t, func(t *testing.T, b compute.Backend) {
		net := randomNetwork{hidden: 2, width: 6, outputs: 4}
		store, measured, err := net.measure(b, 3, points, 3, func(f, x *graph.Node) []*graph.Node {
			return []*graph.Node{graph.ReduceAllMax(gcml.JacobianSpectralNorm(f, x))}
		})
		if err != nil {
			t.Fatal(err)
		}
		defer store.Finalize()
		weights, biases, err := mlpWeights(store, "/", net.hidden)
		if err != nil {
			t.Fatal(err)
		}
		gctest.AssertClose(t, measured[0], []float64{linearRegions(weights, biases, points).lipschitz}, 1e-12, 0,
			"Lipschitz constant")
	})
}

// TestArcLengthOfLines checks that the bound holds with equality for linear maps, whose graph is a
// line.
func TestArcLengthOfLines(t *testing.T) {
	r, err := runstest.Do(context.Background(), runs.Env{Backend: gctest.GoBackend(t), Out: t.TempDir()},
		runs.Run{Seed: 3, Task: &ArcLengths{Width: 1, Functions: 3, Cells: 50}})
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range r.Points {
		gctest.AssertClose(t, []float64{p.Value("length")}, []float64{2 * math.Sqrt(1+p.Value("gc"))}, 1e-12, 0, "length")
	}
	if a, b := r.Points[0].Value("gc"), r.Points[1].Value("gc"); a == b {
		t.Errorf("two functions of a run have the same GC, %g", a)
	}
}
