package experiments

import (
	"fmt"
	"math"
	"slices"

	"github.com/geometric-complexity/toolkit/experiments/evidence"
	"github.com/geometric-complexity/toolkit/experiments/experiment"
	"github.com/geometric-complexity/toolkit/experiments/training"
	"github.com/geometric-complexity/toolkit/internal/plots"
)

// ImplicitRegularizationConfig configures experiment 06.
type ImplicitRegularizationConfig struct {
	training.ImageTraining
	LearningRates []float64 `json:"learning_rates"` // at batch_size
	BatchSizes    []int     `json:"batch_sizes"`    // at learning_rate
}

// Validate returns an error for values that make no sense.
func (c *ImplicitRegularizationConfig) Validate() error {
	if err := evidence.Rising("learning_rates", c.LearningRates); err != nil {
		return err
	}
	if err := evidence.Rising("batch_sizes", c.BatchSizes); err != nil {
		return err
	}
	if !slices.Contains(c.LearningRates, c.LearningRate) || !slices.Contains(c.BatchSizes, c.BatchSize) {
		return fmt.Errorf("learning_rate %g and batch_size %d must be among learning_rates and batch_sizes, where the sweeps meet", c.LearningRate, c.BatchSize)
	}
	if c.BatchSizes[0] < 1 {
		return fmt.Errorf("batch_sizes: %d is not positive", c.BatchSizes[0])
	}
	return c.ValidateTraining()
}

var (
	claimRateGC  = evidence.ClaimText{ID: "rate-lowers-gc", Text: "a larger learning rate: lower GC"}
	claimBatchGC = evidence.ClaimText{ID: "batch-lowers-gc",
		Text: "a smaller batch: lower GC (equal numbers of steps)"}
	claimBatchGCExamples = evidence.ClaimText{ID: "batch-lowers-gc-examples",
		Text: "a smaller batch: lower GC (equal numbers of examples)"}
	claimRateAccuracy = evidence.ClaimText{ID: "rate-raises-accuracy",
		Text: "a larger learning rate: higher test accuracy"}
	claimBatchAccuracy = evidence.ClaimText{ID: "batch-raises-accuracy",
		Text: "a smaller batch: higher test accuracy (equal numbers of steps)"}
	claimBatchAccuracyBudget = evidence.ClaimText{ID: "batch-raises-accuracy-examples",
		Text: "a smaller batch: higher test accuracy (equal numbers of examples)"}
)

// ImplicitRegularization is experiment 06, the paper's Figure 4: large learning
// rates and small batches. What a small batch does depends on what is kept equal:
// at equal steps it sees fewer examples, at equal examples it makes more steps.
var ImplicitRegularization = &experiment.Definition[ImplicitRegularizationConfig]{
	About: experiment.Info{Number: "06", Name: "implicit-regularization",
		Title: "Implicit regularization by learning rate and batch size", Paper: "Figure 4",
		Question: "Do high learning rates and small batches lower GC?",
		Claims: []evidence.ClaimText{claimRateGC, claimBatchGC, claimBatchGCExamples, claimRateAccuracy, claimBatchAccuracy,
			claimBatchAccuracyBudget},
		Scales: map[experiment.Scale]string{
			experiment.Smoke:  "200 images, ResNet18 of 1 channel, 6 steps, 2 learning rates and 2 batch sizes, 3 seeds",
			experiment.Laptop: "5,000 images, ResNet18 of 4 channels, 300 steps, 4 learning rates and 4 batch sizes, 3 seeds",
			experiment.Desk:   "10,000 images of CIFAR-10, ResNet18 of 8 channels, 2,500 steps, 5 learning rates and 5 batch sizes, 5 seeds",
			experiment.Paper:  "CIFAR-10, ResNet18 of 64 channels, 20,000 steps, 6 learning rates and 6 batch sizes, 5 seeds",
		}},
	Config: implicitRegularizationConfig,
	Seeds:  seedsPerScale(3, 3, 5, 5),
	Design: designImplicitRegularization,
	Report: reportImplicitRegularization,
}

