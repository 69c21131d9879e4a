package experiments

import (
	"errors"
	"fmt"
	"math"

	"example.com/geometric-complexity/internal/plots"
)

// NoiseConfig configures experiment 04. Both sweeps rise from 0.
type NoiseConfig struct {
	ImageTraining
	// LabelNoise are the probabilities with which a label is replaced by a random
	// class, anew at every step.
	LabelNoise []float64 `json:"label_noise"`
	// InputNoise are the standard deviations of the noise on the pixels, which are
	// in [0, 1], anew at every step. The theory is of the squared error, and so is
	// the loss of these runs.
	InputNoise []float64 `json:"input_noise"`
	// SquaredErrorRate is the learning rate for the squared error.
	SquaredErrorRate float64 `json:"squared_error_rate"`
	// GapSigmas are the deviations, rising, at which the effect of noise on the
	// squared error of the networks trained without noise is measured.
	GapSigmas []float64 `json:"gap_sigmas"`
}

// Validate returns an error for values that make no sense.
func (c *NoiseConfig) Validate() error {
	if err := errors.Join(fromZero("label_noise", c.LabelNoise), fromZero("input_noise", c.InputNoise), rising("gap_sigmas", c.GapSigmas)); err != nil {
		return err
	}
	if !(c.GapSigmas[0] > 0) || !(c.SquaredErrorRate > 0) {
		return fmt.Errorf("gap_sigmas from %g and squared_error_rate %g: they must be positive", c.GapSigmas[0], c.SquaredErrorRate)
	}
	return c.validate()
}

// The loss gap at the smallest deviation counts as σ²·GC within these, set before
// the first run: noise so small rarely crosses a kink of the network.
const gapLow, gapHigh = 0.95, 1.05

var (
	claimLabelNoise = ClaimText{"label-noise-lowers-gc", "label noise lowers GC"}
	claimInputNoise = ClaimText{"input-noise-lowers-gc", "input noise lowers GC"}
	claimTikhonov   = ClaimText{"input-noise-is-gc", "input noise of variance σ² adds σ²·GC to the squared error"}
)

// Noise is experiment 04, the noise of the paper's Section 4: label noise, and
// input noise as Tikhonov regularization of the squared error.
var Noise = &Definition[NoiseConfig]{
	About: Info{Number: "04", Name: "noise", Title: "Label noise and input noise", Paper: "Section 4",
		Claims: []ClaimText{claimLabelNoise, claimInputNoise, claimTikhonov},
		Scales: map[Scale]string{
			Smoke:  "500 images, MLP of 2 hidden layers of 16 units, 60 steps, 2 noises of each kind, 3 seeds",
			Laptop: "5,000 images, MLP of 2 hidden layers of 128 units, 2,000 steps, 4 noises of each kind, 5 seeds",
			Paper:  "CIFAR-10, ResNet18 of 64 channels, 20,000 steps, 4 noises of each kind, 5 seeds",
		}},
	Config: noiseConfig,
	Seeds:  func(s Scale) []int64 { return firstSeeds(map[Scale]int{Smoke: 3, Laptop: 5, Paper: 5}[s]) },
	List:   listNoise,
	Report: reportNoise,
}

func noiseConfig(scale Scale) NoiseConfig {
	cfg := NoiseConfig{ImageTraining: paperResNet(), LabelNoise: []float64{0, 0.1, 0.2, 0.4}, InputNoise: []float64{0, 0.1, 0.2, 0.4},
		SquaredErrorRate: 0.01, GapSigmas: []float64{0.01, 0.03, 0.1, 0.3}}
	switch scale {
	case Laptop:
		// Of an MLP, which affords more seeds.
		cfg.ImageTraining = laptopMLP()
	case Smoke:
		cfg.ImageTraining, cfg.LabelNoise, cfg.InputNoise = smokeMLP(), []float64{0, 0.4}, []float64{0, 0.4}
	}
	return cfg
}

func noiseLabel(kind string) func(float64) string {
	return func(v float64) string { return fmt.Sprintf("%s noise %g", kind, v) }
}

func listNoise(cfg NoiseConfig, seeds []int64) ([]Run, error) {
	var runs []Run
	add := func(kind string, values []float64, set func(*Train, float64)) {
		for _, v := range values {
			for _, seed := range seeds {
				task := cfg.task()
				set(task, v)
				runs = append(runs, Run{Label: noiseLabel(kind)(v), Seed: seed, Task: task})
			}
		}
	}
	add("label", cfg.LabelNoise, func(t *Train, v float64) { t.LabelNoise = v })
	add("input", cfg.InputNoise, func(t *Train, v float64) {
		t.InputNoise, t.SquaredError, t.LearningRate, t.NoiseGap = v, true, cfg.SquaredErrorRate, cfg.GapSigmas
	})
	return runs, nil
}

