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

// The criteria, set before the first run, except that of peaks: its statistic is experiment 08's,
// which was replaced after runs of laptop scale had been seen. A network interpolates if it
// classifies this fraction of its training examples as they are labelled. A peak is at the
// interpolation threshold within a factor of 2 in width. The Lipschitz constant follows √GC if it
// is proportional to it up to this margin of the exponent.
const (
	interpolates    = 0.99
	exponentMargin  = 0.25
	spectrumRounded = 1 + 1e-4 // Rounding in float32 may push equal sides apart by this factor.
)

// The measured values that the claims are about.
var (
	columnRootGC       = evidence.Column{Title: "√GC", Name: "root_gc"}
	columnLipschitz    = evidence.Column{Title: "mean σ₁", Name: "lipschitz"}
	columnLipschitzMax = evidence.Column{Title: "largest σ₁", Name: "lipschitz_max"}
	columnStableRank   = evidence.Column{Title: "stable rank", Name: "stable_rank"}
)

// lipschitzClaims are the claims on one kind of network.
type lipschitzClaims struct {
	lipschitzPeaks, gcPeaks, lipschitzAt, gcAt evidence.ClaimText
	overWidths, alongTraining                  evidence.ClaimText
	directions, examples                       evidence.ClaimText // where the two part
	bounds                                     evidence.ClaimText
}

func lipschitzClaimsFor(id, network string) lipschitzClaims {
	text := func(name, what string) evidence.ClaimText {
		return evidence.ClaimText{ID: name + id, Text: what + " (" + network + ")"}
	}
	c := lipschitzClaims{
		lipschitzPeaks: text("lipschitz-peaks", "the empirical Lipschitz constant shows double descent in width"),
		gcPeaks:        text("gc-peaks", "GC shows double descent in width"),
		lipschitzAt:    text("lipschitz-threshold", "the empirical Lipschitz constant peaks at the interpolation threshold"),
		gcAt:           text("gc-threshold", "GC peaks at the interpolation threshold"),
		overWidths:     text("follows-width", "the empirical Lipschitz constant follows √GC over the widths"),
		alongTraining:  text("follows-training", "the empirical Lipschitz constant follows √GC along training"),
		directions: text("directions-training",
			"they part by directions: training lowers √GC in units of the empirical Lipschitz constant"),
		examples: text("examples-training",
			"they part by examples: training raises the largest local Lipschitz constant in units of the mean one"),
		bounds: text("bounds", "the mean of σ₁ is at most √GC, and √GC at most √min(outputs, inputs) times the largest σ₁"),
	}
	c.bounds.Proven = true
	return c
}

func (c lipschitzClaims) list() []evidence.ClaimText {
	return []evidence.ClaimText{c.lipschitzPeaks, c.gcPeaks, c.lipschitzAt, c.gcAt, c.overWidths, c.alongTraining,
		c.directions, c.examples, c.bounds}
}

var (
	lipschitzClaimsMLP    = lipschitzClaimsFor("", "MLP")
	lipschitzClaimsResNet = lipschitzClaimsFor("-resnet", "ResNet18")
)

// Lipschitz is experiment 13: the largest singular value σ₁ of the input-output Jacobian, whose
// mean over the examples is the empirical Lipschitz constant, beside its Frobenius norm, whose mean
// square is GC, through double descent and along training (Gamba, Azizpour and Björkman, BMVC 2023;
// Khromov and Singh, arXiv 2302.10886). The grids are this toolkit's own.
var Lipschitz = &experiment.Definition[DoubleDescentConfig]{
	About: experiment.Info{Number: "13", Name: "lipschitz", Title: "Lipschitz against Frobenius",
		Paper:    "Gamba et al. 2023 and arXiv 2302.10886",
		Question: "Does the empirical Lipschitz constant follow √GC?",
		Claims:   append(lipschitzClaimsMLP.list(), lipschitzClaimsResNet.list()...),
		Scales: map[experiment.Scale]string{
			experiment.Smoke: "100 images, label noise 0.2, 3 seeds; MLPs of 1 hidden layer of 1 to 16 units, 60 steps; " +
				"ResNet18 of 1 to 4 channels, 6 steps",
			experiment.Laptop: "label noise 0.2, 3 seeds; MLPs of 1 hidden layer of 4 to 256 units, 1,000 images, " +
				"10,000 steps; ResNet18 of 1 to 8 channels, 500 images, 400 steps",
			experiment.Desk: "label noise 0.2; MLPs of 1 hidden layer of 4 to 512 units, 2,000 images of MNIST, 20,000 steps, " +
				"10 seeds; ResNet18 of 1 to 16 channels, 4,000 images of CIFAR-10, 5,000 steps, 5 seeds",
			experiment.Paper: "label noise 0.2; MLPs of 1 hidden layer of 4 to 1,024 units, 2,000 images of MNIST, 20,000 steps, " +
				"10 seeds; ResNet18 of 1 to 64 channels, CIFAR-10, 100,000 steps, 5 seeds",
		}},
	Config: lipschitzConfig,
	Seeds:  seedsPerScale(3, 3, 10, 10),
	Design: designLipschitz,
	Report: reportLipschitz,
}

