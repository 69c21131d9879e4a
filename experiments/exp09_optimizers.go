package experiments

import (
	"fmt"
	"math"
	"slices"

	"example.com/geometric-complexity/internal/plots"
	"example.com/geometric-complexity/internal/stats"
)

// OptimizersConfig configures experiment 09.
type OptimizersConfig struct {
	ImageTraining         // LearningRate is that of plain gradient descent
	MomentumRate  float64 `json:"momentum_rate"` // learning rate with momentum
	AdamRate      float64 `json:"adam_rate"`     // learning rate of Adam
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
		if err := fromZero(p.name, p.coefficients); err != nil {
			return err
		}
	}
	if err := rising("rate_factors", c.RateFactors); err != nil {
		return err
	}
	if err := rising("batch_sizes", c.BatchSizes); err != nil {
		return err
	}
	if !slices.Contains(c.RateFactors, 1) || !slices.Contains(c.BatchSizes, c.BatchSize) {
		return fmt.Errorf("1 must be among rate_factors and batch_size %d among batch_sizes, where the sweeps meet", c.BatchSize)
	}
	if !(c.MomentumRate > 0) || !(c.AdamRate > 0) {
		return fmt.Errorf("momentum_rate %g and adam_rate %g must be positive", c.MomentumRate, c.AdamRate)
	}
	return c.validate()
}

// penalties are the sweeps over a penalty's coefficient; their claims depend on
// the optimizer.
func (c OptimizersConfig) penalties() []penaltySweep {
	return []penaltySweep{
		{name: penaltyL2, title: "L2 penalty", coefficients: c.L2},
		{name: penaltySpectral, title: "spectral penalty", coefficients: c.Spectral},
		{name: penaltyFlatness, title: "flatness penalty", coefficients: c.Flatness},
		{name: penaltyGC, title: "GC penalty", coefficients: c.GC},
	}
}

// descents are the optimizers that are compared.
var descents = []struct{ optimizer, id, name string }{
	{"", "sgd", "plain gradient descent"},
	{OptimizerMomentum, "momentum", "momentum"},
	{OptimizerAdam, "adam", "Adam"},
}

// heuristics are what is claimed to lower GC, in the order of the claims; the
// penalties are in that of OptimizersConfig.penalties.
var heuristics = []struct{ id, text string }{
	{"rate", "a larger learning rate: lower GC"},
	{"batch", "a smaller batch: lower GC"},
	{penaltyL2, "more L2 regularization: lower GC"},
	{penaltySpectral, "more spectral regularization: lower GC"},
	{penaltyFlatness, "more flatness regularization: lower GC"},
	{penaltyGC, "penalizing GC lowers GC"},
	{"together", "all of these together lower GC"},
}

func optimizerClaims() (claims []ClaimText) {
	for _, d := range descents {
		for _, h := range heuristics {
			claims = append(claims, ClaimText{d.id + "-" + h.id, h.text + " (MLP, " + d.name + ")"})
		}
	}
	return claims
}

// Optimizers is experiment 09, from the paper's supplement: the same directions
// with other optimizers, on an MLP, and with all heuristics at once.
var Optimizers = &Definition[OptimizersConfig]{
	About: Info{Number: "09", Name: "optimizers", Title: "Momentum, Adam, and everything at once", Paper: "supplement",
		Claims: optimizerClaims(),
		Scales: map[Scale]string{
			Smoke:  "500 images, MLP of 2 hidden layers of 16 units, 20 steps, 3 optimizers, 2 values of each of 6 sweeps, 3 seeds",
			Laptop: "5,000 images, MLP of 2 hidden layers of 128 units, 600 steps, 3 optimizers, 3 values of each of 6 sweeps, 3 seeds",
			Paper:  "CIFAR-10, ResNet18 of 64 channels, 20,000 steps, 3 optimizers, 4 values of each of 6 sweeps, 3 seeds",
		}},
	Config: optimizersConfig,
	Seeds:  func(Scale) []int64 { return firstSeeds(3) },
	List:   listOptimizers,
	Report: reportOptimizers,
}

func optimizersConfig(scale Scale) OptimizersConfig {
	// Momentum of 0.9 makes steps ten times as long: a tenth of the rate. Adam's is
	// its usual one.
	cfg := OptimizersConfig{ImageTraining: paperResNet(), MomentumRate: 0.005, AdamRate: 1e-3, RateFactors: []float64{0.25, 0.5, 1, 2},
		BatchSizes: []int{64, 128, 256, 512}, L2: []float64{0, 1e-5, 1e-4, 1e-3}, Spectral: []float64{0, 1e-4, 1e-3, 1e-2},
		Flatness: []float64{0, 1e-4, 1e-3, 1e-2}, GC: []float64{0, 1e-6, 1e-5, 1e-4}}
	switch scale {
	case Laptop:
		// Three values of each sweep make 126 runs.
		cfg.ImageTraining, cfg.MomentumRate, cfg.RateFactors, cfg.BatchSizes = laptopMLP(), 0.01, []float64{0.5, 1, 2}, []int{32, 64, 128}
		cfg.Steps, cfg.Measurements, cfg.MeasureGC = 600, 5, 500
		cfg.L2, cfg.Spectral = []float64{0, 1e-3, 1e-2}, []float64{0, 1e-2, 1e-1}
		cfg.Flatness, cfg.GC = []float64{0, 1e-2, 1e-1}, []float64{0, 1e-3, 1e-2}
	case Smoke:
		cfg.ImageTraining, cfg.MomentumRate, cfg.RateFactors, cfg.BatchSizes = smokeMLP(), 0.01, []float64{0.5, 1}, []int{25, 50}
		cfg.Steps, cfg.Measurements, cfg.Measure, cfg.Test = 20, 2, 100, 100
		cfg.L2, cfg.Spectral, cfg.Flatness, cfg.GC = []float64{0, 1e-2}, []float64{0, 1e-1}, []float64{0, 1e-1}, []float64{0, 1e-2}
	}
	return cfg
}

