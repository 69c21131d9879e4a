package experiments

import (
	"errors"
	"fmt"
	"math"

	"example.com/geometric-complexity/experiments/evidence"
	"example.com/geometric-complexity/experiments/experiment"
	"example.com/geometric-complexity/experiments/runs"
	"example.com/geometric-complexity/experiments/training"
	"example.com/geometric-complexity/internal/plots"
)

// NoiseConfig configures experiment 04. Both sweeps rise from 0.
type NoiseConfig struct {
	training.ImageTraining
	// LabelNoise are the probabilities that a label is replaced by a random class, drawn anew at
	// every step.
	LabelNoise []float64 `json:"label_noise"`
	// InputNoise are the standard deviations of the noise on the pixels, which are in [0, 1]. It is
	// drawn anew at every step. The theory is about the squared error, so these runs train with it.
	InputNoise []float64 `json:"input_noise"`
	// SquaredErrorRate is the learning rate for the squared error.
	SquaredErrorRate float64 `json:"squared_error_rate"`
	// GapSigmas are the standard deviations, rising, of input noise whose effect on the squared
	// error is measured in networks that were trained without noise.
	GapSigmas []float64 `json:"gap_sigmas"`
}

// Validate returns an error for values that make no sense.
func (c *NoiseConfig) Validate() error {
	if err := errors.Join(evidence.FromZero("label_noise", c.LabelNoise), evidence.FromZero("input_noise", c.InputNoise),
		evidence.Rising("gap_sigmas", c.GapSigmas)); err != nil {
		return err
	}
	if !(c.GapSigmas[0] > 0) || !(c.SquaredErrorRate > 0) {
		return fmt.Errorf("gap_sigmas from %g and squared_error_rate %g: they must be positive", c.GapSigmas[0],
			c.SquaredErrorRate)
	}
	return c.ValidateTraining()
}

// At the smallest deviation the gap of the loss over σ²·GC must lie between these limits, which
// were set before the first run. Noise that small rarely crosses a kink of the network.
const gapLow, gapHigh = 0.95, 1.05

var (
	claimLabelNoise = evidence.ClaimText{ID: "label-noise-lowers-gc", Text: "label noise lowers GC"}
	claimInputNoise = evidence.ClaimText{ID: "input-noise-lowers-gc", Text: "input noise lowers GC"}
	claimTikhonov   = evidence.ClaimText{ID: "input-noise-is-gc",
		Text: "input noise of variance σ² adds σ²·GC to the squared error"}
)

// Noise is experiment 04, the noise of the paper's Section 4: label noise, and
// input noise as Tikhonov regularization of the squared error.
var Noise = &experiment.Definition[NoiseConfig]{
	About: experiment.Info{Number: "04", Name: "noise", Title: "Label noise and input noise", Paper: "Section 4",
		Claims: []evidence.ClaimText{claimLabelNoise, claimInputNoise, claimTikhonov},
		Scales: map[experiment.Scale]string{
			experiment.Smoke:  "500 images, MLP of 2 hidden layers of 16 units, 60 steps, 2 noises of each kind, 3 seeds",
			experiment.Laptop: "5,000 images, MLP of 2 hidden layers of 128 units, 2,000 steps, 4 noises of each kind, 5 seeds",
			experiment.Desk:   "MNIST, MLP of 2 hidden layers of 256 units, 5,000 steps, 4 noises of each kind, 10 seeds",
			experiment.Paper:  "CIFAR-10, ResNet18 of 64 channels, 20,000 steps, 4 noises of each kind, 5 seeds",
		}},
	Config: noiseConfig,
	Seeds:  seedsPerScale(3, 5, 10, 5),
	Design: designNoise,
	Report: reportNoise,
}

func noiseConfig(scale experiment.Scale) NoiseConfig {
	cfg := NoiseConfig{ImageTraining: paperResNet(), LabelNoise: []float64{0, 0.1, 0.2, 0.4},
		InputNoise:       []float64{0, 0.1, 0.2, 0.4},
		SquaredErrorRate: 0.01, GapSigmas: []float64{0.01, 0.03, 0.1, 0.3}}
	switch scale {
	case experiment.Desk:
		cfg.ImageTraining = deskMLP()
	case experiment.Laptop:
		// An MLP trains fast enough for more seeds.
		cfg.ImageTraining = laptopMLP()
	case experiment.Smoke:
		cfg.ImageTraining, cfg.LabelNoise, cfg.InputNoise = smokeMLP(), []float64{0, 0.4}, []float64{0, 0.4}
	}
	return cfg
}

func noiseLabel(kind string) func(float64) string {
	return func(v float64) string { return fmt.Sprintf("%s noise %g", kind, v) }
}

// labelAxis sweeps the label noise.
func (c NoiseConfig) labelAxis(seeds []int64) evidence.Axis {
	return evidence.NewAxis("label noise", c.LabelNoise, seeds, noiseLabel("label"), func(p float64) *training.Train {
		task := c.Task()
		task.LabelNoise = p
		return task
	})
}

