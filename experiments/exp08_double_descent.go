package experiments

import (
	"fmt"
	"math"

	"gonum.org/v1/gonum/mat"
	"gonum.org/v1/gonum/stat"

	"example.com/geometric-complexity/datasets"
	"example.com/geometric-complexity/experiments/evidence"
	"example.com/geometric-complexity/experiments/experiment"
	"example.com/geometric-complexity/experiments/training"
	"example.com/geometric-complexity/internal/plots"
	"example.com/geometric-complexity/internal/stats"
)

// DoubleDescentConfig configures experiment 08.
type DoubleDescentConfig struct {
	training.ImageTraining
	Widths     []int   `json:"widths"`
	LabelNoise float64 `json:"label_noise"` // fraction of wrong training labels, in the sweep that has them
}

// Validate returns an error for values that make no sense.
func (c *DoubleDescentConfig) Validate() error {
	if len(c.Widths) < 4 {
		return fmt.Errorf("widths: a peak between two descents needs at least 4, there are %d", len(c.Widths))
	}
	if err := evidence.Rising("widths", c.Widths); err != nil {
		return err
	}
	if !(c.LabelNoise > 0 && c.LabelNoise <= 1) {
		return fmt.Errorf("label_noise: %g is not a fraction above 0", c.LabelNoise)
	}
	return c.ValidateTraining()
}

// The criteria, set before the first run: a peak counts if the value falls by a twentieth of it on
// both sides, and two peaks coincide within a factor of 2 in width.
const (
	peakFactor   = 1 / (1 - 0.05)
	peakDistance = 1.0 // binary logarithm
)

var (
	claimLossPeaks = evidence.ClaimText{ID: "loss-peaks",
		Text: "the test loss shows double descent in width (with label noise)"}
	claimGCPeaks   = evidence.ClaimText{ID: "gc-peaks", Text: "GC shows double descent in width (with label noise)"}
	claimPeaksMeet = evidence.ClaimText{ID: "peaks-meet",
		Text: "GC peaks where the test loss does (with label noise)"}
	claimUShape = evidence.ClaimText{ID: "u-shape",
		Text: "the test loss against GC is U-shaped (with label noise)"}
	claimLossPeaksClean = evidence.ClaimText{ID: "loss-peaks-clean",
		Text: "the test loss shows double descent in width (without label noise)"}
	claimGCPeaksClean = evidence.ClaimText{ID: "gc-peaks-clean",
		Text: "GC shows double descent in width (without label noise)"}
)

// DoubleDescent is experiment 08, the paper's Figure 5: test loss and GC against
// the width of the network, through the interpolation threshold.
var DoubleDescent = &experiment.Definition[DoubleDescentConfig]{
	About: experiment.Info{Number: "08", Name: "double-descent", Title: "Double descent in the width", Paper: "Figure 5",
		Claims: []evidence.ClaimText{claimLossPeaks, claimGCPeaks, claimPeaksMeet, claimUShape, claimLossPeaksClean,
			claimGCPeaksClean},
		Scales: map[experiment.Scale]string{
			experiment.Smoke:  "100 images, MLPs of 1 hidden layer of 1 to 16 units, 60 steps, label noise 0 and 0.2, 3 seeds",
			experiment.Laptop: "1,000 images, MLPs of 1 hidden layer of 2 to 512 units, 10,000 steps, label noise 0 and 0.2, 3 seeds",
			experiment.Desk:   "2,000 images of MNIST, MLPs of 1 hidden layer of 2 to 1,024 units, 20,000 steps, label noise 0 and 0.2, 10 seeds",
			experiment.Paper:  "CIFAR-10, ResNet18 of 1 to 64 channels, 100,000 steps, label noise 0 and 0.2, 3 seeds",
		}},
	Config: doubleDescentConfig,
	Seeds:  seedsPerScale(3, 3, 10, 3),
	Design: designDoubleDescent,
	Report: reportDoubleDescent,
}

