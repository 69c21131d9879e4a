package training

import (
	"context"
	"errors"
	"math"
	"testing"

	"github.com/gomlx/compute"
	"github.com/gomlx/gomlx/ml/model"

	"github.com/geometric-complexity/toolkit/datasets"
	"github.com/geometric-complexity/toolkit/experiments/runs"
	"github.com/geometric-complexity/toolkit/internal/gctest"
)

// TestNoiseGapOfLinearNetwork checks that noise on the inputs raises the squared error of a linear
// network by σ²·GC for every σ, up to the error of the sample.
func TestNoiseGapOfLinearNetwork(t *testing.T) {
	gctest.ForEachBackend(t, func(t *testing.T, backend compute.Backend) {
		images := Data{Name: datasets.NameFashionMNISTSubset, Train: 200, Test: 100, MeasureGC: 60}
		data, err := images.load(Network{Kind: KindMLP}, 0)
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
		d, err := newNoiseGap(backend, store, fn, data.measured["train"], data.outputs, sigmas, 3)
		if err != nil {
			t.Fatal(err)
		}
		e.diagnostics = []diagnostic{d}
		if p, err := e.measure(t.Context(), 2); err != nil || len(p.Arrays) > 0 {
			t.Fatalf("before the last step: arrays %v, error %v; want neither", p.Arrays, err)
		}
		p, err := e.measure(t.Context(), 3)
		if err != nil {
			t.Fatal(err)
		}
		for i, sigma := range sigmas {
			// 1,600 draws of a sum of 10 squares: a standard error of 1.1 %.
			for _, name := range []string{"noise_gap", "noise_gap_outputs"} {
				if ratio := float64(p.Arrays[name][i]) / (sigma * sigma * p.Value("noise_gap_gc")); math.Abs(ratio-1) > 0.05 {
					t.Errorf("σ = %g: %s is %.3g of σ²·GC; want 1", sigma, name, ratio)
				}
			}
		}
	})
}

// ending is a context that is cancelled after a number of checks.
type ending struct {
	context.Context
	checks int
}

func (c *ending) Err() error {
	if c.checks--; c.checks < 0 {
		return context.Canceled
	}
	return nil
}

// TestDiagnosticsStop checks that diagnostics look between two batches whether they shall stop.
func TestDiagnosticsStop(t *testing.T) {
	backend, store := gctest.GoBackend(t), model.NewStore()
	mlp, images := MLP(1, 4), Data{Name: datasets.NameFashionMNISTSubset, Train: 20, Test: 20}
	data, err := images.load(mlp, 0)
	if err != nil {
		t.Fatal(err)
	}
	fn, err := mlp.function(data.outputs)
	if err != nil {
		t.Fatal(err)
	}
	task := textTask()
	noise, err := newNoiseGap(backend, store, fn, data.measured["train"], data.outputs, []float64{0.1, 1}, task.Steps)
	if err != nil {
		t.Fatal(err)
	}
	defer noise.finalize()
	p := runs.Point{Step: task.Steps, Values: make(map[string]runs.Number)}
	if err := noise.measure(t.Context(), &p); err != nil { // It makes the weights as well.
		t.Fatal(err)
	}
	sides, err := newTransfer(store, mlp, data.measured["train"], 7)
	if err != nil {
		t.Fatal(err)
	}
	texts, err := task.Data.load(task.Network, 0)
	if err != nil {
		t.Fatal(err)
	}
	embeddings, err := newTokenEmbeddings(backend, model.NewStore(), task, texts)
	if err != nil {
		t.Fatal(err)
	}
	defer embeddings.finalize()
	for _, tc := range []struct {
		name       string
		diagnostic diagnostic
		batches    int
	}{
		{"noise gap", noise, 2*noiseDraws + 1},
		{"transfer", sides, 7},
		// For GC, the calibration, two deviations and the training texts.
		{"token embeddings", embeddings, 2 + 2*embeddingNoiseDraws + 1},
	} {
		for checks := range tc.batches + 1 {
			p := runs.Point{Step: task.Steps, Values: map[string]runs.Number{"train_loss": 1, "test_gc": 1}}
			err := tc.diagnostic.measure(&ending{t.Context(), checks}, &p)
			if stopped := checks < tc.batches; errors.Is(err, context.Canceled) != stopped || !stopped && err != nil {
				t.Errorf("%s, cancelled after %d of %d batches: error %v", tc.name, checks, tc.batches, err)
			}
		}
	}
}
