package training

import (
	"context"
	"testing"

	"github.com/geometric-complexity/toolkit/experiments/runs"
	"github.com/geometric-complexity/toolkit/internal/compilecache"
	"github.com/geometric-complexity/toolkit/internal/gctest"
)

// TestRunsSharePrograms checks that a sweep over seeds, rates and coefficients compiles each graph
// once, and that its runs have the same numbers as runs on their own.
func TestRunsSharePrograms(t *testing.T) {
	inner := gctest.PlainXLABackend(t)
	task := func(rate, coefficient, noise float64) *Train {
		r := resumableTask()
		r.LearningRate, r.InputNoise = rate, noise
		r.Penalties = map[string]float64{"gc": coefficient, "l2": 2 * coefficient, "spectral": coefficient}
		return r
	}
	all := []runs.Run{
		{Label: "first", Seed: 3, Task: task(0.1, 0.01, 0.1)},
		{Label: "other numbers", Seed: 4, Task: task(0.05, 0.02, 0.2)},
	}
	shared := compilecache.New(inner).(*compilecache.Backend)
	worker := runs.NewWorker(runs.Env{Backend: shared, BackendName: "xla:cpu"})
	var got []*runs.Record
	for _, run := range all {
		before := shared.Compiled()
		got = append(got, doWith(t, worker, run))
		if n := shared.Compiled() - before; len(got) > 1 && n != 0 {
			t.Errorf("%s: %d programs compiled after those of the first run", run.Label, n)
		}
	}
	for i, run := range all {
		assertSameNumbers(t, got[i], doWith(t, runs.NewWorker(runs.Env{Backend: inner, BackendName: "xla:cpu"}), run))
	}
}

// doWith does a run in a new folder, and returns its record.
func doWith(t *testing.T, w runs.Worker, run runs.Run) *runs.Record {
	t.Helper()
	part := &runs.Part{Name: "shared", Runs: []runs.Run{run}, Out: t.TempDir()}
	if err := w.Do(context.Background(), runs.Item{Run: run, Part: part}, func(int64) {}); err != nil {
		t.Fatal(err)
	}
	record, err := runs.Lookup(part.Out, "xla:cpu", run)
	if err != nil || record == nil {
		t.Fatalf("%s: %v", run.Label, err)
	}
	return record
}
