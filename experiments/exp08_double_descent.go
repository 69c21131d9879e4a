package experiments

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"gonum.org/v1/gonum/mat"
	"gonum.org/v1/gonum/stat"

	"github.com/geometric-complexity/toolkit/datasets"
	"github.com/geometric-complexity/toolkit/experiments/evidence"
	"github.com/geometric-complexity/toolkit/experiments/experiment"
	"github.com/geometric-complexity/toolkit/experiments/training"
	"github.com/geometric-complexity/toolkit/internal/plots"
	"github.com/geometric-complexity/toolkit/internal/stats"
)

// WidthTraining is one kind of network of experiment 08 and its widths.
type WidthTraining struct {
	training.ImageTraining
	Widths []int `json:"widths"`
}

// DoubleDescentConfig configures experiments 08 and 13: an MLP, and a ResNet.
type DoubleDescentConfig struct {
	WidthTraining
	ResNet WidthTraining `json:"resnet"`
	// ResNetSeeds is the number of seeds for the ResNet, the first ones; 0 for all.
	ResNetSeeds int     `json:"resnet_seeds"`
	LabelNoise  float64 `json:"label_noise"` // fraction of wrong training labels, in the sweeps that have them
}

// Validate returns an error for values that make no sense.
func (c *DoubleDescentConfig) Validate() error {
	if !(c.LabelNoise > 0 && c.LabelNoise <= 1) {
		return fmt.Errorf("label_noise: %g is not a fraction above 0", c.LabelNoise)
	}
	return bothNetworks(c.validateWidths(), c.ResNet.validateWidths())
}

func (c WidthTraining) validateWidths() error {
	if len(c.Widths) < 4 {
		return fmt.Errorf("widths: a peak between two descents needs at least 4, there are %d", len(c.Widths))
	}
	if err := evidence.Rising("widths", c.Widths); err != nil {
		return err
	}
	return c.ValidateTraining()
}

// The criteria, set before the first run of desk scale: a peak counts if the value falls by a
// twentieth of it on both sides, and two peaks coincide within a factor of 2 in width. The
// statistic that the first is applied to, the height at the widths of the other seeds' peak,
// replaced the seed's own peak after runs of laptop scale had been seen.
const (
	peakFactor   = 1 / (1 - 0.05)
	peakDistance = 1.0 // binary logarithm
)

// widthClaims are the claims on one kind of network.
type widthClaims struct{ lossPeaks, gcPeaks, peaksMeet, uShape, lossPeaksClean, gcPeaksClean evidence.ClaimText }

func widthClaimsFor(id, network string) widthClaims {
	claim := func(name, text, labels string) evidence.ClaimText {
		return evidence.ClaimText{ID: name + id, Text: fmt.Sprintf("%s (%s, %s label noise)", text, network, labels)}
	}
	const loss, gc = "the test loss shows double descent in width", "GC shows double descent in width"
	return widthClaims{
		lossPeaks:      claim("loss-peaks", loss, "with"),
		gcPeaks:        claim("gc-peaks", gc, "with"),
		peaksMeet:      claim("peaks-meet", "GC peaks where the test loss does", "with"),
		uShape:         claim("u-shape", "the test loss against GC is U-shaped", "with"),
		lossPeaksClean: claim("loss-peaks-clean", loss, "without"),
		gcPeaksClean:   claim("gc-peaks-clean", gc, "without"),
	}
}

func (c widthClaims) list() []evidence.ClaimText {
	return []evidence.ClaimText{c.lossPeaks, c.gcPeaks, c.peaksMeet, c.uShape, c.lossPeaksClean, c.gcPeaksClean}
}

var widthClaimsMLP, widthClaimsResNet = widthClaimsFor("", "MLP"), widthClaimsFor("-resnet", "ResNet18")

