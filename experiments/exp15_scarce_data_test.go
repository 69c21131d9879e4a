package experiments

import (
	"slices"
	"testing"

	"github.com/geometric-complexity/toolkit/experiments/evidence"
	"github.com/geometric-complexity/toolkit/experiments/experiment"
	"github.com/geometric-complexity/toolkit/experiments/runs"
)

// validated is the record of a run that ended with these values.
func validated(accuracy, loss, test float64) *runs.Record {
	return &runs.Record{Status: runs.Complete, Points: []runs.Point{{Values: map[string]runs.Number{
		"validation_accuracy": runs.Number(accuracy), "validation_loss": runs.Number(loss),
		"test_accuracy": runs.Number(test)}}}}
}

func TestTuningChoosesByValidation(t *testing.T) {
	cfg := scarceDataConfig(experiment.Smoke)
	cfg.GC = []float64{1, 2, 3}
	seeds := []int64{0, 1, 2}
	diverged := validated(0.99, 0.01, 0.99)
	diverged.Status = runs.Diverged
	// For each seed the records of the three strengths.
	table := [][]*runs.Record{
		{validated(0.5, 1, 0.9), validated(0.7, 1, 0.6), validated(0.6, 1, 0.8)},
		{validated(0.5, 0.3, 0.1), validated(0.5, 0.2, 0.2), validated(0.5, 0.4, 0.3)},
		{diverged, validated(0.2, 1, 0.4), validated(0.1, 1, 0.5)},
	}
	var records evidence.Records
	for i, cell := range cfg.cells("relu", 20, cfg.gcMethod(), seeds) {
		for seed, run := range cell.Runs {
			if err := records.Add(run, table[seed][i]); err != nil {
				t.Fatal(err)
			}
		}
	}
	got := cfg.tune("relu", 20, cfg.gcMethod(), seeds, &records)
	if want := []float64{2, 2, 2}; !slices.Equal(got.chosen, want) {
		t.Errorf("strengths %v, want %v", got.chosen, want)
	}
	if want := []float64{0.6, 0.2, 0.4}; !slices.Equal(got.values("test_accuracy"), want) {
		t.Errorf("test accuracies %v, want %v", got.values("test_accuracy"), want)
	}
	if text := got.chosenText(); text != "2 (3)" {
		t.Errorf("text %q", text)
	}
}

func TestScarceDataIsFair(t *testing.T) {
	cfg := scarceDataConfig(experiment.Desk)
	if err := cfg.Validate(); err != nil {
		t.Fatal(err)
	}
	// Every method has the same number of runs, and all differ.
	all := make(map[string]bool)
	for _, m := range cfg.methods() {
		cells := cfg.cells("relu", 100, m, []int64{0})
		if len(cells) != len(cfg.GC) {
			t.Errorf("%s has %d settings, want %d", m.name, len(cells), len(cfg.GC))
		}
		for _, c := range cells {
			key, err := c.Runs[0].Key()
			if err != nil || all[key] {
				t.Errorf("%s: repeated, or %v", c.Label, err)
			}
			all[key] = true
		}
	}
	for name, change := range map[string]func(*ScarceDataConfig){
		"fewer trials":       func(c *ScarceDataConfig) { c.L2 = c.L2[1:] },
		"strength 0":         func(c *ScarceDataConfig) { c.Dropout = []float64{0, 0.1, 0.2, 0.3} },
		"training images":    func(c *ScarceDataConfig) { c.Train = 100 },
		"no validation":      func(c *ScarceDataConfig) { c.Validation = 0 },
		"sizes fall":         func(c *ScarceDataConfig) { c.Sizes = []int{100, 50} },
		"no activation":      func(c *ScarceDataConfig) { c.Activations = nil },
		"dropout of all":     func(c *ScarceDataConfig) { c.Dropout = []float64{0.1, 0.2, 0.3, 1} },
		"unknown activation": func(c *ScarceDataConfig) { c.Activations = []string{"rellu"} },
	} {
		cfg := scarceDataConfig(experiment.Desk)
		change(&cfg)
		if err := cfg.Validate(); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
