package experiments

import (
	"fmt"
	"math"

	"github.com/geometric-complexity/toolkit/experiments/evidence"
	"github.com/geometric-complexity/toolkit/experiments/experiment"
	"github.com/geometric-complexity/toolkit/experiments/runs"
	"github.com/geometric-complexity/toolkit/experiments/training"
	"github.com/geometric-complexity/toolkit/internal/plots"
	"github.com/geometric-complexity/toolkit/internal/stats"
)

// LabelTraining is one kind of network of experiment 11, and how many of its labels are wrong.
type LabelTraining struct {
	training.ImageTraining
	// LabelNoise are the fractions of the training labels that are replaced by another class, from
	// 0. With k classes (k-1)/k makes all labels random: 0.9 for ten.
	LabelNoise []float64 `json:"label_noise"`
}

// MarginBoundConfig configures experiment 11: an MLP, and a ResNet.
type MarginBoundConfig struct {
	LabelTraining
	ResNet LabelTraining `json:"resnet"`
	// ResNetSeeds is the number of seeds for the ResNet, the first ones; 0 for all.
	ResNetSeeds int `json:"resnet_seeds"`
}

// Validate returns an error for values that make no sense.
func (c *MarginBoundConfig) Validate() error {
	return bothNetworks(c.validateLabels(), c.ResNet.validateLabels())
}

func (c LabelTraining) validateLabels() error {
	if err := evidence.FromZero("label_noise", c.LabelNoise); err != nil {
		return err
	}
	if largest := c.LabelNoise[len(c.LabelNoise)-1]; largest > 1 {
		return fmt.Errorf("label_noise: %g is not a fraction", largest)
	}
	return c.ValidateTraining()
}

// The measured values that the claims are about.
var (
	columnExcessRisk       = evidence.Column{Title: "excess risk", Name: "excess_risk"}
	columnGCOverMargin     = evidence.Column{Title: "GC / margin", Name: "gc_over_margin"}
	columnRootGCOverMargin = evidence.Column{Title: "√GC / margin", Name: "root_gc_over_margin"}
	columnMarginBound      = evidence.Column{Title: "bound", Name: "margin_bound"}
)

// marginClaims are the claims on one kind of network.
type marginClaims struct {
	labels                       evidence.ClaimText
	ratioTraining, rootTraining  evidence.ClaimText
	ratioLabels, rootLabels      evidence.ClaimText
	bound, informative, tracking evidence.ClaimText
}

func marginClaimsFor(id, network string) marginClaims {
	text := func(name, what string) evidence.ClaimText {
		return evidence.ClaimText{ID: name + id, Text: what + " (" + network + ")"}
	}
	return marginClaims{
		labels:        text("gc-random-labels", "the more of the labels are random, the higher GC"),
		ratioTraining: text("ratio-training", "GC over margin follows the excess risk along training"),
		rootTraining:  text("root-ratio-training", "√GC over margin follows the excess risk along training"),
		ratioLabels:   text("ratio-labels", "GC over margin follows the excess risk over the fractions of random labels"),
		rootLabels: text("root-ratio-labels",
			"√GC over margin follows the excess risk over the fractions of random labels"),
		bound: text("bound-holds", "the test error never exceeds the margin bound as printed"),
		informative: text("bound-informative",
			"the margin bound as printed says something: with true labels it ends below 1"),
		tracking: text("bound-training", "the margin bound as printed follows the test error along training"),
	}
}

func (c marginClaims) list() []evidence.ClaimText {
	return []evidence.ClaimText{c.labels, c.ratioTraining, c.rootTraining, c.ratioLabels, c.rootLabels, c.bound,
		c.informative, c.tracking}
}

var marginClaimsMLP, marginClaimsResNet = marginClaimsFor("", "MLP"), marginClaimsFor("-resnet", "ResNet18")