// lipschitzConfig takes the networks of experiment 08, which says how their thresholds are
// reckoned, at fewer widths, and measures them from the first steps on.
func lipschitzConfig(scale experiment.Scale) DoubleDescentConfig {
	cfg := doubleDescentConfig(scale)
	switch scale {
	case experiment.Smoke:
	case experiment.Laptop:
		cfg.Widths, cfg.ResNet.Widths = []int{4, 6, 8, 12, 16, 24, 32, 64, 128, 256}, []int{1, 2, 4, 8}
		cfg.ResNet.Train, cfg.ResNet.BatchSize, cfg.ResNet.Steps = 500, 50, 400
	case experiment.Desk:
		cfg.Widths, cfg.ResNet.Widths = []int{4, 8, 12, 16, 24, 32, 48, 64, 128, 256, 512}, []int{1, 2, 4, 8, 16}
	default:
		cfg.Widths = []int{4, 8, 12, 16, 24, 32, 48, 64, 128, 256, 512, 1024}
	}
	for _, c := range []*WidthTraining{&cfg.WidthTraining, &cfg.ResNet} {
		c.Width, c.LogSpaced = c.Widths[0], true
		if scale != experiment.Smoke {
			c.Measurements = 20
		}
		c.Measure = 0 // Whether a network interpolates takes all its examples.
	}
	return cfg
}

// spectrumAxis sweeps the width, with singular values.
func (c WidthTraining) spectrumAxis(network string, noise float64, seeds []int64) evidence.Axis {
	a := evidence.NewAxis("width", c.Widths, seeds, widthLabel(network, noise), func(width int) *training.Train {
		task := c.ofWidth(width, noise)
		task.Spectrum = true
		return task
	})
	a.Group = network
	return a
}

func designLipschitz(cfg DoubleDescentConfig, seeds []int64) evidence.Design {
	return evidence.Design{Axes: []evidence.Axis{cfg.spectrumAxis("", cfg.LabelNoise, seeds),
		cfg.ResNet.spectrumAxis(resNetLabel, cfg.LabelNoise, cfg.resNetSeeds(seeds))}}
}

// threshold returns the index of the first width whose network interpolates, from the accuracies on
// the training data; -1 if none does.
func threshold(accuracies []float64) int {
	for i, accuracy := range accuracies {
		if accuracy >= interpolates {
			return i
		}
	}
	return -1
}

// spectrumSweep is a sweep over widths, and what each seed shows in it.
type spectrumSweep struct {
	evidence.Sweep
	thresholds []float64 // widths; NaN if no network interpolates
}

func (c WidthTraining) spectrumSweep(network string, noise float64, seeds []int64,
	records *evidence.Records) spectrumSweep {
	s := spectrumSweep{Sweep: records.Along(c.spectrumAxis(network, noise, seeds))}
	for _, accuracies := range s.Rows(evidence.AtEnd("train_accuracy")) {
		width := math.NaN()
		if i := threshold(accuracies); i >= 0 {
			width = s.Values[i]
		}
		s.thresholds = append(s.thresholds, width)
	}
	return s
}

// peaks returns, for each seed, the peakHeights of a value over the widths, and how far its own
// peak is to the right of the interpolation threshold, in doublings of the width. Seeds without a
// peak or without a threshold have no distance. The note has the widths.
func (s spectrumSweep) peaks(name string) (heights, distances []float64, note string) {
	var at, thresholds []int64
	rows := s.Rows(evidence.AtEnd(name))
	for i, row := range rows {
		k, height := peak(row)
		if height > 1 && !math.IsNaN(s.thresholds[i]) {
			distances = append(distances, math.Log2(s.Values[k]/s.thresholds[i]))
			at, thresholds = append(at, int64(s.Values[k])), append(thresholds, int64(s.thresholds[i]))
		}
	}
	note = "no seed has both a peak and a threshold"
	if len(at) > 0 {
		note = fmt.Sprintf("peaks at widths %s, thresholds at %s", evidence.JoinInts(at), evidence.JoinInts(thresholds))
	}
	if left := s.LeftOut(); left != "" {
		note += "; " + left
	}
	return peakHeights(rows), distances, note
}

