package experiments

import (
	"fmt"
	"slices"

	"github.com/geometric-complexity/toolkit/experiments/evidence"
	"github.com/geometric-complexity/toolkit/experiments/experiment"
	"github.com/geometric-complexity/toolkit/experiments/runs"
	"github.com/geometric-complexity/toolkit/experiments/training"
	"github.com/geometric-complexity/toolkit/internal/plots"
)

// OptimizersConfig configures experiment 09.
type OptimizersConfig struct {
	training.ImageTraining         // LearningRate is that of plain gradient descent
	MomentumRate           float64 `json:"momentum_rate"` // learning rate with momentum
	AdamRate               float64 `json:"adam_rate"`     // learning rate of Adam
	// RateFactors multiply the learning rate of each optimizer; 1 is among them.
	RateFactors []float64 `json:"rate_factors"`
	BatchSizes  []int     `json:"batch_sizes"` // at equal numbers of steps; batch_size is among them
	L2          []float64 `json:"l2"`          // this and the following rise from 0
	Spectral    []float64 `json:"spectral"`
	Flatness    []float64 `json:"flatness"`
	GC          []float64 `json:"gc"`
}

// Validate returns an error for values that make no sense.
func (c *OptimizersConfig) Validate() error {
	for _, p := range c.penalties() {
		if err := evidence.FromZero(p.name, p.coefficients); err != nil {
			return err
		}
	}
	if err := evidence.Rising("rate_factors", c.RateFactors); err != nil {
		return err
	}
	if err := evidence.Rising("batch_sizes", c.BatchSizes); err != nil {
		return err
	}
	if !slices.Contains(c.RateFactors, 1) || !slices.Contains(c.BatchSizes, c.BatchSize) {
		return fmt.Errorf("1 must be among rate_factors and batch_size %d among batch_sizes, where the sweeps meet",
			c.BatchSize)
	}
	if !(c.MomentumRate > 0) || !(c.AdamRate > 0) {
		return fmt.Errorf("momentum_rate %g and adam_rate %g must be positive", c.MomentumRate, c.AdamRate)
	}
	return c.ValidateTraining()
}

// penalties are the sweeps over a penalty's coefficient; their claims depend on
// the optimizer.
func (c OptimizersConfig) penalties() []penaltySweep {
	return []penaltySweep{
		{name: training.PenaltyL2, title: "L2 penalty", coefficients: c.L2},
		{name: training.PenaltySpectral, title: "spectral penalty", coefficients: c.Spectral},
		{name: training.PenaltyFlatness, title: "flatness penalty", coefficients: c.Flatness},
		{name: training.PenaltyGC, title: "GC penalty", coefficients: c.GC},
	}
}

// descent is an optimizer.
type descent struct{ optimizer, id, name string }

// descents are the optimizers that are compared.
var descents = []descent{
	{"", "sgd", training.PlainDescent},
	{training.OptimizerMomentum, "momentum", "momentum"},
	{training.OptimizerAdam, "adam", "Adam"},
}

// The ids of the heuristics that are no penalty; a penalty's id is its name.
const (
	heuristicRate     = "rate"
	heuristicBatch    = "batch"
	heuristicTogether = "together"
)

// heuristics are the changes that are claimed to lower GC, in the order of the claims.
var heuristics = []struct{ id, text string }{
	{heuristicRate, "a larger learning rate: lower GC"},
	{heuristicBatch, "a smaller batch: lower GC"},
	{training.PenaltyL2, "more L2 regularization: lower GC"},
	{training.PenaltySpectral, "more spectral regularization: lower GC"},
	{training.PenaltyFlatness, "more flatness regularization: lower GC"},
	{training.PenaltyGC, "penalizing GC lowers GC"},
	{heuristicTogether, "all of these together lower GC"},
}

// claim is the claim on a heuristic, which its id names.
func (d descent) claim(heuristic string) evidence.ClaimText {
	for _, h := range heuristics {
		if h.id == heuristic {
			return evidence.ClaimText{ID: d.id + "-" + h.id, Text: h.text + " (MLP, " + d.name + ")"}
		}
	}
	panic(fmt.Sprintf("there is no claim on the heuristic %q", heuristic))
}

func optimizerClaims() (claims []evidence.ClaimText) {
	for _, d := range descents {
		for _, h := range heuristics {
			claims = append(claims, d.claim(h.id))
		}
	}
	return claims
}