// MarginBound is experiment 11: GC, margins and the excess risk with true and random labels (Munn,
// Dherin and Gonzalvo, TAG-ML 2023, arXiv 2405.18590). The excess risk is the accuracy on training
// data minus that on test data. Their figure shows GC over the margin; the bound has √GC over it,
// which does not change if the outputs are scaled. The grids are this toolkit's own.
var MarginBound = &experiment.Definition[MarginBoundConfig]{
	About: experiment.Info{Number: "11", Name: "margin-bound", Title: "The margin bound, with true and random labels",
		Paper: "arXiv 2405.18590", Question: "Does GC over margin tell how far the test accuracy falls behind the training accuracy?",
		Claims: append(marginClaimsMLP.list(), marginClaimsResNet.list()...),
		Scales: map[experiment.Scale]string{
			experiment.Smoke: "100 images, label noise 0 and 0.9, 3 seeds; MLP with 1 hidden layer of 16 units, 60 steps; " +
				"ResNet18 of 1 channel, 6 steps",
			experiment.Laptop: "3 seeds; MLP with 2 hidden layers of 128 units, 1,000 images, 5,000 steps, label noise 0 to 0.9; " +
				"ResNet18 of 8 channels, 500 images, 400 steps, label noise 0, 0.45 and 0.9",
			experiment.Desk: "MLP with 2 hidden layers of 256 units, 2,000 images of MNIST, 20,000 steps, label noise 0 to 0.9, " +
				"10 seeds; ResNet18 of 8 channels, 2,000 images of CIFAR-10, 5,000 steps, label noise 0, 0.45 and 0.9, 5 seeds",
			experiment.Paper: "MLP with 2 hidden layers of 256 units, 10,000 images of MNIST, 50,000 steps, 10 seeds; " +
				"ResNet18 of 64 channels on CIFAR-10, 100,000 steps, 5 seeds; label noise 0 to 0.9",
		}},
	Config: marginBoundConfig,
	Seeds:  seedsPerScale(3, 3, 10, 10),
	Design: designMarginBound,
	Report: reportMarginBound,
}

func marginBoundConfig(scale experiment.Scale) MarginBoundConfig {
	fractions, few := []float64{0, 0.3, 0.6, 0.9}, []float64{0, 0.45, 0.9}
	cfg := MarginBoundConfig{LabelTraining: LabelTraining{deskMLP(), fractions}, ResNet: LabelTraining{deskResNet(), few}}
	// Few images and many steps, so that random labels are learned by heart.
	switch scale {
	case experiment.Smoke:
		cfg.LabelTraining = LabelTraining{smokeMLP(), []float64{0, 0.9}}
		cfg.Train, cfg.Test, cfg.HiddenLayers = 100, 100, 1
		cfg.ResNet = LabelTraining{smokeResNet(), cfg.LabelNoise}
		cfg.ResNet.Train = 100
	case experiment.Laptop:
		cfg.ImageTraining, cfg.ResNet.ImageTraining = laptopMLP(), laptopResNet()
		cfg.Train, cfg.MeasureGC, cfg.Steps = 1000, 500, 5000
		cfg.ResNet.Train, cfg.ResNet.Width, cfg.ResNet.BatchSize, cfg.ResNet.Steps = 500, 8, 50, 400
	case experiment.Desk:
		cfg.Train, cfg.MeasureGC, cfg.Steps = 2000, 500, 20000
		cfg.ResNet.Train, cfg.ResNet.Steps, cfg.ResNetSeeds = 2000, 5000, 5
	default:
		cfg.Train, cfg.Steps = 10000, 50000
		cfg.ResNet, cfg.ResNetSeeds = LabelTraining{paperResNet(), fractions}, 5
		cfg.ResNet.Steps = 100000
	}
	for _, c := range []*LabelTraining{&cfg.LabelTraining, &cfg.ResNet} {
		c.LogSpaced = true
		if scale != experiment.Smoke {
			c.Measurements = 20
		}
		if c.Train != 0 {
			c.Measure = 0 // The bound has the ramp loss of all training examples.
		}
	}
	return cfg
}