// rate is the learning rate of an optimizer.
func (c OptimizersConfig) rate(optimizer string) float64 {
	return map[string]float64{"": c.LearningRate, OptimizerMomentum: c.MomentumRate, OptimizerAdam: c.AdamRate}[optimizer]
}

// base is the training with an optimizer that its sweeps vary from.
func (c OptimizersConfig) base(optimizer string) *Train {
	task := c.task()
	task.Optimizer, task.LearningRate = optimizer, c.rate(optimizer)
	return task
}

// together is a training with all heuristics at once: the largest rate and the
// smallest batch, and of each penalty the coefficient in the middle.
func (c OptimizersConfig) together(optimizer string) *Train {
	task := c.base(optimizer)
	task.LearningRate *= slices.Max(c.RateFactors)
	task.BatchSize = slices.Min(c.BatchSizes)
	task.Penalties = make(map[string]float64)
	for _, p := range c.penalties() {
		task.Penalties[p.name] = p.coefficients[len(p.coefficients)/2]
	}
	return task
}

// axes are an optimizer's sweeps, in the order of heuristics.
func (c OptimizersConfig) axes(id string, seeds []int64, done []Done) []axis {
	rate := func(factor float64) string { return c.label(id, "rate", factor, factor == 1) }
	batch := func(size int) string { return c.label(id, "batch", float64(size), size == c.BatchSize) }
	axes := []axis{
		{"learning rate factor", c.RateFactors, labelled(c.RateFactors, rate), done, seeds},
		{"batch size", asFloats(c.BatchSizes), labelled(c.BatchSizes, batch), done, seeds},
	}
	for _, p := range c.penalties() {
		label := func(v float64) string { return c.label(id, p.name, v, v == 0) }
		axes = append(axes, axis{p.title, p.coefficients, labelled(p.coefficients, label), done, seeds})
	}
	return axes
}

// label names a run; all sweeps of an optimizer share its base.
func (c OptimizersConfig) label(id, what string, value float64, isBase bool) string {
	if isBase {
		return id + ", base"
	}
	return fmt.Sprintf("%s, %s %g", id, what, value)
}

func listOptimizers(cfg OptimizersConfig, seeds []int64) ([]Run, error) {
	var runs []Run
	add := func(label string, task func() *Train) {
		for _, seed := range seeds {
			runs = append(runs, Run{Label: label, Seed: seed, Task: task()})
		}
	}
	for _, d := range descents {
		axes := cfg.axes(d.id, seeds, nil)
		for i, factor := range cfg.RateFactors {
			add(axes[0].labels[i], func() *Train {
				task := cfg.base(d.optimizer)
				task.LearningRate *= factor
				return task
			})
		}
		for i, size := range cfg.BatchSizes {
			add(axes[1].labels[i], func() *Train {
				task := cfg.base(d.optimizer)
				task.BatchSize = size
				return task
			})
		}
		for i, p := range cfg.penalties() {
			label := func(v float64) string { return axes[2+i].labels[slices.Index(p.coefficients, v)] }
			runs = append(runs, penaltyRuns(func() *Train { return cfg.base(d.optimizer) }, p.name, p.coefficients, seeds, label)...)
		}
		add(d.id+", together", func() *Train { return cfg.together(d.optimizer) })
	}
	return distinct(runs), nil
}

func reportOptimizers(cfg OptimizersConfig, seeds []int64, done []Done) (Findings, error) {
	var f Findings
	texts := optimizerClaims()
	caption := fmt.Sprintf("%s At the last step, but where it says best step: that of the best test accuracy. %s.", bandCaption(len(seeds)), cfg.describe())
	for _, d := range descents {
		figure := plots.Figure{Title: "Geometric complexity with " + d.name, Columns: 3, Caption: caption}
		for i, a := range cfg.axes(d.id, seeds, done) {
			c := below(0)
			if heuristics[i].id == "batch" {
				c = above(0) // A smaller batch, a lower GC.
			}
			f.Claims = append(f.Claims, a.trendOf(texts[len(f.Claims)], "GC", "train_gc", c))
			f.Tables = append(f.Tables, a.table(d.name+": "+a.name))
			figure.Panels = append(figure.Panels, a.gcPanel(a.name))
		}
		f.Claims = append(f.Claims, togetherClaim(texts[len(f.Claims)], d.id, seeds, done))
		f.Figures = append(f.Figures, NamedFigure{"optimizers-" + d.id, figure})
	}
	return f, nil
}

// togetherClaim compares all heuristics at once with none.
func togetherClaim(text ClaimText, id string, seeds []int64, done []Done) Claim {
	logGC := func(label string) (values []float64) {
		for _, r := range pick(done, label, seeds) {
			values = append(values, math.Log(r.FinalValue("train_gc")))
		}
		return values
	}
	base, all := pick(done, id+", base", seeds), pick(done, id+", together", seeds)
	note := fmt.Sprintf("GC %s without, %s with them; test accuracy %s and %s",
		meanAndDeviation(base, atEnd("train_gc")), meanAndDeviation(all, atEnd("train_gc")),
		meanAndDeviation(base, atEnd("test_accuracy")), meanAndDeviation(all, atEnd("test_accuracy")))
	return differenceClaim(text, "logarithm of GC with all minus that with none", stats.Paired(logGC(id+", together"), logGC(id+", base")), below(0), note)
}