// DoubleDescent is experiment 08, the paper's Figure 5: test loss and GC against
// the width of the network, through the interpolation threshold.
var DoubleDescent = &experiment.Definition[DoubleDescentConfig]{
	About: experiment.Info{Number: "08", Name: "double-descent", Title: "Double descent in the width", Paper: "Figure 5",
		Question: "Do test loss and GC peak where networks just fit?",
		Claims:   append(widthClaimsMLP.list(), widthClaimsResNet.list()...),
		Scales: map[experiment.Scale]string{
			experiment.Smoke: "100 images, label noise 0 and 0.2, 3 seeds; MLPs of 1 hidden layer of 1 to 16 units, 60 steps; " +
				"ResNet18 of 1 to 4 channels, 6 steps",
			experiment.Laptop: "label noise 0 and 0.2, 3 seeds; MLPs of 1 hidden layer of 2 to 512 units, 1,000 images, " +
				"10,000 steps; ResNet18 of 1 to 8 channels, 1,000 images, 300 steps",
			experiment.Desk: "label noise 0 and 0.2; MLPs of 1 hidden layer of 2 to 1,024 units, 2,000 images of MNIST, " +
				"20,000 steps, 10 seeds; ResNet18 of 1 to 16 channels, 4,000 images of CIFAR-10, 5,000 steps, 5 seeds",
			experiment.Paper: "label noise 0 and 0.2; MLPs of 1 hidden layer of 2 to 1,024 units, 2,000 images of MNIST, " +
				"20,000 steps, 10 seeds; ResNet18 of 1 to 64 channels, CIFAR-10, 100,000 steps, 5 seeds",
		}},
	Config: doubleDescentConfig,
	Seeds:  seedsPerScale(3, 3, 10, 10),
	Design: designDoubleDescent,
	Report: reportDoubleDescent,
}

func doubleDescentConfig(scale experiment.Scale) DoubleDescentConfig {
	cfg := DoubleDescentConfig{LabelNoise: 0.2}
	// An MLP of one hidden layer of n units has about 795·n parameters on images of 28 x 28, so
	// that 1,000 examples with 10 outputs have their threshold about n = 13. A ResNet18 of k
	// channels has about 2,700·k²: 4,000 examples have theirs about k = 4.
	switch scale {
	case experiment.Smoke:
		cfg.WidthTraining = WidthTraining{smokeMLP(), []int{1, 2, 4, 8, 16}}
		cfg.Train, cfg.Test, cfg.Measure, cfg.HiddenLayers = 100, 100, 0, 1
		cfg.ResNet = WidthTraining{smokeResNet(), []int{1, 2, 3, 4}}
		cfg.ResNet.Train, cfg.ResNet.Measure = 100, 0
	case experiment.Laptop:
		cfg.WidthTraining = WidthTraining{training.ImageTraining{Dataset: datasets.NameFashionMNISTSubset, Train: 1000,
			MeasureGC: 500, Network: training.KindMLP, HiddenLayers: 1, LearningRate: 0.1, BatchSize: 100, Steps: 10000,
			Measurements: 10}, []int{2, 4, 6, 8, 12, 16, 24, 32, 64, 128, 256, 512}}
		cfg.ResNet = WidthTraining{laptopResNet(), []int{1, 2, 4, 8}}
		cfg.ResNet.Train = 1000
	case experiment.Desk:
		cfg.WidthTraining = deskWidths()
		cfg.ResNet, cfg.ResNetSeeds = WidthTraining{deskResNet(), []int{1, 2, 3, 4, 6, 8, 12, 16}}, 5
		cfg.ResNet.Train, cfg.ResNet.Steps = 4000, 5000
	default:
		cfg.WidthTraining = deskWidths()
		cfg.ResNet, cfg.ResNetSeeds = WidthTraining{paperResNet(), []int{1, 2, 4, 6, 8, 10, 12, 16, 24, 32, 48, 64}}, 5
		cfg.ResNet.Steps = 100000
	}
	cfg.Width, cfg.ResNet.Width = cfg.Widths[0], cfg.ResNet.Widths[0]
	return cfg
}

// deskWidths is like the MLP of the laptop scale, with twice the examples, and so with its
// threshold at about twice the width.
func deskWidths() WidthTraining {
	w := WidthTraining{deskMLP(), []int{2, 4, 8, 12, 16, 24, 32, 48, 64, 128, 256, 512, 1024}}
	w.Train, w.Measure, w.MeasureGC, w.HiddenLayers, w.BatchSize, w.Steps = 2000, 0, 500, 1, 100, 20000
	return w
}

