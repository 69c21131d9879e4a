package training

import (
	"testing"

	"github.com/gomlx/compute"

	"github.com/geometric-complexity/toolkit/datasets"
	"github.com/geometric-complexity/toolkit/experiments/runs"
	"github.com/geometric-complexity/toolkit/internal/gctest"
)

// TestMomentumEqualsRecursionByHand compares momentum on a linear network with the recursion,
// computed by hand.
func TestMomentumEqualsRecursionByHand(t *testing.T) {
	const rate, steps = 0.05, 30
	gctest.ForEachBackend(t, func(t *testing.T, backend compute.Backend) {
		task := &Train{Data: Data{Name: NameParabola, Train: 10}, Network: MLP(0, 0), LearningRate: rate, Steps: steps,
			Optimizer: OptimizerMomentum, Measurements: 2, KeepFunction: true}
		record := execute(t, runs.Env{Backend: backend, Out: t.TempDir()}, runs.Run{Label: "linear", Seed: 5, Task: task})
		line := func(p runs.Point) (w, b float64) {
			f := runs.Floats(p.Arrays["f"])
			first, last := -1+1.0/GridPoints, 1-1.0/GridPoints
			w = (f[len(f)-1] - f[0]) / (last - first)
			return w, f[0] - w*first
		}
		curve, err := datasets.Parabola(10)
		if err != nil {
			t.Fatal(err)
		}
		w, b := line(record.Points[0])
		var vw, vb float64
		for range steps {
			var dw, db float64
			for i, x := range curve.X {
				residual := w*x + b - curve.Y[i]
				dw += 2 * residual * x / 10
				db += 2 * residual / 10
			}
			vw, vb = momentumDecay*vw+dw, momentumDecay*vb+db
			w, b = w-rate*vw, b-rate*vb
		}
		gotW, gotB := line(record.Final())
		gctest.AssertClose(t, []float64{gotW, gotB}, []float64{w, b}, 2e-5, 1e-6, "w and b")
	})
}

func TestUnknownOptimizer(t *testing.T) {
	if _, err := (&Train{Optimizer: "momentun"}).optimizer(); err == nil ||
		err.Error() != `unknown optimizer "momentun"; did you mean "momentum"?` {
		t.Errorf("error %v", err)
	}
}
