package experiments

import (
	"fmt"
	"math"
	"slices"

	"example.com/geometric-complexity/internal/plots"
)

// ImplicitRegularizationConfig configures experiment 06.
type ImplicitRegularizationConfig struct {
	ImageTraining
	LearningRates []float64 `json:"learning_rates"` // at batch_size
	BatchSizes    []int     `json:"batch_sizes"`    // at learning_rate
}

// Validate returns an error for values that make no sense.
func (c *ImplicitRegularizationConfig) Validate() error {
	if err := rising("learning_rates", c.LearningRates); err != nil {
		return err
	}
	if err := rising("batch_sizes", c.BatchSizes); err != nil {
		return err
	}
	if !slices.Contains(c.LearningRates, c.LearningRate) || !slices.Contains(c.BatchSizes, c.BatchSize) {
		return fmt.Errorf("learning_rate %g and batch_size %d must be among learning_rates and batch_sizes, where the sweeps meet", c.LearningRate, c.BatchSize)
	}
	if c.BatchSizes[0] < 1 {
		return fmt.Errorf("batch_sizes: %d is not positive", c.BatchSizes[0])
	}
	return c.validate()
}

var (
	claimRateGC              = ClaimText{"rate-lowers-gc", "a larger learning rate: lower GC"}
	claimBatchGC             = ClaimText{"batch-lowers-gc", "a smaller batch: lower GC (equal numbers of steps)"}
	claimBatchGCExamples     = ClaimText{"batch-lowers-gc-examples", "a smaller batch: lower GC (equal numbers of examples)"}
	claimRateAccuracy        = ClaimText{"rate-raises-accuracy", "a larger learning rate: higher test accuracy"}
	claimBatchAccuracy       = ClaimText{"batch-raises-accuracy", "a smaller batch: higher test accuracy (equal numbers of steps)"}
	claimBatchAccuracyBudget = ClaimText{"batch-raises-accuracy-examples", "a smaller batch: higher test accuracy (equal numbers of examples)"}
)

// ImplicitRegularization is experiment 06, the paper's Figure 4: large learning
// rates and small batches. What a small batch does depends on what is kept equal:
// at equal steps it sees fewer examples, at equal examples it makes more steps.
var ImplicitRegularization = &Definition[ImplicitRegularizationConfig]{
	About: Info{Number: "06", Name: "implicit-regularization", Title: "Implicit regularization by learning rate and batch size", Paper: "Figure 4",
		Claims: []ClaimText{claimRateGC, claimBatchGC, claimBatchGCExamples, claimRateAccuracy, claimBatchAccuracy, claimBatchAccuracyBudget},
		Scales: map[Scale]string{
			Smoke:  "200 images, ResNet18 of 1 channel, 6 steps, 2 learning rates and 2 batch sizes, 3 seeds",
			Laptop: "5,000 images, ResNet18 of 4 channels, 300 steps, 4 learning rates and 4 batch sizes, 3 seeds",
			Paper:  "CIFAR-10, ResNet18 of 64 channels, 20,000 steps, 6 learning rates and 6 batch sizes, 5 seeds",
		}},
	Config: implicitRegularizationConfig,
	Seeds:  func(s Scale) []int64 { return firstSeeds(map[Scale]int{Smoke: 3, Laptop: 3, Paper: 5}[s]) },
	List:   listImplicitRegularization,
	Report: reportImplicitRegularization,
}

func implicitRegularizationConfig(scale Scale) ImplicitRegularizationConfig {
	// The grids are our own, about what is remembered of the paper's: rates from
	// 0.005 to 0.2, batches from 8 to 1024.
	cfg := ImplicitRegularizationConfig{ImageTraining: paperResNet(), LearningRates: []float64{0.005, 0.01, 0.02, 0.05, 0.1, 0.2},
		BatchSizes: []int{32, 64, 128, 256, 512, 1024}}
	switch scale {
	case Laptop:
		cfg.ImageTraining, cfg.LearningRates, cfg.BatchSizes = laptopResNet(), []float64{0.02, 0.05, 0.1, 0.2}, []int{16, 32, 64, 128}
	case Smoke:
		cfg.ImageTraining, cfg.LearningRates, cfg.BatchSizes = smokeResNet(), []float64{0.02, 0.1}, []int{10, 20}
	}
	return cfg
}

