package training

import (
	"math"
	"strings"
	"testing"

	"github.com/gomlx/compute"
	"gonum.org/v1/gonum/mat"

	"github.com/geometric-complexity/toolkit/datasets"
	"github.com/geometric-complexity/toolkit/experiments/runs"
	"github.com/geometric-complexity/toolkit/internal/gctest"
)

// marginTask trains a linear network, whose Jacobian is its matrix, for a few steps on few
// examples.
func marginTask() *Train {
	return &Train{Data: Data{Name: datasets.NameFashionMNISTSubset, Train: 12, Test: 30, Classes: []int{4, 0, 2}},
		Network: MLP(0, 0), LearningRate: 0.1, Steps: 20, Measurements: 1, Margin: true}
}

// TestMarginBoundOfLinearNetwork measures a network, and computes the same from its weights in
// double precision, by the formula as the paper prints it.
func TestMarginBoundOfLinearNetwork(t *testing.T) {
	gctest.ForEachBackend(t, func(t *testing.T, backend compute.Backend) {
		record, weights, biases := trainMLP(t, backend, marginTask())
		w, bias := weights[0], biases[0] // [784, 3]
		var all [][]float64
		var margins, mean = []float64(nil), make([]float64, 3)
		for label, class := range imagesOf(t, []int{4, 0, 2}, 12, 0) {
			for _, x := range class {
				all = append(all, x)
				var f mat.VecDense
				f.MulVec(w.T(), mat.NewVecDense(len(x), x))
				other := math.Inf(-1)
				for k := range 3 {
					mean[k] += (f.AtVec(k) + bias[k]) / 12
					if k != label {
						other = max(other, f.AtVec(k)+bias[k])
					}
				}
				margins = append(margins, f.AtVec(label)+bias[label]-other)
			}
		}
		gc := math.Pow(mat.Norm(w, 2), 2)
		margin := mat.Sum(mat.NewVecDense(12, margins)) / 12
		capacity := math.Sqrt(mean[0]*mean[0]+mean[1]*mean[1]+mean[2]*mean[2]) + math.Sqrt(gc*eigenvalue(t, all)/0.05)
		p := record.Final()
		// With 12 examples the second term outweighs the margins at every γ.
		second, bound := 36*capacity*math.Sqrt(3*math.Pi)/12, 1+3*math.Sqrt(math.Log(40)/24)
		if _, finite := p.Values["margin_bound_at"]; finite || second < margin {
			t.Errorf("second term %g/γ, mean margin %g, smallest at γ = %g", second, margin, p.Value("margin_bound_at"))
		}
		for name, want := range map[string]float64{"margin": margin, "gc_over_margin": gc / margin,
			"root_gc_over_margin": math.Sqrt(gc) / margin, "margin_capacity": capacity, "margin_bound": bound,
			"excess_risk": p.Value("train_accuracy") - p.Value("test_accuracy")} {
			gctest.AssertClose(t, []float64{p.Value(name)}, []float64{want}, 1e-4, 1e-7, name)
		}
		if margin <= 0 {
			t.Errorf("mean margin %g; want a positive one, so that GC over margin is tested", margin)
		}
	})
}

// TestSmallestMarginBound: with margins that are all 2 and no capacity, any γ up to 2 leaves the
// last term alone; with so much capacity that the second term outweighs the mean margin at every γ
// the bound is its limit for an infinite γ.
func TestSmallestMarginBound(t *testing.T) {
	margins := []float64{2, 2, 2}
	slack := 3 * math.Sqrt(math.Log(40)/2e6)
	for _, tc := range []struct {
		capacity, want float64
		finite         bool
	}{{0, slack, true}, {2.1 * 1e6 / 36 / math.Sqrt(10*math.Pi), 1 + slack, false}, {1e9, 1 + slack, false}} {
		bound, at, err := smallestMarginBound(margins, 10, 1e6, tc.capacity)
		if err != nil {
			t.Fatal(err)
		}
		gctest.AssertClose(t, []float64{bound}, []float64{tc.want}, 0, 1e-12, "bound")
		if tc.finite != (at <= 2) || tc.finite == math.IsInf(at, 1) {
			t.Errorf("capacity %g: smallest at γ = %g", tc.capacity, at)
		}
	}
	// Half of the margins at 1: with C·36·√(10π)/m = 0.1 the best γ up to 1 is 1, where the bound
	// is 0.5 + 0.1, and a larger one loses more on the ramp than it gains.
	m := 1000000
	capacity := 0.1 * float64(m) / 36 / math.Sqrt(10*math.Pi)
	bound, at, err := smallestMarginBound([]float64{1, -1}, 10, m, capacity)
	if err != nil {
		t.Fatal(err)
	}
	gctest.AssertClose(t, []float64{bound, at}, []float64{0.6 + slack, 1}, 1e-9, 0, "bound and margin")
}

func TestMarginNeedsClasses(t *testing.T) {
	task := &Train{Data: Data{Name: NameParabola, Train: 10}, Network: MLP(1, 5), LearningRate: 0.1, Steps: 1,
		Measurements: 1, Margin: true}
	job := &runs.Job{Env: runs.Env{Backend: gctest.GoBackend(t), Out: t.TempDir()}, Dir: t.TempDir(),
		Record: &runs.Record{}}
	const want = "margin: the data set has no classes"
	if err := task.Do(t.Context(), job); err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("error %v; want %q", err, want)
	}
}