// resNetSeeds are the seeds of the ResNet.
func (c MarginBoundConfig) resNetSeeds(seeds []int64) []int64 { return firstOf(seeds, c.ResNetSeeds) }

// axis sweeps the fraction of wrong labels.
func (c LabelTraining) axis(network string, seeds []int64) evidence.Axis {
	label := func(noise float64) string { return fmt.Sprintf("%slabel noise %g", network, noise) }
	a := evidence.NewAxis("label noise", c.LabelNoise, seeds, label, func(noise float64) *training.Train {
		task := c.Task()
		task.Data.LabelNoise, task.Margin = noise, true
		return task
	})
	a.Group = network
	return a
}

func designMarginBound(cfg MarginBoundConfig, seeds []int64) evidence.Design {
	return evidence.Design{Axes: []evidence.Axis{cfg.axis("", seeds),
		cfg.ResNet.axis(resNetLabel, cfg.resNetSeeds(seeds))}}
}

// labelSweep is a sweep over the fraction of wrong labels.
type labelSweep struct {
	evidence.Sweep
	network string
}

// overPoints returns, for each seed, the mean over its runs of a statistic of two values along the
// run. Points without one of the values are left out, and then runs and seeds for which the
// statistic is NaN.
func (s labelSweep) overPoints(x, y func(runs.Point) float64,
	statistic func(x, y []float64) float64) (perSeed []float64) {
	for seed := range s.Seeds() {
		var values []float64
		for _, records := range s.Records {
			if r := records[seed]; r.Counts() {
				var xs, ys []float64
				for _, p := range r.Points {
					if a, b := x(p), y(p); stats.Finite(a) && stats.Finite(b) {
						xs, ys = append(xs, a), append(ys, b)
					}
				}
				if v := statistic(xs, ys); stats.Finite(v) {
					values = append(values, v)
				}
			}
		}
		if len(values) > 0 {
			mean, _ := stats.MeanStd(values)
			perSeed = append(perSeed, mean)
		}
	}
	return perSeed
}

func pointValue(name string) func(runs.Point) float64 {
	return func(p runs.Point) float64 { return p.Value(name) }
}

func testError(p runs.Point) float64 { return 1 - p.Value("test_accuracy") }

// largestBoundRatio returns, for each seed, the largest test error over its bound at all points.
func (s labelSweep) largestBoundRatio() (perSeed []float64) {
	for seed := range s.Seeds() {
		largest := math.NaN()
		for _, records := range s.Records {
			for _, p := range records[seed].Points {
				if ratio := testError(p) / p.Value("margin_bound"); !(ratio <= largest) && !math.IsNaN(ratio) {
					largest = ratio
				}
			}
		}
		if !math.IsNaN(largest) {
			perSeed = append(perSeed, largest)
		}
	}
	return perSeed
}

func (s labelSweep) claims(texts marginClaims) []evidence.Claim {
	over := fmt.Sprintf("over all measurements at %d fractions of random labels", len(s.Values))
	mean := fmt.Sprintf("mean over %d fractions of random labels", len(s.Values))
	if left := s.LeftOut(); left != "" {
		mean += "; " + left
	}
	rank := func(text evidence.ClaimText, what string, x, y func(runs.Point) float64) evidence.Claim {
		return evidence.RankClaim(text, what+" along training", s.overPoints(x, y, stats.Spearman), evidence.Above(0), mean)
	}
	excess := pointValue(columnExcessRisk.Name)
	informative := s.Rows(evidence.AtEnd(columnMarginBound.Name))
	var ends []float64
	for _, row := range informative {
		if !math.IsNaN(row[0]) {
			ends = append(ends, row[0])
		}
	}
	return []evidence.Claim{
		s.GCTrend(texts.labels, "train_gc", evidence.Rises),
		rank(texts.ratioTraining, "excess risk with GC / margin", pointValue(columnGCOverMargin.Name), excess),
		rank(texts.rootTraining, "excess risk with √GC / margin", pointValue(columnRootGCOverMargin.Name), excess),
		s.Association(texts.ratioLabels, columnGCOverMargin, columnExcessRisk, evidence.Rises),
		s.Association(texts.rootLabels, columnRootGCOverMargin, columnExcessRisk, evidence.Rises),
		evidence.LimitClaim(texts.bound, "largest test error / bound", s.largestBoundRatio(), 1, over),
		evidence.RatioClaim(texts.informative, "bound at the last step", ends, evidence.Below(1), "with true labels"),
		rank(texts.tracking, "test error with the bound", pointValue(columnMarginBound.Name), testError),
	}
}

