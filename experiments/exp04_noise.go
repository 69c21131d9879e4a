package experiments

import (
	"errors"
	"fmt"
	"math"

	"github.com/geometric-complexity/toolkit/experiments/evidence"
	"github.com/geometric-complexity/toolkit/experiments/experiment"
	"github.com/geometric-complexity/toolkit/experiments/runs"
	"github.com/geometric-complexity/toolkit/experiments/training"
	"github.com/geometric-complexity/toolkit/internal/plots"
)

// NoisyTraining is one network of experiment 04 and its noises. Both sweeps rise from 0.
type NoisyTraining struct {
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

// NoiseConfig configures experiment 04: an MLP, and a ResNet.
type NoiseConfig struct {
	NoisyTraining
	ResNet NoisyTraining `json:"resnet"`
	// ResNetSeeds is the number of seeds for the ResNet, the first ones; 0 for all.
	ResNetSeeds int `json:"resnet_seeds"`
}

// Validate returns an error for values that make no sense.
func (c *NoiseConfig) Validate() error {
	return bothNetworks(c.validateNoise(), c.ResNet.validateNoise())
}

func (c NoisyTraining) validateNoise() error {
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

// noiseClaims are the claims on one network.
type noiseClaims struct{ label, input, tikhonov evidence.ClaimText }

func noiseClaimsFor(id, network string) noiseClaims {
	return noiseClaims{
		evidence.ClaimText{ID: "label-noise-lowers-gc" + id, Text: "label noise lowers GC (" + network + ")"},
		evidence.ClaimText{ID: "input-noise-lowers-gc" + id, Text: "input noise lowers GC (" + network + ")"},
		evidence.ClaimText{ID: "input-noise-is-gc" + id,
			Text: "input noise of variance σ² adds σ²·GC to the squared error (" + network + ")"},
	}
}

func (c noiseClaims) list() []evidence.ClaimText {
	return []evidence.ClaimText{c.label, c.input, c.tikhonov}
}

var noiseClaimsMLP, noiseClaimsResNet = noiseClaimsFor("", "MLP"), noiseClaimsFor("-resnet", "ResNet18")

// Noise is experiment 04, the noise of the paper's Section 4: label noise, and
// input noise as Tikhonov regularization of the squared error.
var Noise = &experiment.Definition[NoiseConfig]{
	About: experiment.Info{Number: "04", Name: "noise", Title: "Label noise and input noise", Paper: "Section 4",
		Question: "Do noisy labels and noisy inputs lower GC?",
		Claims:   append(noiseClaimsMLP.list(), noiseClaimsResNet.list()...),
		Scales: map[experiment.Scale]string{
			experiment.Smoke: "MLP: 500 images, 2 hidden layers of 16 units, 60 steps; ResNet18 of 1 channel, 6 steps; " +
				"2 noises of each kind, 3 seeds",
			experiment.Laptop: "MLP: 5,000 images, 2 hidden layers of 128 units, 2,000 steps, 4 noises of each kind, 5 seeds; " +
				"ResNet18 of 4 channels, 300 steps, 3 noises of each kind, 3 seeds",
			experiment.Desk: "MLP: MNIST, 2 hidden layers of 256 units, 5,000 steps, 4 noises of each kind, 10 seeds; " +
				"ResNet18 of 8 channels, 10,000 images of CIFAR-10, 2,500 steps, 4 noises of each kind, 5 seeds",
			experiment.Paper: "MLP: MNIST, 2 hidden layers of 256 units, 5,000 steps, 10 seeds; ResNet18 of 64 channels on " +
				"CIFAR-10, 20,000 steps, 5 seeds; 4 noises of each kind",
		}},
	Config: noiseConfig,
	Seeds:  seedsPerScale(3, 5, 10, 10),
	Design: designNoise,
	Report: reportNoise,
}

func noiseConfig(scale experiment.Scale) NoiseConfig {
	noises := func(t training.ImageTraining, values ...float64) NoisyTraining {
		return NoisyTraining{ImageTraining: t, LabelNoise: values, InputNoise: values, SquaredErrorRate: 0.01,
			GapSigmas: []float64{0.01, 0.03, 0.1, 0.3}}
	}
	switch scale {
	case experiment.Smoke:
		return NoiseConfig{NoisyTraining: noises(smokeMLP(), 0, 0.4), ResNet: noises(smokeResNet(), 0, 0.4)}
	case experiment.Laptop:
		return NoiseConfig{NoisyTraining: noises(laptopMLP(), 0, 0.1, 0.2, 0.4),
			ResNet: noises(laptopResNet(), 0, 0.2, 0.4), ResNetSeeds: 3}
	case experiment.Desk:
		return NoiseConfig{NoisyTraining: noises(deskMLP(), 0, 0.1, 0.2, 0.4),
			ResNet: noises(deskResNet(), 0, 0.1, 0.2, 0.4), ResNetSeeds: 5}
	}
	return NoiseConfig{NoisyTraining: noises(deskMLP(), 0, 0.1, 0.2, 0.4),
		ResNet: noises(paperResNet(), 0, 0.1, 0.2, 0.4), ResNetSeeds: 5}
}

// resNetSeeds are the seeds of the ResNet.
func (c NoiseConfig) resNetSeeds(seeds []int64) []int64 { return firstOf(seeds, c.ResNetSeeds) }

// noiseLabel names the runs with a noise of a kind; network tells the networks apart.
func noiseLabel(network, kind string) func(float64) string {
	return func(v float64) string { return fmt.Sprintf("%s%s noise %g", network, kind, v) }
}

const resNetLabel = "resnet18, "

// labelAxis sweeps the label noise.
func (c NoisyTraining) labelAxis(network string, seeds []int64) evidence.Axis {
	return evidence.NewAxis("label noise", c.LabelNoise, seeds, noiseLabel(network, "label"),
		func(p float64) *training.Train {
			task := c.Task()
			task.LabelNoise = p
			return task
		})
}

// inputAxis sweeps the input noise.
func (c NoisyTraining) inputAxis(network string, seeds []int64) evidence.Axis {
	return evidence.NewAxis("input noise σ", c.InputNoise, seeds, noiseLabel(network, "input"),
		func(sigma float64) *training.Train {
			task := c.Task()
			task.InputNoise, task.SquaredError, task.LearningRate, task.NoiseGap = sigma, true, c.SquaredErrorRate, c.GapSigmas
			return task
		})
}

func designNoise(cfg NoiseConfig, seeds []int64) evidence.Design {
	d := evidence.Design{Axes: []evidence.Axis{cfg.labelAxis("", seeds), cfg.inputAxis("", seeds),
		cfg.ResNet.labelAxis(resNetLabel, cfg.resNetSeeds(seeds)), cfg.ResNet.inputAxis(resNetLabel, cfg.resNetSeeds(seeds))}}
	for i, network := range []string{"MLP", "MLP", "ResNet18", "ResNet18"} {
		d.Axes[i].Group = network
	}
	return d
}

// gapRatio is the increase of the squared error by noise of the i-th deviation, over σ²·GC, at the
// end of training. The names are those of training.Train's NoiseGap.
func gapRatio(name string, sigmas []float64, i int) evidence.Quantity {
	return func(r *runs.Record) float64 {
		gaps := r.Final().Arrays[name]
		if r.Status != runs.Complete || len(gaps) != len(sigmas) {
			return math.NaN()
		}
		return float64(gaps[i]) / (sigmas[i] * sigmas[i] * r.FinalValue("noise_gap_gc"))
	}
}

func reportNoise(cfg NoiseConfig, seeds []int64, records *evidence.Records) (evidence.Findings, error) {
	f := cfg.findings(noiseClaimsMLP, "", "MLP", seeds, records)
	resNet := cfg.ResNet.findings(noiseClaimsResNet, resNetLabel, "ResNet18", cfg.resNetSeeds(seeds), records)
	f.Claims, f.Tables = append(f.Claims, resNet.Claims...), append(f.Tables, resNet.Tables...)
	for _, figure := range resNet.Figures {
		figure.Name += "-resnet"
		f.Figures = append(f.Figures, figure)
	}
	return f, nil
}

// findings are those on one network.
func (c NoisyTraining) findings(texts noiseClaims, label, network string, seeds []int64,
	records *evidence.Records) evidence.Findings {
	labels, inputs := records.Along(c.labelAxis(label, seeds)), records.Along(c.inputAxis(label, seeds))
	clean := inputs.Records[0] // The noise rises from 0.
	squared := c.ImageTraining
	squared.LearningRate = c.SquaredErrorRate
	caption := fmt.Sprintf("%s %s. Input noise: the loss is the squared error, the rate %g.",
		evidence.GCCaption(len(seeds)), c.Describe(),
		c.SquaredErrorRate)
	return evidence.Findings{
		Claims: []evidence.Claim{
			labels.GCTrend(texts.label, "train_gc", evidence.Falls),
			inputs.GCTrend(texts.input, "train_gc", evidence.Falls),
			c.tikhonovClaim(texts.tikhonov, clean),
		},
		Tables: []evidence.Table{labels.Table("Label noise in training: " + network),
			inputs.Table("Input noise in training: " + network)},
		Figures: []evidence.NamedFigure{
			{Name: "noise", Figure: plots.Figure{Title: "Noise and geometric complexity: " + network, Caption: caption,
				Columns: 3, Panels: []plots.Panel{
					labels.GCPanel("label noise"), inputs.GCPanel("input noise"), c.gapPanel(clean),
					labels.AccuracyPanel("label noise"), inputs.AccuracyPanel("input noise")}}},
			{Name: "training-label-noise", Figure: labels.Training("Training with label noise: "+network, c.Describe()+".")},
			{Name: "training-input-noise", Figure: squaredErrorLabels(inputs.Training("Training with input noise: "+network,
				squared.Describe()+", the squared error as the loss."))},
		}}
}

// tikhonovClaim compares what the smallest noise adds to the squared error with σ²·GC.
func (c NoisyTraining) tikhonovClaim(text evidence.ClaimText, clean []*runs.Record) evidence.Claim {
	note := "against labels, and with the clean outputs in their place:"
	for i, sigma := range c.GapSigmas {
		note += fmt.Sprintf(" %s and %s (σ %g)", evidence.MeanAndDeviation(clean, gapRatio("noise_gap", c.GapSigmas, i)),
			evidence.MeanAndDeviation(clean, gapRatio("noise_gap_outputs", c.GapSigmas, i)), sigma)
	}
	var smallest []float64
	for _, r := range clean {
		smallest = append(smallest, gapRatio("noise_gap", c.GapSigmas, 0)(r))
	}
	return evidence.RatioClaim(text, fmt.Sprintf("gap of the squared error at σ = %g / σ²·GC", c.GapSigmas[0]), smallest,
		evidence.Between(gapLow, gapHigh), note)
}

// squaredErrorLabels names the loss of these runs, which is not the cross-entropy.
func squaredErrorLabels(f plots.Figure) plots.Figure {
	f.Panels[1].YLabel = "squared error"
	return f
}

// gapPanel draws the effect of noise on the squared error in units of σ²·GC.
func (c NoisyTraining) gapPanel(clean []*runs.Record) plots.Panel {
	p := plots.Panel{Title: "trained without noise, squared error", XLabel: "input noise σ",
		YLabel: "growth of the error / (σ²·GC)", LogX: true}
	for _, kind := range []evidence.Column{{Title: "against labels", Name: "noise_gap"},
		{Title: "against clean outputs", Name: "noise_gap_outputs"}} {
		rows := make([][]float64, len(clean))
		for i := range c.GapSigmas {
			for j, r := range clean {
				rows[j] = append(rows[j], gapRatio(kind.Name, c.GapSigmas, i)(r))
			}
		}
		measured := evidence.BandOf(kind.Title, c.GapSigmas, rows)
		measured.Points = true
		p.Series = append(p.Series, measured)
	}
	p.Series = append(p.Series, plots.Series{Name: "Tikhonov", X: c.GapSigmas,
		Y: evidence.Constant(1, len(c.GapSigmas)), Dashed: true, Reference: true})
	return p
}