// gapRatio is the effect of noise of the i-th deviation on the squared error over
// σ²·GC, at the end. See noiseGap for the names.
func gapRatio(name string, sigmas []float64, i int) quantity {
	return func(r *Record) float64 {
		gaps := r.Final().Arrays[name]
		if r.Status != Complete || len(gaps) != len(sigmas) {
			return math.NaN()
		}
		return float64(gaps[i]) / (sigmas[i] * sigmas[i] * r.FinalValue("train_gc"))
	}
}

func reportNoise(cfg NoiseConfig, seeds []int64, done []Done) (Findings, error) {
	label := axis{"label noise", cfg.LabelNoise, labelled(cfg.LabelNoise, noiseLabel("label")), done, seeds}
	input := axis{"input noise σ", cfg.InputNoise, labelled(cfg.InputNoise, noiseLabel("input")), done, seeds}
	clean := pick(done, noiseLabel("input")(0), seeds)
	note := "against labels, and with the clean outputs in their place:"
	for i, sigma := range cfg.GapSigmas {
		note += fmt.Sprintf(" %s and %s (σ %g)", meanAndDeviation(clean, gapRatio("noise_gap", cfg.GapSigmas, i)),
			meanAndDeviation(clean, gapRatio("noise_gap_outputs", cfg.GapSigmas, i)), sigma)
	}
	var smallest []float64
	for _, r := range clean {
		smallest = append(smallest, gapRatio("noise_gap", cfg.GapSigmas, 0)(r))
	}
	most := len(cfg.LabelNoise) - 1
	change := label.difference(atEnd("train_gc"), 0, []int{most})
	labelClaim := label.trendOf(claimLabelNoise, "GC", "train_gc", below(0))
	labelClaim.Evidence += fmt.Sprintf("; GC changes by %+.3g, t interval %s, from none to %g", change.Mean, change.T, cfg.LabelNoise[most])
	caption := fmt.Sprintf("%s At the last step, but where it says best step: that of the best test accuracy. %s.", bandCaption(len(seeds)), cfg.describe())
	return Findings{
		Claims: []Claim{
			labelClaim,
			input.trendOf(claimInputNoise, "GC", "train_gc", below(0)),
			ratioClaim(claimTikhonov, fmt.Sprintf("gap of the squared error at σ = %g / σ²·GC", cfg.GapSigmas[0]), smallest, between(gapLow, gapHigh), note),
		},
		Tables: []Table{label.table("Label noise in training"), input.table("Input noise in training")},
		Figures: []NamedFigure{
			{"noise", plots.Figure{Title: "Noise and geometric complexity", Caption: caption + fmt.Sprintf(" Input noise: the loss is the squared error, the rate %g.", cfg.SquaredErrorRate), Columns: 3, Panels: []plots.Panel{
				label.gcPanel("label noise"), input.gcPanel("input noise"), gapPanel(cfg, clean),
				label.accuracyPanel("label noise"), input.accuracyPanel("input noise")}}},
			{"training-label-noise", label.training("Training with label noise", cfg.describe()+".")},
			{"training-input-noise", squaredErrorLabels(input.training("Training with input noise", cfg.describe()+", but the squared error as the loss."))},
		}}, nil
}

// squaredErrorLabels says what the loss is, where it is no cross-entropy.
func squaredErrorLabels(f plots.Figure) plots.Figure {
	f.Panels[1].YLabel = "squared error"
	return f
}

// gapPanel draws the effect of noise on the squared error in units of σ²·GC.
func gapPanel(cfg NoiseConfig, clean []*Record) plots.Panel {
	p := plots.Panel{Title: "trained without noise, squared error", XLabel: "input noise σ", YLabel: "growth of the error / (σ²·GC)", LogX: true}
	for _, kind := range []column{{"against labels", "noise_gap"}, {"against clean outputs", "noise_gap_outputs"}} {
		rows := make([][]float64, len(clean))
		for i := range cfg.GapSigmas {
			for j, r := range clean {
				rows[j] = append(rows[j], gapRatio(kind.name, cfg.GapSigmas, i)(r))
			}
		}
		measured := bandOf(kind.title, cfg.GapSigmas, rows)
		measured.Points = true
		p.Series = append(p.Series, measured)
	}
	p.Series = append(p.Series, plots.Series{Name: "Tikhonov", X: cfg.GapSigmas, Y: constant(1, len(cfg.GapSigmas)), Dashed: true, Reference: true})
	return p
}
