package experiments

import (
	"errors"
	"fmt"

	"github.com/geometric-complexity/toolkit/experiments/evidence"
	"github.com/geometric-complexity/toolkit/experiments/experiment"
	"github.com/geometric-complexity/toolkit/experiments/runs"
	"github.com/geometric-complexity/toolkit/experiments/training"
	"github.com/geometric-complexity/toolkit/internal/plots"
	"github.com/geometric-complexity/toolkit/internal/stats"
)

// TransferConfig configures experiment 07.
type TransferConfig struct {
	training.ImageTraining
	Examples int `json:"examples"` // training examples at which both sides are worked out
}

// Validate returns an error for values that make no sense.
func (c *TransferConfig) Validate() error {
	if c.Network != training.KindMLP {
		return fmt.Errorf("network: the inequality is for dense layers, not for a %s", c.Network)
	}
	if c.Examples < 1 {
		return errors.New("examples: at least 1 is needed")
	}
	return c.ValidateTraining()
}

// transferTolerance bounds by how much rounding may push the ratio of equal sides above 1.
const transferTolerance = 1e-9

var (
	claimTransferHolds = evidence.ClaimText{ID: "never-violated", Text: "the transfer inequality is never violated",
		Proven: true}
	claimFollowsWithBias = evidence.ClaimText{ID: "follows-gradient",
		Text: "GC follows the squared norm of the parameter gradient along training (with biases)"}
	claimFollowsWithoutBias = evidence.ClaimText{ID: "follows-gradient-no-bias",
		Text: "GC follows the squared norm of the parameter gradient along training (without biases)"}
)

// Transfer is experiment 07, the theorem of the paper's Section 5 along training:
// the gradient with respect to the parameters bounds the one with respect to the
// input, so that pressure on the former is pressure on GC.
var Transfer = &experiment.Definition[TransferConfig]{
	About: experiment.Info{Number: "07", Name: "transfer-inequality",
		Title: "From the parameter gradient to geometric complexity", Paper: "Section 5",
		Question: "Does the parameter gradient bound GC in training?",
		Claims:   []evidence.ClaimText{claimTransferHolds, claimFollowsWithBias, claimFollowsWithoutBias},
		Scales: map[experiment.Scale]string{
			experiment.Smoke:  "500 images, MLPs of 2 hidden layers of 16 units, 60 steps, both sides at 10 examples, 3 seeds",
			experiment.Laptop: "5,000 images, MLPs of 3 hidden layers of 128 units, 2,000 steps, both sides at 25 examples, 5 seeds",
			experiment.Desk:   "MNIST, MLPs of 3 hidden layers of 256 units, 5,000 steps, both sides at 25 examples, 10 seeds",
			experiment.Paper:  "5,000 images, MLPs of 3 hidden layers of 500 units, 20,000 steps, both sides at 200 examples, 10 seeds",
		}},
	Config: transferConfig,
	Seeds:  seedsPerScale(3, 5, 10, 10),
	Design: designTransfer,
	Report: reportTransfer,
}

func transferConfig(scale experiment.Scale) TransferConfig {
	// The paper proves the theorem and has no experiment on it. The network is the one of
	// experiment 05.
	cfg := TransferConfig{ImageTraining: laptopMLP(), Examples: 25}
	cfg.HiddenLayers, cfg.Measurements = 3, 20
	switch scale {
	case experiment.Desk:
		cfg.ImageTraining = deskMLP()
		cfg.HiddenLayers, cfg.LogSpaced = 3, false // It is always so here.
	case experiment.Paper:
		cfg.Width, cfg.Steps, cfg.Examples = 500, 20000, 200
	case experiment.Smoke:
		cfg.ImageTraining, cfg.Examples = smokeMLP(), 10
		cfg.Measurements = 6
	}
	return cfg
}

const (
	withBiases    = "with biases"
	withoutBiases = "without biases"
)

// biasAxis trains a network with biases, a bias for each unit, and one without.
func (c TransferConfig) biasAxis(seeds []int64) evidence.Axis {
	label := func(biases int) string {
		if biases == 0 {
			return withoutBiases
		}
		return withBiases
	}
	return evidence.NewAxis("biases", []int{1, 0}, seeds, label, func(biases int) *training.Train {
		task := c.Task()
		task.Transfer, task.LogSpaced, task.Network.NoBias = c.Examples, true, biases == 0
		return task
	})
}

func designTransfer(cfg TransferConfig, seeds []int64) evidence.Design {
	return evidence.Design{Axes: []evidence.Axis{cfg.biasAxis(seeds)}}
}

