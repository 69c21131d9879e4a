package experiments

import (
	"fmt"

	"github.com/geometric-complexity/toolkit/datasets"
	"github.com/geometric-complexity/toolkit/experiments/evidence"
	"github.com/geometric-complexity/toolkit/experiments/experiment"
	"github.com/geometric-complexity/toolkit/experiments/runs"
	"github.com/geometric-complexity/toolkit/experiments/training"
	"github.com/geometric-complexity/toolkit/internal/plots"
	"github.com/geometric-complexity/toolkit/internal/stats"
)

// DemoConfig configures the demonstration.
type DemoConfig struct {
	Train        int     `json:"train"`       // training images; 0 for all 5,000
	LabelNoise   float64 `json:"label_noise"` // fraction of them that get a wrong label
	HiddenLayers int     `json:"hidden_layers"`
	Width        int     `json:"width"`
	LearningRate float64 `json:"learning_rate"`
	BatchSize    int     `json:"batch_size"`
	Steps        int64   `json:"steps"`
	Coefficient  float64 `json:"coefficient"` // of the GC penalty
}

// Validate returns an error for values that make no sense.
func (c *DemoConfig) Validate() error {
	if !(c.LabelNoise >= 0 && c.LabelNoise < 1) {
		return fmt.Errorf("label_noise %g is not a fraction from 0 to below 1", c.LabelNoise)
	}
	if !(c.Coefficient > 0) {
		return fmt.Errorf("coefficient %g is not positive: the demonstration compares with and without a penalty",
			c.Coefficient)
	}
	return nil
}

// Demo trains one network on embedded Fashion-MNIST images, a fifth of which have wrong labels,
// without and with the GC penalty, from the same seeds. It makes no claim: experiment 05 does.
var Demo = &experiment.Definition[DemoConfig]{
	About: experiment.Info{Name: "demo", Title: "Wrong labels, without and with the geometric complexity penalty",
		Question: "What does the penalty do to a network that some labels mislead?", Paper: "supplement"},
	Config: func(experiment.Scale) DemoConfig {
		// The coefficient is where the rule of docs/coefficient.md ends on other seeds.
		return DemoConfig{Train: 1000, LabelNoise: 0.2, HiddenLayers: 2, Width: 128, LearningRate: 0.1, BatchSize: 100,
			Steps: 1500, Coefficient: 0.01}
	},
	Seeds:  seedsPerScale(3, 3, 3, 3),
	Design: designDemo,
	Report: reportDemo,
}

const (
	demoWithout = "without penalty"
	demoWith    = "with penalty"
)

// axis trains without and with the penalty.
func (c DemoConfig) axis(seeds []int64) evidence.Axis {
	label := func(coefficient float64) string {
		if coefficient == 0 {
			return demoWithout
		}
		return demoWith
	}
	return evidence.NewAxis("coefficient", []float64{0, c.Coefficient}, seeds, label,
		func(coefficient float64) *training.Train {
			task := &training.Train{Data: training.Data{Name: datasets.NameFashionMNISTSubset, Train: c.Train,
				LabelNoise: c.LabelNoise},
				Network: training.MLP(c.HiddenLayers, c.Width), LearningRate: c.LearningRate, BatchSize: c.BatchSize,
				Steps: c.Steps, Measurements: 10}
			if coefficient != 0 {
				task.Penalties = map[string]float64{training.PenaltyGC: coefficient}
			}
			return task
		})
}

func designDemo(cfg DemoConfig, seeds []int64) evidence.Design {
	return evidence.Design{Axes: []evidence.Axis{cfg.axis(seeds)}}
}

// demoQuantities are the rows of the table, each with its number of decimals.
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

// images describes the training images.
func (c DemoConfig) images() string {
	n := c.Train
	if n == 0 {
		n = 5000
	}
	if c.LabelNoise == 0 {
		return fmt.Sprintf("%d Fashion-MNIST images", n)
	}
	return fmt.Sprintf("%d Fashion-MNIST images with %g %% wrong labels", n, 100*c.LabelNoise)
}

func reportDemo(cfg DemoConfig, seeds []int64, records *evidence.Records) (evidence.Findings, error) {
	sweep := records.Along(cfg.axis(seeds))
	without, with := sweep.Records[0], sweep.Records[1]
	table := evidence.Table{Header: []string{"", demoWithout, demoWith, "difference"},
		Notes: fmt.Sprintf("MLP of %d hidden layers of %d units on %s, %d steps of gradient descent at rate %g, "+
			"batch %d; penalty %g x GC. The test labels are right. Mean over seeds %s; differences are paired by seed, ± their "+
			"standard deviation. Losses are cross-entropies without the penalty; GC is the mean over examples of the squared "+
			"Frobenius norm of the logits' Jacobian.",
			cfg.HiddenLayers, cfg.Width, cfg.images(), cfg.Steps, cfg.LearningRate, cfg.BatchSize, cfg.Coefficient,
			evidence.JoinInts(seeds))}
	for _, q := range demoQuantities {
		a, b := evidence.Finals(without, q.key), evidence.Finals(with, q.key)
		meanA, _ := stats.MeanStd(a)
		meanB, _ := stats.MeanStd(b)
		difference := stats.Paired(b, a)
		change := fmt.Sprintf("%+.*f", q.decimals, difference.Mean)
		if len(difference.PerSeed) > 1 {
			_, std := stats.MeanStd(difference.PerSeed)
			change += fmt.Sprintf(" ± %.*f", q.decimals, std)
		}
		table.Rows = append(table.Rows,
			[]string{q.name, fmt.Sprintf("%.*f", q.decimals, meanA), fmt.Sprintf("%.*f", q.decimals, meanB), change})
	}
	return evidence.Findings{Tables: []evidence.Table{table},
		Figures: []evidence.NamedFigure{{Name: "demo", Figure: demoFigure(cfg, seeds, without, with)}}}, nil
}

func demoFigure(cfg DemoConfig, seeds []int64, without, with []*runs.Record) plots.Figure {
	name := fmt.Sprintf("with penalty %g x GC", cfg.Coefficient)
	panel := func(title, label, quantity string, logY bool) plots.Panel {
		return plots.Panel{Title: title, XLabel: "step", YLabel: label, LogY: logY, Series: []plots.Series{
			evidence.AlongTraining(demoWithout, without, quantity), evidence.AlongTraining(name, with, quantity)}}
	}
	return plots.Figure{Title: "Training on " + cfg.images() + ", without and with the penalty",
		Caption: evidence.BandCaption(len(seeds)) +
			" GC is of the logits with respect to pixels in [0, 1]; losses are without the penalty.",
		Panels: []plots.Panel{
			panel("geometric complexity", "GC on training data", "train_gc", false),
			panel("test accuracy, right labels", "fraction right", "test_accuracy", false),
			panel("test loss, right labels", "cross-entropy (nats)", "test_loss", false),
		}}
}
