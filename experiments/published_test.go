package experiments

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/geometric-complexity/toolkit/experiments/evidence"
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

// TestLearningRateAtOtherLosses computes the factor of GC from the smallest to the largest learning
// rate of experiment 09 at several equal training losses, and compares it with the table in
// docs/claims.md: the sign depends on the loss.
func TestLearningRateAtOtherLosses(t *testing.T) {
	raw, err := os.ReadFile("../results/09-optimizers-desk/records.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	records := make(map[string][]*runs.Record)
	for line := range bytes.Lines(raw) {
		var r struct {
			Label string
			runs.Record
		}
		if err := json.Unmarshal(line, &r); err != nil {
			t.Fatal(err)
		}
		label, _, _ := strings.Cut(r.Label, ", seed")
		records[label] = append(records[label], &r.Record)
	}
	page, err := os.ReadFile("../docs/claims.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, multiple := range []float64{1, 1.2, 1.5, 2, 3, 4} {
		row := fmt.Sprintf("| %g |", multiple)
		for _, optimizer := range []string{"sgd", "momentum", "adam"} {
			s := evidence.Sweep{Axis: evidence.Axis{Name: "rate", Values: []float64{0.25, 0.5, 1, 2}}}
			for _, label := range []string{", rate 0.25", ", rate 0.5", ", base", ", rate 2"} {
				s.Records = append(s.Records, records[optimizer+label])
			}
			m := evidence.AtLoss(multiple * s.CommonLoss())
			c := evidence.RowsTrend(evidence.ClaimText{}, "GC", s.Axis, s.Rows(m.Of("train_gc")), evidence.Falls, true, m.Name)
			row += fmt.Sprintf(" %.2f [%.2f, %.2f] |", c.Value, c.Interval.Lo, c.Interval.Hi)
		}
		if !bytes.Contains(page, []byte(row+"\n")) {
			t.Errorf("docs/claims.md lacks the row\n%s", row)
		}
	}
}