// rankAlong is the rank correlation of two values along each run.
func rankAlong(records []*runs.Record, a, b string) (perSeed []float64) {
	for _, r := range records {
		_, x := evidence.Series(r, a)
		_, y := evidence.Series(r, b)
		perSeed = append(perSeed, stats.Spearman(x, y))
	}
	return perSeed
}

func reportTransfer(cfg TransferConfig, seeds []int64, records *evidence.Records) (evidence.Findings, error) {
	sweep := records.Along(cfg.biasAxis(seeds))
	biased, unbiased := sweep.Records[0], sweep.Records[1]
	largest := make([]float64, len(seeds))
	points := 0
	for i := range seeds {
		for _, r := range []*runs.Record{biased[i], unbiased[i]} {
			for _, p := range r.Points {
				largest[i] = max(largest[i], p.Value("transfer_ratio")) // NaN if one is
				points++
			}
		}
	}
	const statistic = "GC with the squared norm of the parameter gradient"
	return evidence.Findings{
		Claims: []evidence.Claim{
			evidence.LimitClaim(claimTransferHolds, "largest left side / right side", largest, 1+transferTolerance,
				fmt.Sprintf("%d examples at each of %d points of training", cfg.Examples, points)),
			evidence.RankClaim(claimFollowsWithBias, statistic, rankAlong(biased, "transfer_gc", "parameter_gradient"),
				evidence.Above(0), ""),
			evidence.RankClaim(claimFollowsWithoutBias, statistic, rankAlong(unbiased, "transfer_gc", "parameter_gradient"),
				evidence.Above(0), ""),
		},
		Tables:  []evidence.Table{transferTable(cfg, seeds, biased, unbiased)},
		Figures: []evidence.NamedFigure{{Name: "transfer-inequality", Figure: transferFigure(cfg, seeds, biased, unbiased)}},
	}, nil
}

func transferTable(cfg TransferConfig, seeds []int64, biased, unbiased []*runs.Record) evidence.Table {
	t := evidence.Table{Title: "At the last step",
		Header: []string{"network", "GC", "left side", "right side", "largest ratio", "test accuracy"},
		Notes: evidence.NotesOn(fmt.Sprintf("Mean ± standard deviation over %d seeds; the sides are means over %d training examples, "+
			"the ratio is the largest of them. %s.", len(seeds), cfg.Examples, cfg.Describe()), biased, unbiased)}
	for _, row := range []struct {
		name    string
		records []*runs.Record
	}{{withBiases, biased}, {withoutBiases, unbiased}} {
		cells := []string{row.name}
		for _, name := range []string{"transfer_gc", "transfer_left", "parameter_gradient", "transfer_ratio",
			"test_accuracy"} {
			cells = append(cells, evidence.MeanAndDeviation(row.records, evidence.AtEnd(name)))
		}
		t.Rows = append(t.Rows, cells)
	}
	return t
}

func transferFigure(cfg TransferConfig, seeds []int64, biased, unbiased []*runs.Record) plots.Figure {
	f := plots.Figure{Title: "Both sides of the transfer inequality along training", Columns: 3,
		Caption: fmt.Sprintf("%s Means over %d training examples. Left side: ‖∂f/∂x‖² Σ (1 + ‖h‖²)/(‖W‖²‖∂h/∂x‖²), right side: ‖∂f/∂θ‖². Step 0 stands apart at the left. %s.",
			evidence.BandCaption(len(seeds)), cfg.Examples, cfg.Describe())}
	for _, row := range []struct {
		name    string
		records []*runs.Record
	}{{withBiases, biased}, {withoutBiases, unbiased}} {
		f.Panels = append(f.Panels,
			plots.Panel{Title: row.name, XLabel: "step", YLabel: "squared norms", LogX: true, ZeroX: true, LogY: true,
				Series: []plots.Series{evidence.AlongTraining("right side, parameter gradient", row.records, "parameter_gradient"),
					evidence.AlongTraining("left side", row.records, "transfer_left"),
					evidence.AlongTraining("GC", row.records, "transfer_gc")}})
	}
	ratio := plots.Panel{Title: "largest left side / right side", XLabel: "step", YLabel: "ratio", LogX: true, ZeroX: true}
	for _, row := range []struct {
		name    string
		records []*runs.Record
	}{{withBiases, biased}, {withoutBiases, unbiased}} {
		ratio.Series = append(ratio.Series, evidence.AlongTraining(row.name, row.records, "transfer_ratio"))
	}
	ratio.Series = append(ratio.Series,
		plots.Series{Name: "limit", X: []float64{1, float64(cfg.Steps)}, Y: []float64{1, 1}, Dashed: true, Reference: true})
	f.Panels = append(f.Panels, ratio)
	return f
}
