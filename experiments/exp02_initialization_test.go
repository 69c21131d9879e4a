package experiments

import (
	"math"
	"reflect"
	"strings"
	"testing"

	"github.com/geometric-complexity/toolkit/experiments/evidence"
	"github.com/geometric-complexity/toolkit/experiments/experiment"
	"github.com/geometric-complexity/toolkit/experiments/runs"
	"github.com/geometric-complexity/toolkit/experiments/training"
	"github.com/geometric-complexity/toolkit/internal/settings"
	"github.com/geometric-complexity/toolkit/layers"
)

func TestReportOfInitialization(t *testing.T) {
	cfg := Initialization.Config(experiment.Smoke)
	seeds := sixSeeds
	// ratio gives a network's GC over the formula.
	report := func(ratio func(depth int, seed int64) float64) map[string]evidence.Verdict {
		all, err := Initialization.Plan(&cfg, seeds)
		if err != nil {
			t.Fatal(err)
		}
		records := &evidence.Records{}
		for _, run := range all {
			task := run.Task.(*training.Initial)
			init, err := layers.ParseInitialization(task.Network.Initialization)
			if err != nil {
				t.Fatal(err)
			}
			depth := task.Network.HiddenLayers
			gc := ratio(depth, run.Seed) * training.ExpectedGC(cfg.Inputs, cfg.Outputs, cfg.Width, depth, init.Variance)
			values := make([]runs.Number, cfg.Points)
			record := &runs.Record{Seed: run.Seed, Status: runs.Complete, Points: []runs.Point{{
				Values: map[string]runs.Number{"gc": runs.Number(gc)},
				Arrays: map[string][]runs.Number{"max_abs": values, "mean": values}}}}
			if err := records.Add(run, record); err != nil {
				t.Fatal(err)
			}
		}
		findings, err := Initialization.Report(cfg, seeds, records)
		if err != nil {
			t.Fatal(err)
		}
		return verdictsOf(findings)
	}
	verdicts := func(falls, he, formula evidence.Verdict) map[string]evidence.Verdict {
		return map[string]evidence.Verdict{"standard-falls": falls, "glorot-falls": falls, "lecun-falls": falls,
			"he-stays": he, "follows-formula": formula}
	}
	for _, tc := range []struct {
		name  string
		ratio func(depth int, seed int64) float64
		want  map[string]evidence.Verdict
	}{
		{"as the formula says", func(_ int, seed int64) float64 { return 1 + 0.01*float64(seed) },
			verdicts(evidence.Holds, evidence.Holds, evidence.Holds)},
		{"rising with depth", func(depth int, seed int64) float64 { return math.Pow(3+0.01*float64(seed), float64(depth)) },
			verdicts(evidence.DoesNotHold, evidence.DoesNotHold, evidence.DoesNotHold)},
		{"a factor 2 off", func(_ int, seed int64) float64 { return 2 + 0.01*float64(seed) },
			verdicts(evidence.Holds, evidence.Holds, evidence.DoesNotHold)},
		{"scattered", func(_ int, seed int64) float64 { return 0.2 + 0.9*float64(seed) },
			verdicts(evidence.Holds, evidence.Holds, evidence.Undecided)},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := report(tc.ratio); !reflect.DeepEqual(got, tc.want) {
				t.Errorf("verdicts %v; want %v", got, tc.want)
			}
		})
	}
}

func TestInitializationConfigRefuses(t *testing.T) {
	for assignment, want := range map[string]string{
		"depths=1": "at least 2", "depths=0,1": "from 1 on", "depths=1,4,2": "2 does not rise from 4",
		"points=7": "7 is not an even number", "width=0": "a width of 0",
	} {
		cfg := Initialization.Config(experiment.Smoke)
		if err := settings.Set(&cfg, assignment); err != nil {
			t.Fatal(err)
		}
		if err := cfg.Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v; want %q", assignment, err, want)
		}
	}
}