// of returns the runs of a seed that count, one for each width.
func (s spectrumSweep) of(seed int) (counted []*runs.Record) {
	for _, records := range s.Records {
		if r := records[seed]; r.Counts() {
			counted = append(counted, r)
		}
	}
	return counted
}

// perSeed returns a statistic of the runs of each seed, without those for which it is NaN.
func (s spectrumSweep) perSeed(statistic func([]*runs.Record) float64) (values []float64) {
	for seed := range s.Seeds() {
		if v := statistic(s.of(seed)); !math.IsNaN(v) {
			values = append(values, v)
		}
	}
	return values
}

// exponentAlong is the slope of log y in log x along the runs, with one intercept for each run.
func exponentAlong(x, y string) func([]*runs.Record) float64 {
	return func(records []*runs.Record) float64 {
		var u, v []float64
		for _, r := range records {
			first := len(u)
			for _, p := range r.Points {
				if a, b := p.Value(x), p.Value(y); a > 0 && b > 0 {
					u, v = append(u, math.Log(a)), append(v, math.Log(b))
				}
			}
			center(u[first:])
			center(v[first:])
		}
		return stats.Slope(u, v)
	}
}

// center subtracts their mean from the values.
func center(values []float64) {
	mean, _ := stats.MeanStd(values)
	for i := range values {
		values[i] -= mean
	}
}

// growthOf is the factor by which the ratio of two values grows from the first to the last point of
// the runs, their geometric mean.
func growthOf(numerator, denominator string) func([]*runs.Record) float64 {
	return func(records []*runs.Record) float64 {
		var logs []float64
		for _, r := range records {
			ratio := func(p runs.Point) float64 { return p.Value(numerator) / p.Value(denominator) }
			if growth := math.Log(ratio(r.Final()) / ratio(r.Points[0])); stats.Finite(growth) {
				logs = append(logs, growth)
			}
		}
		mean, _ := stats.MeanStd(logs)
		return math.Exp(mean)
	}
}

// largestOf is the largest of a value over all points of the runs.
func largestOf(name string) func([]*runs.Record) float64 {
	return func(records []*runs.Record) float64 {
		largest := math.NaN()
		for _, r := range records {
			_, values := evidence.Series(r, name)
			for _, v := range values {
				if !(v <= largest) && !math.IsNaN(v) {
					largest = v
				}
			}
		}
		return largest
	}
}

func (s spectrumSweep) claims(texts lipschitzClaims) []evidence.Claim {
	const height, distance = "height over the higher valley, at the widths of the other seeds' peak, a factor",
		"distance of the peak from the threshold, in doublings of the width"
	near := evidence.Between(-peakDistance, peakDistance)
	proportional := evidence.Between(1-exponentMargin, 1+exponentMargin)
	lipschitz, lipschitzAt, lipschitzNote := s.peaks(columnLipschitz.Name)
	gc, gcAt, gcNote := s.peaks("train_gc")
	over := fmt.Sprintf("over all measurements of %d widths", len(s.Values))
	start := fmt.Sprintf("geometric mean over %d widths", len(s.Values))
	return []evidence.Claim{
		evidence.FactorClaim(texts.lipschitzPeaks, height, lipschitz, evidence.Above(peakFactor), lipschitzNote),
		evidence.FactorClaim(texts.gcPeaks, height, gc, evidence.Above(peakFactor), gcNote),
		evidence.RatioClaim(texts.lipschitzAt, distance, lipschitzAt, near, lipschitzNote),
		evidence.RatioClaim(texts.gcAt, distance, gcAt, near, gcNote),
		s.PowerLaw(texts.overWidths, columnRootGC, columnLipschitz, proportional),
		evidence.RatioClaim(texts.alongTraining, "exponent of mean σ₁ in √GC along training",
			s.perSeed(exponentAlong(columnRootGC.Name, columnLipschitz.Name)), proportional, over),
		evidence.FactorClaim(texts.directions, "√GC / mean σ₁ after training, over that before",
			s.perSeed(growthOf(columnRootGC.Name, columnLipschitz.Name)), evidence.Below(1), start),
		evidence.FactorClaim(texts.examples, "largest σ₁ / mean σ₁ after training, over that before",
			s.perSeed(growthOf(columnLipschitzMax.Name, columnLipschitz.Name)), evidence.Above(1), start),
		evidence.LimitClaim(texts.bounds, "largest side / its bound", s.perSeed(largestOf("lipschitz_bound_ratio")),
			spectrumRounded, over),
	}
}

