package training

import (
	"math"
	"testing"

	"github.com/gomlx/compute"
	"github.com/gomlx/gomlx/ml/model"

	"github.com/geometric-complexity/toolkit/datasets"
	"github.com/geometric-complexity/toolkit/internal/gctest"
)

// TestNoiseGapOfLinearNetwork checks that noise on the inputs raises the squared error of a linear
// network by σ²·GC for every σ, up to the error of the sample.
func TestNoiseGapOfLinearNetwork(t *testing.T) {
	gctest.ForEachBackend(t, func(t *testing.T, backend compute.Backend) {
		data, err := Data{Name: datasets.NameFashionMNISTSubset, Train: 200, Test: 20}.load(Network{Kind: KindMLP}, 0)
		if err != nil {
			t.Fatal(err)
		}
		fn, err := MLP(0, 0).function(data.outputs)
		if err != nil {
			t.Fatal(err)
		}
		store := model.NewStore()
		if err := store.SetRNGStateFromSeed(8); err != nil {
			t.Fatal(err)
		}
		e, err := newEvaluator(backend, store, fn, data, gridOptions{})
		if err != nil {
			t.Fatal(err)
		}
		defer e.finalize()
		sigmas := []float64{0.1, 1}
		d, err := newNoiseGap(backend, store, fn, data.measured["train"], data.outputs, sigmas)
		if err != nil {
			t.Fatal(err)
		}
		e.diagnostics = []diagnostic{d}
		p, err := e.measure(t.Context(), 0)
		if err != nil {
			t.Fatal(err)
		}
		for i, sigma := range sigmas {
			// 1,600 draws of a sum of 10 squares: a standard error of 1.1 %.
			for _, name := range []string{"noise_gap", "noise_gap_outputs"} {
				if ratio := float64(p.Arrays[name][i]) / (sigma * sigma * p.Value("train_gc")); math.Abs(ratio-1) > 0.05 {
					t.Errorf("σ = %g: %s is %.3g of σ²·GC; want 1", sigma, name, ratio)
				}
			}
		}
	})
}