func doubleDescentConfig(scale experiment.Scale) DoubleDescentConfig {
	cfg := DoubleDescentConfig{ImageTraining: paperResNet(), Widths: []int{1, 2, 4, 6, 8, 10, 12, 16, 24, 32, 48, 64},
		LabelNoise: 0.2}
	cfg.Steps = 100000
	switch scale {
	case experiment.Desk:
		// Like laptop, with twice the examples, and so with its threshold at about twice the width.
		cfg.ImageTraining = deskMLP()
		cfg.Train, cfg.Measure, cfg.MeasureGC, cfg.HiddenLayers, cfg.BatchSize, cfg.Steps = 2000, 0, 500, 1, 100, 20000
		cfg.Widths = []int{2, 4, 8, 12, 16, 24, 32, 48, 64, 128, 256, 512, 1024}
	case experiment.Laptop:
		// An MLP of one hidden layer of n units has about 795·n parameters, so that
		// 1,000 examples with 10 outputs have their threshold about n = 13, within a
		// range that a laptop trains to the end.
		cfg.ImageTraining = training.ImageTraining{Dataset: datasets.NameFashionMNISTSubset, Train: 1000, MeasureGC: 500,
			Network: training.KindMLP, HiddenLayers: 1,
			LearningRate: 0.1, BatchSize: 100, Steps: 10000, Measurements: 10}
		cfg.Widths = []int{2, 4, 6, 8, 12, 16, 24, 32, 64, 128, 256, 512}
	case experiment.Smoke:
		cfg.ImageTraining, cfg.Widths = smokeMLP(), []int{1, 2, 4, 8, 16}
		cfg.Train, cfg.Test, cfg.Measure, cfg.HiddenLayers = 100, 100, 0, 1
	}
	cfg.Width = cfg.Widths[0]
	return cfg
}

func widthLabel(noise float64) func(int) string {
	return func(width int) string { return fmt.Sprintf("width %d, label noise %g", width, noise) }
}

// widthAxis sweeps the width, with a fraction of wrong labels.
func (c DoubleDescentConfig) widthAxis(noise float64, seeds []int64) evidence.Axis {
	a := evidence.NewAxis("width", c.Widths, seeds, widthLabel(noise), func(width int) *training.Train {
		task := c.Task()
		task.Network.Width, task.Data.LabelNoise = width, noise
		return task
	})
	a.Group = fmt.Sprintf("label noise %g", noise)
	return a
}

func designDoubleDescent(cfg DoubleDescentConfig, seeds []int64) evidence.Design {
	return evidence.Design{Axes: []evidence.Axis{cfg.widthAxis(cfg.LabelNoise, seeds), cfg.widthAxis(0, seeds)}}
}

// peak finds the value that stands out most from the smallest ones on both sides of it. Its height
// is the factor by which it is above the higher of the two, and below 1 where there is no peak.
// Values that are NaN, or not positive, are left out; at is -1 if fewer than three are left.
func peak(values []float64) (at int, height float64) {
	at, height = -1, math.NaN()
	for i, v := range values {
		before, after := math.NaN(), math.NaN()
		for j, other := range values {
			switch {
			case !(other > 0):
			case j < i:
				before = evidence.MinNaN(before, other)
			case j > i:
				after = evidence.MinNaN(after, other)
			}
		}
		if h := v / max(before, after); v > 0 && !math.IsNaN(h) && !(h <= height) {
			at, height = i, h
		}
	}
	return at, height
}

// curvature is the coefficient of u² in the quadratic fit of y against u, the
// logarithm of x in units of its standard deviation about its mean; NaN with
// fewer than four points.
func curvature(x, y []float64) float64 {
	var u, v []float64
	for i := range x {
		if x[i] > 0 && stats.Finite(x[i]) && stats.Finite(y[i]) {
			u, v = append(u, math.Log(x[i])), append(v, y[i])
		}
	}
	if len(u) < 4 {
		return math.NaN()
	}
	mean, std := stat.MeanStdDev(u, nil)
	design := mat.NewDense(len(u), 3, nil)
	for i := range u {
		z := (u[i] - mean) / std
		design.SetRow(i, []float64{1, z, z * z})
	}
	var fit mat.VecDense
	if err := fit.SolveVec(design, mat.NewVecDense(len(v), v)); err != nil {
		return math.NaN()
	}
	return fit.AtVec(2)
}

// widthSweep is one sweep over widths, and what each seed shows in it.
type widthSweep struct {
	evidence.Sweep
	lossPeak, gcPeak []float64 // heights
	distance         []float64 // |log2| of the ratio of the peaks' widths
	curvature        []float64
	note             string
}