func reportMarginBound(cfg MarginBoundConfig, seeds []int64, records *evidence.Records) (evidence.Findings, error) {
	var f evidence.Findings
	for _, network := range []struct {
		LabelTraining
		name, label, id string
		seeds           []int64
		texts           marginClaims
	}{
		{cfg.LabelTraining, "MLP", "", "", seeds, marginClaimsMLP},
		{cfg.ResNet, "ResNet18", resNetLabel, "-resnet", cfg.resNetSeeds(seeds), marginClaimsResNet},
	} {
		s := labelSweep{records.Along(network.axis(network.label, network.seeds)), network.name}
		f.Claims = append(f.Claims, s.claims(network.texts)...)
		f.Tables = append(f.Tables, s.TableOf(network.name+": "+network.Describe(),
			evidence.Column{Title: "train accuracy", Name: "train_accuracy"},
			evidence.Column{Title: "test accuracy", Name: "test_accuracy"}, evidence.Column{Title: "GC", Name: "train_gc"},
			evidence.Column{Title: "margin", Name: "margin"}, columnGCOverMargin, columnRootGCOverMargin, columnMarginBound))
		seeds, described := len(network.seeds), " "+network.Describe()+"."
		bands, gc := evidence.BandCaption(seeds)+described, evidence.GCCaption(seeds)+described
		f.Figures = append(f.Figures,
			evidence.NamedFigure{Name: "margin-bound" + network.id, Figure: s.trainingFigure(bands)},
			evidence.NamedFigure{Name: "margin-bound-labels" + network.id, Figure: s.labelFigure(gc)})
	}
	return f, nil
}

// trainingFigure draws the excess risk and its predictors along training.
func (s labelSweep) trainingFigure(what string) plots.Figure {
	f := plots.Figure{Title: "True and random labels along training: " + s.network, Ordered: true, Columns: 3,
		Caption: "The margin is the mean over the training examples; GC over it is shown where it is positive. The bound is " +
			"a diagnostic: the test error may exceed it. " + what}
	for _, c := range []struct {
		evidence.Column
		logY bool
	}{{columnExcessRisk, false}, {evidence.Column{Title: "GC on training data", Name: "train_gc"}, true},
		{evidence.Column{Title: "test accuracy", Name: "test_accuracy"}, false}, {columnGCOverMargin, true},
		{columnRootGCOverMargin, true}, {columnMarginBound, true}} {
		f.Panels = append(f.Panels, s.TrainingPanel(c.Column, c.logY))
	}
	return f
}

// labelFigure draws the same at the last step against the fraction of random labels.
func (s labelSweep) labelFigure(what string) plots.Figure {
	return plots.Figure{Title: "True and random labels at the last step: " + s.network, Caption: what,
		Panels: []plots.Panel{s.GCPanel("GC"), s.PanelOf("margin", "mean margin", false,
			evidence.Column{Title: "mean margin", Name: "margin"}),
			s.PanelOf("GC over margin", "ratio", true, columnGCOverMargin, columnRootGCOverMargin),
			s.PanelOf("risk", "fraction", false, columnExcessRisk)}}
}
