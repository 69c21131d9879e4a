package experiments

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"github.com/geometric-complexity/toolkit/experiments/runs"
	"github.com/geometric-complexity/toolkit/experiments/runs/runstest"
	"github.com/geometric-complexity/toolkit/experiments/training"
	"github.com/geometric-complexity/toolkit/internal/gctest"
)

// TestPublishedRunsRepeat repeats the shortest published training of each experiment whose results
// are from the Go backend, and compares points and weights bit for bit. Results of XLA depend on
// the machine.
func TestPublishedRunsRepeat(t *testing.T) {
	raw, err := os.ReadFile(goldenFile)
	if err != nil {
		t.Fatal(err)
	}
	var g golden
	if err := json.Unmarshal(raw, &g); err != nil {
		t.Fatal(err)
	}
	if g.Platform != platform() {
		t.Skipf("the published numbers are from another platform (%s)", g.Platform)
	}
	files, err := filepath.Glob("../results/*/records.jsonl")
	if err != nil || len(files) == 0 {
		t.Fatalf("no published records: %v", err)
	}
	repeated := 0
	for _, file := range files {
		published := shortestTraining(t, file)
		if published == nil {
			continue
		}
		t.Run(filepath.Base(filepath.Dir(file)), func(t *testing.T) {
			task := new(training.Train)
			if err := json.Unmarshal(published.Task, task); err != nil {
				t.Fatal(err)
			}
			env := runs.Env{Backend: gctest.GoBackend(t), BackendName: published.Backend, Out: t.TempDir()}
			got, err := runstest.Do(t.Context(), env, runs.Run{Label: "repeated", Seed: published.Seed, Task: task})
			if err != nil {
				t.Fatal(err)
			}
			if got.Hash != published.Hash {
				t.Errorf("address %s, published as %s", got.Hash, published.Hash)
			}
			if got.Weights != published.Weights || !reflect.DeepEqual(got.Points, published.Points) {
				t.Errorf("run %s has other numbers than published: raise the task's revision, and publish anew", got.Hash)
			}
		})
		repeated++
	}
	if repeated == 0 {
		t.Error("no published training is from the Go backend")
	}
}

// shortestTraining returns the complete training of the fewest steps among the Go backend's records
// in a file; nil if there is none.
func shortestTraining(t *testing.T, file string) (shortest *runs.Record) {
	t.Helper()
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for line := range bytes.Lines(raw) {
		var r runs.Record
		if err := json.Unmarshal(line, &r); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		if r.Backend != "go" || r.Kind != (&training.Train{}).Kind() || r.Status != runs.Complete {
			continue
		}
		if shortest == nil || r.Step < shortest.Step {
			shortest = &r
		}
	}
	return shortest
}