func implicitRegularizationConfig(scale experiment.Scale) ImplicitRegularizationConfig {
	// The grids are this toolkit's own, near what is remembered of the paper's: rates from 0.005 to
	// 0.2, batches from 8 to 1024.
	cfg := ImplicitRegularizationConfig{ImageTraining: paperResNet(),
		LearningRates: []float64{0.005, 0.01, 0.02, 0.05, 0.1, 0.2},
		BatchSizes:    []int{32, 64, 128, 256, 512, 1024}}
	switch scale {
	case experiment.Desk:
		cfg.ImageTraining, cfg.LearningRates, cfg.BatchSizes = deskResNet(), []float64{0.02, 0.05, 0.1, 0.2, 0.4},
			[]int{32, 64, 128, 256, 512}
	case experiment.Laptop:
		cfg.ImageTraining, cfg.LearningRates, cfg.BatchSizes = laptopResNet(), []float64{0.02, 0.05, 0.1, 0.2},
			[]int{16, 32, 64, 128}
	case experiment.Smoke:
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

// setting trains at a learning rate and a batch size for a number of steps.
func (c ImplicitRegularizationConfig) setting(rate float64, batch int, steps int64) *training.Train {
	task := c.Task()
	task.LearningRate, task.BatchSize, task.Steps = rate, batch, steps
	return task
}

// rateAxis sweeps the learning rate.
func (c ImplicitRegularizationConfig) rateAxis(seeds []int64) evidence.Axis {
	return evidence.NewAxis("learning rate", c.LearningRates, seeds,
		func(rate float64) string { return settingLabel(rate, c.BatchSize, c.Steps) },
		func(rate float64) *training.Train { return c.setting(rate, c.BatchSize, c.Steps) })
}

// batchAxis sweeps the batch size; steps gives the number of steps at each.
func (c ImplicitRegularizationConfig) batchAxis(group string, steps func(batch int) int64,
	seeds []int64) evidence.Axis {
	a := evidence.NewAxis("batch size", c.BatchSizes, seeds,
		func(batch int) string { return settingLabel(c.LearningRate, batch, steps(batch)) },
		func(batch int) *training.Train { return c.setting(c.LearningRate, batch, steps(batch)) })
	a.Group = group
	return a
}

func (c ImplicitRegularizationConfig) equalStepsAxis(seeds []int64) evidence.Axis {
	return c.batchAxis("equal numbers of steps", func(int) int64 { return c.Steps }, seeds)
}

func (c ImplicitRegularizationConfig) equalExamplesAxis(seeds []int64) evidence.Axis {
	return c.batchAxis("equal numbers of examples", c.equalExamples, seeds)
}

func designImplicitRegularization(cfg ImplicitRegularizationConfig, seeds []int64) evidence.Design {
	return evidence.Design{Axes: []evidence.Axis{cfg.rateAxis(seeds), cfg.equalStepsAxis(seeds),
		cfg.equalExamplesAxis(seeds)}}
}

func reportImplicitRegularization(cfg ImplicitRegularizationConfig, seeds []int64,
	records *evidence.Records) (evidence.Findings, error) {
	rate := records.Along(cfg.rateAxis(seeds))
	steps, examples := records.Along(cfg.equalStepsAxis(seeds)), records.Along(cfg.equalExamplesAxis(seeds))
	caption := fmt.Sprintf("%s Where nothing else is swept: %s.",
		evidence.GCCaption(len(seeds)), cfg.Describe())
	return evidence.Findings{
		Claims: []evidence.Claim{
			rate.GCTrend(claimRateGC, "train_gc", evidence.Falls),
			steps.GCTrend(claimBatchGC, "train_gc", evidence.Rises),
			examples.GCTrend(claimBatchGCExamples, "train_gc", evidence.Rises),
			rate.AccuracyTrend(claimRateAccuracy, evidence.Rises),
			steps.AccuracyTrend(claimBatchAccuracy, evidence.Falls),
			examples.AccuracyTrend(claimBatchAccuracyBudget, evidence.Falls),
		},
		Tables: []evidence.Table{rate.Table("Learning rate"), steps.Table("Batch size, equal numbers of steps"),
			examples.Table("Batch size, equal numbers of examples")},
		Figures: []evidence.NamedFigure{
			{Name: "implicit-regularization", Figure: plots.Figure{Title: "Learning rate, batch size and geometric complexity",
				Columns: 3, Caption: caption, Panels: []plots.Panel{
					rate.GCPanel("learning rate"), steps.GCPanel("batch size, equal steps"),
					examples.GCPanel("batch size, equal examples"),
					rate.AccuracyPanel("learning rate"), steps.AccuracyPanel("batch size, equal steps"),
					examples.AccuracyPanel("batch size, equal examples")}}},
			{Name: "training-rate", Figure: rate.Training("Training at different learning rates", cfg.Describe()+".")},
			{Name: "training-batch-steps",
				Figure: steps.Training("Training with different batch sizes, equal numbers of steps", cfg.Describe()+".")},
			{Name: "training-batch-examples",
				Figure: examples.Training("Training with different batch sizes, equal numbers of examples", cfg.Describe()+".")},
		}}, nil
}
