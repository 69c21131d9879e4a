package experiments

import (
	"fmt"

	"example.com/geometric-complexity/datasets"
	"example.com/geometric-complexity/internal/plots"
	"example.com/geometric-complexity/internal/stats"
)

// DemoConfig configures the demonstration.
type DemoConfig struct {
	HiddenLayers int     `json:"hidden_layers"`
	Width        int     `json:"width"`
	LearningRate float64 `json:"learning_rate"`
	BatchSize    int     `json:"batch_size"`
	Steps        int64   `json:"steps"`
	Coefficient  float64 `json:"coefficient"` // of the GC penalty
}

// Validate returns an error for values that make no sense.
func (c *DemoConfig) Validate() error {
	if !(c.Coefficient > 0) {
		return fmt.Errorf("coefficient %g is not positive: the demonstration compares with and without a penalty", c.Coefficient)
	}
	return nil
}

// Demo trains one network on the embedded Fashion-MNIST images without and with
// the GC penalty, from the same seeds. It makes no claim: experiment 05 does.
var Demo = &Definition[DemoConfig]{
	About: Info{Name: "demo", Title: "A network without and with the geometric complexity penalty", Paper: "supplement"},
	Config: func(Scale) DemoConfig {
		// All six runs took 27 s of CPU time on the pure-Go backend; 500 steps took 47 s.
		return DemoConfig{HiddenLayers: 2, Width: 128, LearningRate: 0.1, BatchSize: 100, Steps: 300, Coefficient: 0.01}
	},
	Seeds:  func(Scale) []int64 { return firstSeeds(3) },
	List:   listDemo,
	Report: reportDemo,
}

const (
	demoWithout = "without penalty"
	demoWith    = "with penalty"
)

func listDemo(cfg DemoConfig, seeds []int64) ([]Run, error) {
	var runs []Run
	for _, seed := range seeds {
		for _, label := range []string{demoWithout, demoWith} {
			task := &Train{Data: Data{Name: datasets.NameFashionMNISTSubset, Measure: 1000},
				Network: MLP(cfg.HiddenLayers, cfg.Width), LearningRate: cfg.LearningRate, BatchSize: cfg.BatchSize,
				Steps: cfg.Steps, Measurements: 10}
			if label == demoWith {
				task.Penalties = map[string]float64{"gc": cfg.Coefficient}
			}
			runs = append(runs, Run{Label: label, Seed: seed, Task: task})
		}
	}
	return runs, nil
}

// demoQuantities are the rows of the table, each with the decimals it is given to.
var demoQuantities = []struct {
	name, key string
	decimals  int
}{
	{"train loss", "train_loss", 4},
	{"test loss", "test_loss", 4},
	{"test accuracy", "test_accuracy", 4},
	{"GC, training data", "train_gc", 3},
	{"GC, test data", "test_gc", 3},
}

func reportDemo(cfg DemoConfig, seeds []int64, done []Done) (Findings, error) {
	without, with := pick(done, demoWithout, seeds), pick(done, demoWith, seeds)
	table := Table{Header: []string{"", demoWithout, demoWith, "difference"},
		Notes: fmt.Sprintf("MLP of %d hidden layers of %d units on 5,000 Fashion-MNIST images, %d steps of gradient descent at rate %g, "+
			"batch %d; penalty %g x GC. Mean over seeds %s; differences are paired by seed, ± their standard deviation. "+
			"Losses are cross-entropies without the penalty; GC is the mean over examples of the squared Frobenius norm of the logits' Jacobian.",
			cfg.HiddenLayers, cfg.Width, cfg.Steps, cfg.LearningRate, cfg.BatchSize, cfg.Coefficient, joinInts(seeds))}
	for _, q := range demoQuantities {
		a, b := finals(without, q.key), finals(with, q.key)
		meanA, _ := stats.MeanStd(a)
		meanB, _ := stats.MeanStd(b)
		difference := stats.Paired(b, a)
		change := fmt.Sprintf("%+.*f", q.decimals, difference.Mean)
		if len(difference.PerSeed) > 1 {
			_, std := stats.MeanStd(difference.PerSeed)
			change += fmt.Sprintf(" ± %.*f", q.decimals, std)
		}
		table.Rows = append(table.Rows, []string{q.name, fmt.Sprintf("%.*f", q.decimals, meanA), fmt.Sprintf("%.*f", q.decimals, meanB), change})
	}
	return Findings{Tables: []Table{table}, Figures: []NamedFigure{{"demo", demoFigure(cfg, seeds, without, with)}}}, nil
}

func demoFigure(cfg DemoConfig, seeds []int64, without, with []*Record) plots.Figure {
	name := fmt.Sprintf("with penalty %g x GC", cfg.Coefficient)
	panel := func(title, label, quantity string, logY bool) plots.Panel {
		return plots.Panel{Title: title, XLabel: "step", YLabel: label, LogY: logY, Series: []plots.Series{
			alongTraining(demoWithout, without, quantity), alongTraining(name, with, quantity)}}
	}
	return plots.Figure{Title: "Training on Fashion-MNIST without and with the geometric complexity penalty",
		Caption: bandCaption(len(seeds)) + " GC is of the logits with respect to pixels in [0, 1]; losses are without the penalty.",
		Panels: []plots.Panel{
			panel("geometric complexity", "GC on training data", "train_gc", false),
			panel("test accuracy", "fraction right", "test_accuracy", false),
			panel("test loss", "cross-entropy (nats)", "test_loss", false),
		}}
}
