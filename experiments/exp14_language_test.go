package experiments

import (
	"math"
	"reflect"
	"slices"
	"testing"

	"github.com/geometric-complexity/toolkit/experiments/evidence"
	"github.com/geometric-complexity/toolkit/experiments/experiment"
	"github.com/geometric-complexity/toolkit/experiments/runs"
	"github.com/geometric-complexity/toolkit/experiments/training"
)

func TestTuneChoosesByValidation(t *testing.T) {
	diverged := validated(0.99, 0.01, 0.99)
	diverged.Status = runs.Diverged
	none := []*runs.Record{validated(0.9, 0.1, 0.5), validated(0.9, 0.1, 0.5), validated(0.9, 0.1, 0.5)}
	s := evidence.Sweep{Axis: evidence.Axis{Name: "coefficient", Values: []float64{0, 0.1, 1}}, Records: [][]*runs.Record{
		none,
		{validated(0.5, 1, 0.6), validated(0.5, 0.3, 0.1), diverged},
		{validated(0.7, 1, 0.4), validated(0.5, 0.4, 0.7), validated(0.1, 3, 0.2)},
	}}
	got := tune(s)
	if want := []float64{1, 0.1, 1}; !slices.Equal(got.chosen, want) {
		t.Errorf("coefficients %v, want %v: the one of 0 is never chosen, nor a run that diverged", got.chosen, want)
	}
	d := got.difference(evidence.AtEnd("test_accuracy"))
	for i, want := range []float64{-0.1, -0.4, -0.3} {
		if math.Abs(d.PerSeed[i]-want) > 1e-12 {
			t.Errorf("differences %v, want -0.1, -0.4 and -0.3", d.PerSeed)
		}
	}
}

// TestReportOfLanguage invents runs in which the penalty does what the claims say, or the opposite.
func TestReportOfLanguage(t *testing.T) {
	cfg := languageConfig(experiment.Smoke)
	seeds := []int64{0, 1, 2}
	report := func(sign float64) map[string]evidence.Verdict {
		done := invented(t, Language, &cfg, seeds, func(run runs.Run) map[string]runs.Number {
			task := run.Task.(*training.Train)
			place := float64(slices.Index(cfg.Coefficients, task.Penalties[training.PenaltyGC]))
			noise := 1e-4 * float64(run.Seed) * (1 + place)
			gc := runs.Number(10 * math.Exp(-sign*place+noise))
			accuracy := runs.Number(0.6 + sign*0.1*place + noise)
			values := map[string]runs.Number{"train_loss": 1, "train_accuracy": 0.9, "test_accuracy": accuracy,
				"validation_accuracy": 0.5, "validation_loss": 1, "test_gc": gc, "test_relative_gc": gc,
				training.BlockGCName(1):       gc,
				"test_calibration_error":      runs.Number(0.3 - sign*0.1*place + noise),
				training.NoisyAccuracyName(1): accuracy - runs.Number(0.4-sign*0.1*place+noise),
				training.NoisyAccuracyName(2): 0.2}
			if task.Data.LabelNoise > 0 {
				values["memorized"] = runs.Number(0.5 - sign*0.1*place + noise)
			}
			return values
		})
		findings, err := Language.Report(cfg, seeds, done)
		if err != nil {
			t.Fatal(err)
		}
		return verdictsOf(findings)
	}
	for sign, want := range map[float64]evidence.Verdict{1: evidence.Holds, -1: evidence.DoesNotHold} {
		all := make(map[string]evidence.Verdict)
		for _, claim := range Language.About.Claims {
			all[claim.ID] = want
		}
		if got := report(sign); !reflect.DeepEqual(got, all) {
			t.Errorf("verdicts %v, want all %s", got, want)
		}
	}
}

func TestWrongLanguageConfigs(t *testing.T) {
	for name, change := range map[string]func(*LanguageConfig){
		"no coefficient 0":  func(c *LanguageConfig) { c.Coefficients = c.Coefficients[1:] },
		"no label noise 0":  func(c *LanguageConfig) { c.LabelNoise = []float64{0.2, 0.4} },
		"all labels wrong":  func(c *LanguageConfig) { c.LabelNoise = []float64{0, 1} },
		"noise falls":       func(c *LanguageConfig) { c.EmbeddingNoise = []float64{2, 1} },
		"noise not claimed": func(c *LanguageConfig) { c.ClaimedNoise = 3 },
		"no validation":     func(c *LanguageConfig) { c.Validation = 0 },
		"uneven heads":      func(c *LanguageConfig) { c.Heads = 5 },
		"no steps":          func(c *LanguageConfig) { c.Steps = 0 },
	} {
		cfg := languageConfig(experiment.Desk)
		change(&cfg)
		if err := cfg.Validate(); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