// resNetSeeds are the seeds of the ResNet.
func (c DoubleDescentConfig) resNetSeeds(seeds []int64) []int64 { return firstOf(seeds, c.ResNetSeeds) }

// widthLabel names the runs of a width; network tells the networks apart.
func widthLabel(network string, noise float64) func(int) string {
	return func(width int) string { return fmt.Sprintf("%swidth %d, label noise %g", network, width, noise) }
}

// axis sweeps the width, with a fraction of wrong labels.
func (c WidthTraining) axis(network string, noise float64, seeds []int64) evidence.Axis {
	a := evidence.NewAxis("width", c.Widths, seeds, widthLabel(network, noise), func(width int) *training.Train {
		return c.ofWidth(width, noise)
	})
	a.Group = fmt.Sprintf("%slabel noise %g", network, noise)
	return a
}

// ofWidth trains a network of a width, with a fraction of wrong labels.
func (c WidthTraining) ofWidth(width int, noise float64) *training.Train {
	task := c.Task()
	task.Network.Width, task.Data.LabelNoise = width, noise
	return task
}

func designDoubleDescent(cfg DoubleDescentConfig, seeds []int64) evidence.Design {
	few := cfg.resNetSeeds(seeds)
	return evidence.Design{Axes: []evidence.Axis{cfg.axis("", cfg.LabelNoise, seeds), cfg.axis("", 0, seeds),
		cfg.ResNet.axis(resNetLabel, cfg.LabelNoise, few), cfg.ResNet.axis(resNetLabel, 0, few)}}
}

// hill has the positions of a peak and of the smallest values on both sides of it, the valleys.
type hill struct{ before, at, after int }

// height is the factor by which the peak is above the higher of the valleys, and below 1 where it
// is not.
func (h hill) height(values []float64) float64 {
	return values[h.at] / max(values[h.before], values[h.after])
}

// highest finds the value that stands out most from the smallest ones on both sides of it. Values
// that are NaN, or not positive, are left out; ok is false if fewer than three are left.
func highest(values []float64) (best hill, ok bool) {
	var kept []int
	for i, v := range values {
		if v > 0 {
			kept = append(kept, i)
		}
	}
	lowest := func(at []int) int {
		return slices.MinFunc(at, func(a, b int) int { return cmp.Compare(values[a], values[b]) })
	}
	for k := 1; k < len(kept)-1; k++ {
		h := hill{lowest(kept[:k]), kept[k], lowest(kept[k+1:])}
		if !ok || h.height(values) > best.height(values) {
			best, ok = h, true
		}
	}
	return best, ok
}

// peak returns the position and the height of the value that stands out most; at is -1 and the
// height NaN if there is none.
func peak(values []float64) (at int, height float64) {
	h, ok := highest(values)
	if !ok {
		return -1, math.NaN()
	}
	return h.at, h.height(values)
}

// peakHeights returns, for each seed's row, the height of the peak of the other seeds' geometric
// mean: the row's value where they have it over its values in their valleys. A seed's own highest
// peak would be above 1 by the scatter of the runs alone. Where a seed has no positive value, the
// width is left out. The heights are NaN for fewer than two seeds, and for fewer than three widths.
func peakHeights(rows [][]float64) []float64 {
	heights := make([]float64, len(rows))
	for seed := range rows {
		others := make([]float64, len(rows[seed]))
		for k := range others {
			sum := 0.0
			for i, row := range rows {
				if !(row[k] > 0) {
					sum = math.NaN()
				} else if i != seed {
					sum += math.Log(row[k])
				}
			}
			others[k] = math.Exp(sum / float64(len(rows)-1))
		}
		heights[seed] = math.NaN()
		if h, ok := highest(others); ok {
			heights[seed] = h.height(rows[seed])
		}
	}
	return heights
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
	lossPeak, gcPeak []float64 // peakHeights
	distance         []float64 // |log2| of the ratio of the peaks' widths
	curvature        []float64
	note             string
}