// Optimizers is experiment 09, from the paper's supplement: the same directions
// with other optimizers, on an MLP, and with all heuristics at once.
var Optimizers = &experiment.Definition[OptimizersConfig]{
	About: experiment.Info{Number: "09", Name: "optimizers", Title: "Momentum, Adam, and everything at once",
		Paper:    "supplement",
		Question: "Do the same trends appear with momentum and Adam?",
		Claims:   optimizerClaims(),
		Scales: map[experiment.Scale]string{
			experiment.Smoke:  "500 images, MLP of 2 hidden layers of 16 units, 20 steps, 3 optimizers, 2 values of each of 6 sweeps, 3 seeds",
			experiment.Laptop: "5,000 images, MLP of 2 hidden layers of 128 units, 600 steps, 3 optimizers, 3 values of each of 6 sweeps, 3 seeds",
			experiment.Desk:   "MNIST, MLP of 2 hidden layers of 256 units, 2,000 steps, 3 optimizers, 4 values of each of 6 sweeps, 10 seeds",
			experiment.Paper:  "CIFAR-10, ResNet18 of 64 channels, 20,000 steps, 3 optimizers, 4 values of each of 6 sweeps, 5 seeds",
		}},
	Config: optimizersConfig,
	Seeds:  seedsPerScale(3, 3, 10, 5),
	Design: designOptimizers,
	Report: reportOptimizers,
}

func optimizersConfig(scale experiment.Scale) OptimizersConfig {
	// With momentum 0.9 steps are ten times as long, so the rate is a tenth. Adam has its usual
	// rate.
	cfg := OptimizersConfig{ImageTraining: paperResNet(), MomentumRate: 0.005, AdamRate: 1e-3,
		RateFactors: []float64{0.25, 0.5, 1, 2},
		BatchSizes:  []int{64, 128, 256, 512}, L2: []float64{0, 1e-5, 1e-4, 1e-3}, Spectral: []float64{0, 1e-4, 1e-3, 1e-2},
		Flatness: []float64{0, 1e-4, 1e-3, 1e-2}, GC: []float64{0, 1e-6, 1e-5, 1e-4}}
	switch scale {
	case experiment.Desk:
		cfg.ImageTraining, cfg.MomentumRate = deskMLP(), 0.01
		cfg.Steps, cfg.RateFactors, cfg.BatchSizes = 2000, []float64{0.25, 0.5, 1, 2}, []int{32, 64, 128, 256}
		cfg.L2, cfg.Spectral = []float64{0, 1e-4, 1e-3, 1e-2}, []float64{0, 1e-3, 1e-2, 1e-1}
		cfg.Flatness, cfg.GC = []float64{0, 1e-3, 1e-2, 1e-1}, []float64{0, 1e-4, 1e-3, 1e-2}
	case experiment.Laptop:
		// Three values of each sweep make 126 runs.
		cfg.ImageTraining, cfg.MomentumRate, cfg.RateFactors, cfg.BatchSizes = laptopMLP(), 0.01, []float64{0.5, 1, 2},
			[]int{32, 64, 128}
		cfg.Steps, cfg.Measurements, cfg.MeasureGC = 600, 5, 500
		cfg.L2, cfg.Spectral = []float64{0, 1e-3, 1e-2}, []float64{0, 1e-2, 1e-1}
		cfg.Flatness, cfg.GC = []float64{0, 1e-2, 1e-1}, []float64{0, 1e-3, 1e-2}
	case experiment.Smoke:
		cfg.ImageTraining, cfg.MomentumRate, cfg.RateFactors, cfg.BatchSizes = smokeMLP(), 0.01, []float64{0.5, 1},
			[]int{25, 50}
		cfg.Steps, cfg.Measurements, cfg.Measure, cfg.Test = 20, 2, 100, 100
		cfg.L2, cfg.Spectral, cfg.Flatness, cfg.GC = []float64{0, 1e-2}, []float64{0, 1e-1}, []float64{0, 1e-1},
			[]float64{0, 1e-2}
	}
	return cfg
}

// rate is the learning rate of an optimizer.
func (c OptimizersConfig) rate(optimizer string) float64 {
	return map[string]float64{"": c.LearningRate, training.OptimizerMomentum: c.MomentumRate,
		training.OptimizerAdam: c.AdamRate}[optimizer]
}

// base is the training that an optimizer's sweeps vary.
func (c OptimizersConfig) base(optimizer string) *training.Train {
	task := c.Task()
	task.Optimizer, task.LearningRate = optimizer, c.rate(optimizer)
	return task
}

// together is a training with all heuristics at once: the largest rate and the
// smallest batch, and of each penalty the coefficient in the middle.
func (c OptimizersConfig) together(optimizer string) *training.Train {
	task := c.base(optimizer)
	task.LearningRate *= slices.Max(c.RateFactors)
	task.BatchSize = slices.Min(c.BatchSizes)
	task.Penalties = make(map[string]float64)
	for _, p := range c.penalties() {
		task.Penalties[p.name] = p.coefficients[len(p.coefficients)/2]
	}
	return task
}

