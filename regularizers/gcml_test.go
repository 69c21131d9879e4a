package regularizers_test

import (
	"testing"

	"github.com/gomlx/compute"
	"github.com/gomlx/gomlx/ml/train/loss"

	"github.com/geometric-complexity/toolkit/gcml"
	"github.com/geometric-complexity/toolkit/internal/gctest"
	"github.com/geometric-complexity/toolkit/regularizers"
)

// The penalty of gcml.Regularize adds to those of this package.
func TestCombineWithGeometricComplexity(t *testing.T) {
	gctest.ForEachBackend(t, func(t *testing.T, b compute.Backend) {
		store := seeded(t, map[string]any{gcml.ParamCoefficient: 0.5, regularizers.ParamL2: 0.25})
		withGC := regularizers.With(gcml.Regularize, gcml.WithEstimator(gcml.Exact()))
		x, y := gaussian(1, 6, 4), gaussian(2, 6, 3)
		both := newProbe(t, b, store, regularizers.Combine(mlp, regularizers.With(regularizers.L2), withGC),
			loss.MeanSquaredError, true).call(t, x, y)
		gc := newProbe(t, b, store, regularizers.Combine(mlp, withGC), loss.MeanSquaredError, true).call(t, x, y)
		l2 := newProbe(t, b, store, regularizers.L2(mlp), loss.MeanSquaredError, true).call(t, x, y)
		if gc.penalty <= 0 || l2.penalty <= 0 {
			t.Fatalf("penalties %g and %g, want both > 0", gc.penalty, l2.penalty)
		}
		gctest.AssertClose(t, []float64{both.penalty}, []float64{gc.penalty + l2.penalty}, 1e-13, 0, "sum of the penalties")
	})
}