func (c WidthTraining) sweep(network string, noise float64, seeds []int64, records *evidence.Records) widthSweep {
	s := widthSweep{Sweep: records.Along(c.axis(network, noise, seeds))}
	losses, gcs := s.Rows(evidence.AtEnd("test_loss")), s.Rows(evidence.AtEnd("train_gc"))
	s.lossPeak, s.gcPeak = peakHeights(losses), peakHeights(gcs)
	var lossAt, gcAt []int64
	for i := range seeds {
		l, lossHeight := peak(losses[i])
		g, gcHeight := peak(gcs[i])
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
	f := cfg.findings(widthClaimsMLP, "", "MLP", cfg.LabelNoise, seeds, records)
	resNet := cfg.ResNet.findings(widthClaimsResNet, resNetLabel, "ResNet18", cfg.LabelNoise, cfg.resNetSeeds(seeds),
		records)
	f.Claims, f.Tables = append(f.Claims, resNet.Claims...), append(f.Tables, resNet.Tables...)
	for _, figure := range resNet.Figures {
		figure.Name += "-resnet"
		f.Figures = append(f.Figures, figure)
	}
	return f, nil
}

// findings are those on one kind of network.
func (c WidthTraining) findings(texts widthClaims, label, network string, labelNoise float64, seeds []int64,
	records *evidence.Records) evidence.Findings {
	noisy, clean := c.sweep(label, labelNoise, seeds, records), c.sweep(label, 0, seeds, records)
	const where = " over the higher valley, at the widths of the other seeds' peak, a factor"
	const lossStatistic, gcStatistic = "height of the test loss" + where, "height of GC" + where
	return evidence.Findings{
		Claims: []evidence.Claim{
			evidence.FactorClaim(texts.lossPeaks, lossStatistic, noisy.lossPeak, evidence.Above(peakFactor), noisy.note),
			evidence.FactorClaim(texts.gcPeaks, gcStatistic, noisy.gcPeak, evidence.Above(peakFactor), noisy.note),
			evidence.LimitClaim(texts.peaksMeet, "largest distance of the peaks, in doublings of the width", noisy.distance,
				peakDistance, noisy.note),
			evidence.RatioClaim(texts.uShape, "curvature of the test loss in log GC", noisy.curvature, evidence.Above(0),
				noisy.LeftOut()),
			evidence.FactorClaim(texts.lossPeaksClean, lossStatistic, clean.lossPeak, evidence.Above(peakFactor), clean.note),
			evidence.FactorClaim(texts.gcPeaksClean, gcStatistic, clean.gcPeak, evidence.Above(peakFactor), clean.note),
		},
		Tables: []evidence.Table{noisy.Table(fmt.Sprintf("%s, label noise %g", network, labelNoise)),
			clean.Table(network + ", no label noise")},
		Figures: []evidence.NamedFigure{
			{Name: "double-descent", Figure: c.figure(network, labelNoise, seeds, noisy, clean)},
			{Name: "training-noise", Figure: noisy.Training("Training with label noise: "+network, "")},
			{Name: "training-clean", Figure: clean.Training("Training without label noise: "+network, "")},
		}}
}

func (c WidthTraining) figure(network string, labelNoise float64, seeds []int64, noisy, clean widthSweep) plots.Figure {
	f := plots.Figure{Title: "Double descent in the width: " + network, Columns: 4,
		Caption: fmt.Sprintf("%s At the last step; losses on training data are with the labels as they were trained on. "+
			"Runs that ended at chance are in no line but their own marks. %s.", evidence.BandCaption(len(seeds)),
			c.DescribeSchedule())}
	for _, row := range []struct {
		name string
		widthSweep
	}{{fmt.Sprintf("label noise %g", labelNoise), noisy}, {"no label noise", clean}} {
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
				Series: []plots.Series{line("test data", "test_accuracy"), line("training data", "train_accuracy"), row.Dead()}},
			against)
	}
	return f
}