// heuristicSweep is a sweep of one optimizer over one heuristic.
type heuristicSweep struct {
	heuristic string // its id
	axis      evidence.Axis
}

// sweeps are those of an optimizer, in the order of the heuristics.
func (c OptimizersConfig) sweeps(d descent, seeds []int64) []heuristicSweep {
	base := func() *training.Train { return c.base(d.optimizer) }
	sweeps := []heuristicSweep{
		{heuristicRate, evidence.NewAxis("learning rate factor", c.RateFactors, seeds,
			func(factor float64) string { return d.label("rate", factor, factor == 1) },
			func(factor float64) *training.Train {
				task := base()
				task.LearningRate *= factor
				return task
			})},
		{heuristicBatch, evidence.NewAxis("batch size", c.BatchSizes, seeds,
			func(size int) string { return d.label("batch", float64(size), size == c.BatchSize) },
			func(size int) *training.Train {
				task := base()
				task.BatchSize = size
				return task
			})},
	}
	for _, p := range c.penalties() {
		label := func(v float64) string { return d.label(p.name, v, v == 0) }
		sweeps = append(sweeps, heuristicSweep{p.name, p.axis(seeds, base, label)})
	}
	for i := range sweeps {
		sweeps[i].axis.Group = d.name
	}
	return sweeps
}

// label names a run; all sweeps of an optimizer share its base.
func (d descent) label(what string, value float64, isBase bool) string {
	if isBase {
		return d.id + ", base"
	}
	return fmt.Sprintf("%s, %s %g", d.id, what, value)
}

// baseCell is an optimizer without any of the heuristics, togetherCell one with all of them.
func (c OptimizersConfig) baseCell(d descent, seeds []int64) evidence.Cell {
	return evidence.NewCell(d.id+", base", seeds, func() runs.Task { return c.base(d.optimizer) })
}

func (c OptimizersConfig) togetherCell(d descent, seeds []int64) evidence.Cell {
	return evidence.NewCell(d.id+", together", seeds, func() runs.Task { return c.together(d.optimizer) })
}

func designOptimizers(cfg OptimizersConfig, seeds []int64) (design evidence.Design) {
	for _, d := range descents {
		for _, s := range cfg.sweeps(d, seeds) {
			design.Axes = append(design.Axes, s.axis)
		}
		design.Cells = append(design.Cells, cfg.togetherCell(d, seeds))
	}
	return design
}

func reportOptimizers(cfg OptimizersConfig, seeds []int64, records *evidence.Records) (evidence.Findings, error) {
	var f evidence.Findings
	for _, d := range descents {
		own := cfg // with the optimizer's own learning rate
		own.LearningRate = cfg.base(d.optimizer).LearningRate
		caption := fmt.Sprintf("%s %s.", evidence.GCCaption(len(seeds)), own.Describe())
		figure := plots.Figure{Title: "Geometric complexity with " + d.name, Columns: 3, Caption: caption}
		for _, s := range cfg.sweeps(d, seeds) {
			direction := evidence.Falls
			if s.heuristic == heuristicBatch {
				direction = evidence.Rises // A smaller batch, a lower GC.
			}
			a := records.Along(s.axis)
			f.Claims = append(f.Claims, a.GCTrend(d.claim(s.heuristic), "train_gc", direction))
			f.Tables = append(f.Tables, a.Table(d.name+": "+a.Name))
			figure.Panels = append(figure.Panels, a.GCPanel(a.Name))
		}
		f.Claims = append(f.Claims, cfg.togetherClaim(d, seeds, records))
		f.Figures = append(f.Figures, evidence.NamedFigure{Name: "optimizers-" + d.id, Figure: figure})
	}
	return f, nil
}

// togetherClaim compares all heuristics at once with none.
func (c OptimizersConfig) togetherClaim(d descent, seeds []int64, records *evidence.Records) evidence.Claim {
	base, all := records.Of(c.baseCell(d, seeds)), records.Of(c.togetherCell(d, seeds))
	factors := make([]float64, len(seeds))
	for i := range seeds {
		factors[i] = all[i].FinalValue("train_gc") / base[i].FinalValue("train_gc")
	}
	note := fmt.Sprintf("GC %s without, %s with them; test accuracy %s and %s",
		evidence.MeanAndDeviation(base, evidence.AtEnd("train_gc")),
		evidence.MeanAndDeviation(all, evidence.AtEnd("train_gc")),
		evidence.MeanAndDeviation(base, evidence.AtEnd("test_accuracy")),
		evidence.MeanAndDeviation(all, evidence.AtEnd("test_accuracy")))
	return evidence.FactorClaim(d.claim(heuristicTogether), "GC with all over GC with none, at the last step", factors,
		evidence.Below(1), note)
}