func (c DoubleDescentConfig) sweep(noise float64, seeds []int64, records *evidence.Records) widthSweep {
	s := widthSweep{Sweep: records.Along(c.widthAxis(noise, seeds))}
	losses, gcs := s.Rows(evidence.AtEnd("test_loss")), s.Rows(evidence.AtEnd("train_gc"))
	var lossAt, gcAt []int64
	for i := range seeds {
		l, lossHeight := peak(losses[i])
		g, gcHeight := peak(gcs[i])
		s.lossPeak, s.gcPeak = append(s.lossPeak, lossHeight), append(s.gcPeak, gcHeight)
		distance := math.NaN()
		if lossHeight > 1 && gcHeight > 1 {
			distance = math.Abs(math.Log2(s.Values[l] / s.Values[g]))
			lossAt, gcAt = append(lossAt, int64(c.Widths[l])), append(gcAt, int64(c.Widths[g]))
		}
		s.distance = append(s.distance, distance)
		s.curvature = append(s.curvature, curvature(gcs[i], losses[i]))
	}
	s.note = "no seed has a peak of both the test loss and GC"
	if len(lossAt) > 0 {
		s.note = fmt.Sprintf("peaks of the test loss at widths %s, of GC at %s", evidence.JoinInts(lossAt),
			evidence.JoinInts(gcAt))
	}
	if left := s.LeftOut(); left != "" {
		s.note += "; " + left
	}
	return s
}

func reportDoubleDescent(cfg DoubleDescentConfig, seeds []int64, records *evidence.Records) (evidence.Findings, error) {
	noisy, clean := cfg.sweep(cfg.LabelNoise, seeds, records), cfg.sweep(0, seeds, records)
	const lossStatistic, gcStatistic = "height of the test loss's peak over the higher valley beside it, a factor",
		"height of GC's peak over the higher valley beside it, a factor"
	return evidence.Findings{
		Claims: []evidence.Claim{
			evidence.FactorClaim(claimLossPeaks, lossStatistic, noisy.lossPeak, evidence.Above(peakFactor), noisy.note),
			evidence.FactorClaim(claimGCPeaks, gcStatistic, noisy.gcPeak, evidence.Above(peakFactor), noisy.note),
			evidence.LimitClaim(claimPeaksMeet, "largest distance of the peaks, in doublings of the width", noisy.distance,
				peakDistance, noisy.note),
			evidence.RatioClaim(claimUShape, "curvature of the test loss in log GC", noisy.curvature, evidence.Above(0),
				noisy.LeftOut()),
			evidence.FactorClaim(claimLossPeaksClean, lossStatistic, clean.lossPeak, evidence.Above(peakFactor), clean.note),
			evidence.FactorClaim(claimGCPeaksClean, gcStatistic, clean.gcPeak, evidence.Above(peakFactor), clean.note),
		},
		Tables: []evidence.Table{noisy.Table(fmt.Sprintf("Label noise %g", cfg.LabelNoise)), clean.Table("No label noise")},
		Figures: []evidence.NamedFigure{
			{Name: "double-descent", Figure: doubleDescentFigure(cfg, seeds, noisy, clean)},
			{Name: "training-noise", Figure: noisy.Training("Training with label noise", "")},
			{Name: "training-clean", Figure: clean.Training("Training without label noise", "")},
		}}, nil
}

func doubleDescentFigure(cfg DoubleDescentConfig, seeds []int64, noisy, clean widthSweep) plots.Figure {
	f := plots.Figure{Title: "Double descent in the width", Columns: 4,
		Caption: fmt.Sprintf("%s At the last step; losses on training data are with the labels as they were trained on. %s.",
			evidence.BandCaption(len(seeds)), cfg.DescribeSchedule())}
	for _, row := range []struct {
		name string
		widthSweep
	}{{fmt.Sprintf("label noise %g", cfg.LabelNoise), noisy}, {"no label noise", clean}} {
		line := func(name, value string) plots.Series {
			s := evidence.BandOf(name, row.Values, row.Rows(evidence.AtEnd(value)))
			s.Points = true
			return s
		}
		against := plots.Panel{Title: row.name, XLabel: "GC on training data", YLabel: "test loss (nats)", LogX: true}
		losses, gcs := row.Rows(evidence.AtEnd("test_loss")), row.Rows(evidence.AtEnd("train_gc"))
		for i, seed := range seeds {
			against.Series = append(against.Series,
				plots.Series{Name: fmt.Sprintf("seed %d", seed), X: gcs[i], Y: losses[i], NoLine: true})
		}
		f.Panels = append(f.Panels,
			plots.Panel{Title: row.name, XLabel: "width", YLabel: "cross-entropy (nats)", LogX: true,
				Series: []plots.Series{line("test data", "test_loss"), line("training data", "train_loss")}},
			plots.Panel{Title: row.name, XLabel: "width", YLabel: "GC of the logits", LogX: true, LogY: true,
				Series: []plots.Series{line("test data", "test_gc"), line("training data", "train_gc")}},
			plots.Panel{Title: row.name, XLabel: "width", YLabel: "fraction right", LogX: true,
				Series: []plots.Series{line("test data", "test_accuracy"), line("training data", "train_accuracy")}},
			against)
	}
	return f
}