// inputAxis sweeps the input noise.
func (c NoiseConfig) inputAxis(seeds []int64) evidence.Axis {
	return evidence.NewAxis("input noise σ", c.InputNoise, seeds, noiseLabel("input"),
		func(sigma float64) *training.Train {
			task := c.Task()
			task.InputNoise, task.SquaredError, task.LearningRate, task.NoiseGap = sigma, true, c.SquaredErrorRate, c.GapSigmas
			return task
		})
}

func designNoise(cfg NoiseConfig, seeds []int64) evidence.Design {
	return evidence.Design{Axes: []evidence.Axis{cfg.labelAxis(seeds), cfg.inputAxis(seeds)}}
}

// gapRatio is what noise with the i-th deviation adds to the squared error, over σ²·GC, at the end
// of training. The names are those of training.Train's NoiseGap.
func gapRatio(name string, sigmas []float64, i int) evidence.Quantity {
	return func(r *runs.Record) float64 {
		gaps := r.Final().Arrays[name]
		if r.Status != runs.Complete || len(gaps) != len(sigmas) {
			return math.NaN()
		}
		return float64(gaps[i]) / (sigmas[i] * sigmas[i] * r.FinalValue("train_gc"))
	}
}

func reportNoise(cfg NoiseConfig, seeds []int64, records *evidence.Records) (evidence.Findings, error) {
	label, input := records.Along(cfg.labelAxis(seeds)), records.Along(cfg.inputAxis(seeds))
	clean := input.Records[0] // The noise rises from 0.
	note := "against labels, and with the clean outputs in their place:"
	for i, sigma := range cfg.GapSigmas {
		note += fmt.Sprintf(" %s and %s (σ %g)", evidence.MeanAndDeviation(clean, gapRatio("noise_gap", cfg.GapSigmas, i)),
			evidence.MeanAndDeviation(clean, gapRatio("noise_gap_outputs", cfg.GapSigmas, i)), sigma)
	}
	var smallest []float64
	for _, r := range clean {
		smallest = append(smallest, gapRatio("noise_gap", cfg.GapSigmas, 0)(r))
	}
	caption := fmt.Sprintf("%s At the last step, but where it says best step: that of the best test accuracy. %s.",
		evidence.BandCaption(len(seeds)), cfg.Describe())
	return evidence.Findings{
		Claims: []evidence.Claim{
			label.GCTrend(claimLabelNoise, "train_gc", evidence.Falls),
			input.GCTrend(claimInputNoise, "train_gc", evidence.Falls),
			evidence.RatioClaim(claimTikhonov, fmt.Sprintf("gap of the squared error at σ = %g / σ²·GC", cfg.GapSigmas[0]),
				smallest, evidence.Between(gapLow, gapHigh), note),
		},
		Tables: []evidence.Table{label.Table("Label noise in training"), input.Table("Input noise in training")},
		Figures: []evidence.NamedFigure{
			{Name: "noise", Figure: plots.Figure{Title: "Noise and geometric complexity",
				Caption: caption + fmt.Sprintf(" Input noise: the loss is the squared error, the rate %g.", cfg.SquaredErrorRate),
				Columns: 3, Panels: []plots.Panel{
					label.GCPanel("label noise"), input.GCPanel("input noise"), gapPanel(cfg, clean),
					label.AccuracyPanel("label noise"), input.AccuracyPanel("input noise")}}},
			{Name: "training-label-noise", Figure: label.Training("Training with label noise", cfg.Describe()+".")},
			{Name: "training-input-noise", Figure: squaredErrorLabels(input.Training("Training with input noise",
				cfg.Describe()+", but the squared error as the loss."))},
		}}, nil
}

// squaredErrorLabels names the loss of these runs, which is not the cross-entropy.
func squaredErrorLabels(f plots.Figure) plots.Figure {
	f.Panels[1].YLabel = "squared error"
	return f
}

// gapPanel draws the effect of noise on the squared error in units of σ²·GC.
func gapPanel(cfg NoiseConfig, clean []*runs.Record) plots.Panel {
	p := plots.Panel{Title: "trained without noise, squared error", XLabel: "input noise σ",
		YLabel: "growth of the error / (σ²·GC)", LogX: true}
	for _, kind := range []evidence.Column{{Title: "against labels", Name: "noise_gap"},
		{Title: "against clean outputs", Name: "noise_gap_outputs"}} {
		rows := make([][]float64, len(clean))
		for i := range cfg.GapSigmas {
			for j, r := range clean {
				rows[j] = append(rows[j], gapRatio(kind.Name, cfg.GapSigmas, i)(r))
			}
		}
		measured := evidence.BandOf(kind.Title, cfg.GapSigmas, rows)
		measured.Points = true
		p.Series = append(p.Series, measured)
	}
	p.Series = append(p.Series, plots.Series{Name: "Tikhonov", X: cfg.GapSigmas,
		Y: evidence.Constant(1, len(cfg.GapSigmas)), Dashed: true, Reference: true})
	return p
}
