package experiments

import (
	"testing"

	"github.com/geometric-complexity/toolkit/experiments/evidence"
	"github.com/geometric-complexity/toolkit/experiments/experiment"
	"github.com/geometric-complexity/toolkit/experiments/runs"
	"github.com/geometric-complexity/toolkit/experiments/training"
)

// TestReportOfMarginBound gives the report runs whose excess risk, GC and margins are formulas of
// the step and of the fraction of random labels.
func TestReportOfMarginBound(t *testing.T) {
	cfg := MarginBound.Config(experiment.Smoke)
	cfg.LabelNoise = []float64{0, 0.3, 0.6, 0.9}
	cfg.ResNet.LabelNoise = cfg.LabelNoise // One formula serves both networks.
	seeds := sixSeeds
	// growth is by how much GC grows with the step and with the noise, scale what the bound is at
	// the last step.
	report := func(growth, scale float64) map[string]evidence.Claim {
		all, err := MarginBound.Plan(&cfg, seeds)
		if err != nil {
			t.Fatal(err)
		}
		records := &evidence.Records{}
		for _, run := range all {
			noise := run.Task.(*training.Train).Data.LabelNoise
			r := &runs.Record{Seed: run.Seed, Status: runs.Complete}
			for step := range 5 {
				at := float64(step) * (1 + noise) * (1 + 1e-3*float64(run.Seed))
				gc := 100 + growth*at
				values := map[string]runs.Number{"train_loss": runs.Number(2 - 0.4*float64(step)), "train_accuracy": 0.9,
					"test_accuracy": runs.Number(0.9 - 0.1*at), "train_gc": runs.Number(gc), "test_gc": runs.Number(gc),
					"excess_risk": runs.Number(0.1 * at), "margin": 2, "margin_bound": runs.Number(scale * (0.2 + 0.2*at))}
				if step > 0 { // The mean margin is not positive before.
					values["gc_over_margin"], values["root_gc_over_margin"] = runs.Number(gc/2), runs.Number(gc/4)
				}
				r.Points = append(r.Points, runs.Point{Step: int64(step), Values: values})
			}
			if err := records.Add(run, r); err != nil {
				t.Fatal(err)
			}
		}
		findings, err := MarginBound.Report(cfg, seeds, records)
		if err != nil {
			t.Fatal(err)
		}
		claims := make(map[string]evidence.Claim)
		for _, c := range findings.Claims {
			claims[c.ID] = c
		}
		return claims
	}
	const holds, not = evidence.Holds, evidence.DoesNotHold
	ids := []string{"gc-random-labels", "ratio-training", "root-ratio-training", "ratio-labels", "root-ratio-labels",
		"bound-holds", "bound-informative", "bound-training"}
	for _, tc := range []struct {
		name          string
		growth, scale float64
		want          []evidence.Verdict // of the ids
	}{
		{"GC grows with the excess risk, above a bound that says something", 10, 0.9,
			[]evidence.Verdict{holds, holds, holds, holds, holds, holds, holds, holds}},
		{"GC falls, the bound says nothing", -10, 10, []evidence.Verdict{not, not, not, not, not, holds, not, holds}},
		{"the test error exceeds the bound", 10, 0.1,
			[]evidence.Verdict{holds, holds, holds, holds, holds, not, holds, holds}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			claims := report(tc.growth, tc.scale)
			for i, id := range ids {
				for _, network := range []string{"", "-resnet"} {
					if got := claims[id+network].Verdict; got != tc.want[i] {
						t.Errorf("%s: %q; want %q (%s)", id+network, got, tc.want[i], claims[id+network].Evidence)
					}
				}
			}
		})
	}
	// At the last step the test error is 1 - 0.9 + 0.1·at = 0.1·(1 + at), half of a bound of scale
	// 1.
	for _, v := range report(10, 1)["bound-holds"].PerSeed {
		if float64(v) < 0.5-1e-9 || float64(v) > 0.5+1e-9 {
			t.Errorf("largest test error over its bound %g; want 0.5", float64(v))
		}
	}
}

func TestMarginBoundConfigErrors(t *testing.T) {
	for want, change := range map[string]func(*MarginBoundConfig){
		"label_noise: 1.5 is not a fraction": func(c *MarginBoundConfig) { c.LabelNoise = []float64{0, 1.5} },
		"resnet: label_noise: they must start with 0, and there must be another": func(c *MarginBoundConfig) {
			c.ResNet.LabelNoise = []float64{0.1, 0.9}
		},
	} {
		cfg := MarginBound.Config(experiment.Smoke)
		change(&cfg)
		if err := cfg.Validate(); err == nil || err.Error() != want {
			t.Errorf("error %v; want %q", err, want)
		}
	}
}