// settingLabel names a run by all that the sweeps vary.
func settingLabel(rate float64, batch int, steps int64) string {
	return fmt.Sprintf("rate %g, batch %d, %d steps", rate, batch, steps)
}

// equalExamples is the number of steps at a batch size that sees as many examples
// as the configuration's own.
func (c ImplicitRegularizationConfig) equalExamples(batch int) int64 {
	return int64(math.Round(float64(c.Steps) * float64(c.BatchSize) / float64(batch)))
}

func (c ImplicitRegularizationConfig) rateAxis(seeds []int64, done []Done) axis {
	return axis{"learning rate", c.LearningRates,
		labelled(c.LearningRates, func(rate float64) string { return settingLabel(rate, c.BatchSize, c.Steps) }), done, seeds}
}

// batchAxis is the sweep over batch sizes at the steps given for each.
func (c ImplicitRegularizationConfig) batchAxis(steps func(batch int) int64, seeds []int64, done []Done) axis {
	return axis{"batch size", asFloats(c.BatchSizes),
		labelled(c.BatchSizes, func(batch int) string { return settingLabel(c.LearningRate, batch, steps(batch)) }), done, seeds}
}

func (c ImplicitRegularizationConfig) equalSteps(int) int64 { return c.Steps }

func listImplicitRegularization(cfg ImplicitRegularizationConfig, seeds []int64) ([]Run, error) {
	var runs []Run
	add := func(rate float64, batch int, steps int64) {
		for _, seed := range seeds {
			task := cfg.task()
			task.LearningRate, task.BatchSize, task.Steps = rate, batch, steps
			runs = append(runs, Run{Label: settingLabel(rate, batch, steps), Seed: seed, Task: task})
		}
	}
	for _, rate := range cfg.LearningRates {
		add(rate, cfg.BatchSize, cfg.Steps)
	}
	for _, batch := range cfg.BatchSizes {
		add(cfg.LearningRate, batch, cfg.Steps)
		add(cfg.LearningRate, batch, cfg.equalExamples(batch))
	}
	return distinct(runs), nil
}

func reportImplicitRegularization(cfg ImplicitRegularizationConfig, seeds []int64, done []Done) (Findings, error) {
	rate := cfg.rateAxis(seeds, done)
	steps, examples := cfg.batchAxis(cfg.equalSteps, seeds, done), cfg.batchAxis(cfg.equalExamples, seeds, done)
	const gc, accuracy = "train_gc", "test_accuracy"
	caption := fmt.Sprintf("%s At the last step, but where it says best step: that of the best test accuracy. Where nothing else is swept: %s.",
		bandCaption(len(seeds)), cfg.describe())
	return Findings{
		Claims: []Claim{
			rate.trendOf(claimRateGC, "GC", gc, below(0)),
			steps.trendOf(claimBatchGC, "GC", gc, above(0)),
			examples.trendOf(claimBatchGCExamples, "GC", gc, above(0)),
			rate.trendOf(claimRateAccuracy, "test accuracy", accuracy, above(0)),
			steps.trendOf(claimBatchAccuracy, "test accuracy", accuracy, below(0)),
			examples.trendOf(claimBatchAccuracyBudget, "test accuracy", accuracy, below(0)),
		},
		Tables: []Table{rate.table("Learning rate"), steps.table("Batch size, equal numbers of steps"), examples.table("Batch size, equal numbers of examples")},
		Figures: []NamedFigure{
			{"implicit-regularization", plots.Figure{Title: "Learning rate, batch size and geometric complexity", Columns: 3, Caption: caption, Panels: []plots.Panel{
				rate.gcPanel("learning rate"), steps.gcPanel("batch size, equal steps"), examples.gcPanel("batch size, equal examples"),
				rate.accuracyPanel("learning rate"), steps.accuracyPanel("batch size, equal steps"), examples.accuracyPanel("batch size, equal examples")}}},
			{"training-rate", rate.training("Training at different learning rates", cfg.describe()+".")},
			{"training-batch-steps", steps.training("Training with different batch sizes, equal numbers of steps", cfg.describe()+".")},
			{"training-batch-examples", examples.training("Training with different batch sizes, equal numbers of examples", cfg.describe()+".")},
		}}, nil
}
