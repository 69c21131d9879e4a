package experiments

import (
	"math"
	"testing"

	"github.com/geometric-complexity/toolkit/experiments/evidence"
	"github.com/geometric-complexity/toolkit/experiments/experiment"
	"github.com/geometric-complexity/toolkit/experiments/runs"
	"github.com/geometric-complexity/toolkit/experiments/training"
	"github.com/geometric-complexity/toolkit/internal/gctest"
)

// alongRun is a run with a point for each row of values.
func alongRun(names []string, rows ...[]float64) *runs.Record {
	r := &runs.Record{Status: runs.Complete}
	for i, row := range rows {
		p := runs.Point{Step: int64(i), Values: make(map[string]runs.Number)}
		for k, name := range names {
			p.Values[name] = runs.Number(row[k])
		}
		r.Points = append(r.Points, p)
	}
	return r
}

// TestExponentAlong: runs with y = c·x², each with its own c, give 2 whatever the constants; one
// slope through all their points would not.
func TestExponentAlong(t *testing.T) {
	names := []string{"x", "y"}
	records := []*runs.Record{
		alongRun(names, []float64{1, 5}, []float64{2, 20}, []float64{4, 80}, []float64{0, 1}),
		alongRun(names, []float64{10, 1}, []float64{20, 4}),
		alongRun(names, []float64{7, 7}),
	}
	gctest.AssertClose(t, []float64{exponentAlong("x", "y")(records)}, []float64{2}, 1e-12, 0, "exponent")
}

// TestGrowthOf: the ratio grows from 1/2 to 2, and from 3 to 3: by 4 and by 1, in the mean by 2.
func TestGrowthOf(t *testing.T) {
	names := []string{"a", "b"}
	records := []*runs.Record{
		alongRun(names, []float64{1, 2}, []float64{100, 1}, []float64{8, 4}),
		alongRun(names, []float64{3, 1}, []float64{9, 3}),
		alongRun(names, []float64{0, 1}, []float64{9, 3}),
	}
	gctest.AssertClose(t, []float64{growthOf("a", "b")(records)}, []float64{2}, 1e-12, 0, "growth")
	gctest.AssertClose(t, []float64{largestOf("a")(records)}, []float64{100}, 1e-12, 0, "largest value")
}

// TestReportOfLipschitz gives the report networks that fit from a width on, and norms with a peak.
func TestReportOfLipschitz(t *testing.T) {
	cfg := Lipschitz.Config(experiment.Smoke)
	cfg.Widths, cfg.ResNet.Widths = []int{1, 2, 4, 8, 16}, []int{1, 2, 4, 8, 16} // One formula serves both networks.
	seeds := sixSeeds
	verdicts := func(peakAt, exponent, start float64) map[string]evidence.Verdict {
		records := invented(t, Lipschitz, &cfg, seeds, func(run runs.Run) map[string]runs.Number {
			width := float64(run.Task.(*training.Train).Network.Width)
			noise := 1 + 1e-3*float64(run.Seed)
			root := noise * (2 + 8/(1+math.Abs(math.Log2(width/peakAt))))
			lipschitz := 0.5 * math.Pow(root, exponent) * math.Pow(noise, 0.1)
			accuracy := 0.5
			if width >= 4 {
				accuracy = 1
			}
			return map[string]runs.Number{"train_loss": runs.Number(1 / width), "test_loss": 1, "test_accuracy": 0.5,
				"train_accuracy": runs.Number(accuracy), "train_gc": runs.Number(root * root), "root_gc": runs.Number(root),
				"lipschitz": runs.Number(lipschitz), "lipschitz_max": runs.Number(3 * lipschitz), "stable_rank": 2,
				"lipschitz_bound_ratio": 0.9}
		})
		// The first point, where √GC is start and the largest σ₁ twice the mean one.
		all, err := Lipschitz.Plan(&cfg, seeds)
		if err != nil {
			t.Fatal(err)
		}
		for _, run := range all {
			r := records.Of(evidence.Cell{Label: run.Label, Runs: []runs.Run{run}})[0]
			r.Points[0].Values = map[string]runs.Number{"train_loss": 3, "root_gc": runs.Number(start), "lipschitz": 0.5,
				"lipschitz_max": 1, "lipschitz_bound_ratio": 0.9}
		}
		findings, err := Lipschitz.Report(cfg, seeds, records)
		if err != nil {
			t.Fatal(err)
		}
		return verdictsOf(findings)
	}
	const holds, not = evidence.Holds, evidence.DoesNotHold
	for _, tc := range []struct {
		name                    string
		peakAt, exponent, start float64
		want                    map[string]evidence.Verdict
	}{
		{"proportional, peaks at the threshold", 4, 1, 1.1, map[string]evidence.Verdict{"lipschitz-peaks": holds,
			"gc-peaks": holds, "lipschitz-threshold": holds, "gc-threshold": holds, "follows-width": holds,
			"follows-training": holds, "directions-training": holds, "examples-training": holds, "bounds": holds}},
		{"the root of √GC", 4, 0.5, 1, map[string]evidence.Verdict{"lipschitz-peaks": holds, "follows-width": not,
			"follows-training": not, "directions-training": not}},
		{"no peak", 16, 1, 1.1, map[string]evidence.Verdict{"lipschitz-peaks": not, "gc-peaks": not,
			"lipschitz-threshold": evidence.Undecided, "gc-threshold": evidence.Undecided, "follows-width": holds}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got := verdicts(tc.peakAt, tc.exponent, tc.start)
			for id, want := range tc.want {
				for _, network := range []string{"", "-resnet"} {
					if got[id+network] != want {
						t.Errorf("%s: %q; want %q", id+network, got[id+network], want)
					}
				}
			}
		})
	}
}

func TestThreshold(t *testing.T) {
	for _, tc := range []struct {
		accuracies []float64
		want       int
	}{{[]float64{0.5, math.NaN(), 0.99, 0.9}, 2}, {[]float64{0.5, 0.98}, -1}} {
		if got := threshold(tc.accuracies); got != tc.want {
			t.Errorf("threshold of %v at %d; want %d", tc.accuracies, got, tc.want)
		}
	}
}