func reportLipschitz(cfg DoubleDescentConfig, seeds []int64, records *evidence.Records) (evidence.Findings, error) {
	var f evidence.Findings
	for _, network := range []struct {
		WidthTraining
		name, label, id string
		seeds           []int64
		texts           lipschitzClaims
	}{
		{cfg.WidthTraining, "MLP", "", "", seeds, lipschitzClaimsMLP},
		{cfg.ResNet, "ResNet18", resNetLabel, "-resnet", cfg.resNetSeeds(seeds), lipschitzClaimsResNet},
	} {
		s := network.spectrumSweep(network.label, cfg.LabelNoise, network.seeds, records)
		f.Claims = append(f.Claims, s.claims(network.texts)...)
		f.Tables = append(f.Tables, s.TableOf(fmt.Sprintf("%s, label noise %g", network.name, cfg.LabelNoise),
			evidence.Column{Title: "train accuracy", Name: "train_accuracy"},
			evidence.Column{Title: "test loss", Name: "test_loss"}, columnRootGC, columnLipschitz, columnLipschitzMax,
			columnStableRank))
		what := fmt.Sprintf("%s Label noise %g, %s.", evidence.BandCaption(len(network.seeds)), cfg.LabelNoise,
			network.DescribeSchedule())
		f.Figures = append(f.Figures,
			evidence.NamedFigure{Name: "lipschitz" + network.id, Figure: s.widthFigure(network.name, what)},
			evidence.NamedFigure{Name: "lipschitz-training" + network.id, Figure: s.trainingFigure(network.name, what)})
	}
	return f, nil
}

// widthFigure draws what the claims over the widths are about.
func (s spectrumSweep) widthFigure(network, what string) plots.Figure {
	line := func(c evidence.Column) plots.Series {
		band := evidence.BandOf(c.Title, s.Values, s.Rows(evidence.AtEnd(c.Name)))
		band.Points = true
		return band
	}
	panel := func(title, ylabel string, logY bool, columns ...evidence.Column) plots.Panel {
		p := plots.Panel{Title: title, XLabel: s.Name, YLabel: ylabel, LogX: true, LogY: logY}
		for _, c := range columns {
			p.Series = append(p.Series, line(c))
		}
		return p
	}
	loss := panel("losses", "cross-entropy (nats)", false, evidence.Column{Title: "test data", Name: "test_loss"},
		evidence.Column{Title: "training data", Name: "train_loss"})
	rank := panel("stable rank", "‖J‖²/σ₁²", false, columnStableRank)
	against := plots.Panel{Title: "mean σ₁ against √GC", XLabel: "√GC", YLabel: "mean σ₁", LogX: true, LogY: true}
	var all []float64
	for i, row := range s.Rows(evidence.AtEnd(columnRootGC.Name)) {
		against.Series = append(against.Series, plots.Series{Name: "a run", X: row,
			Y: s.Rows(evidence.AtEnd(columnLipschitz.Name))[i], NoLine: true})
		all = append(all, row...)
	}
	low, high := math.NaN(), math.NaN()
	for _, v := range all {
		if v > 0 {
			low, high = evidence.MinNaN(low, v), -evidence.MinNaN(-high, -v)
		}
	}
	against.Series = append(against.Series, plots.Series{Name: "equal", X: []float64{low, high}, Y: []float64{low, high},
		Dashed: true, Reference: true})
	return plots.Figure{Title: "Lipschitz against Frobenius through double descent: " + network, Columns: 4,
		Caption: "At the last step; σ₁ is the largest singular value of the Jacobian at a training example. " + what,
		Panels: []plots.Panel{panel("norms of the Jacobian", "per unit of brightness", true, columnRootGC, columnLipschitz,
			columnLipschitzMax), loss, rank, against}}
}

// trainingFigure draws the norms along training for a few of the widths.
func (s spectrumSweep) trainingFigure(network, what string) plots.Figure {
	f := plots.Figure{Title: "Lipschitz against Frobenius along training: " + network, Ordered: true, Caption: what}
	const lines = 4
	var widths []int
	for k := range lines {
		widths = append(widths, k*(len(s.Values)-1)/(lines-1))
	}
	for _, c := range []struct {
		evidence.Column
		logY bool
	}{{columnRootGC, true}, {columnLipschitz, true}, {columnLipschitzMax, true}, {columnStableRank, false}} {
		f.Panels = append(f.Panels, s.TrainingPanel(c.Column, c.logY, widths...))
	}
	return f
}
