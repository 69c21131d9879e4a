package experiments

import (
	"errors"
	"fmt"

	"example.com/geometric-complexity/internal/plots"
	"example.com/geometric-complexity/internal/stats"
)

// TransferConfig configures experiment 07.
type TransferConfig struct {
	ImageTraining
	Examples int `json:"examples"` // training examples at which both sides are worked out
}

// Validate returns an error for values that make no sense.
func (c *TransferConfig) Validate() error {
	if c.Network != kindMLP {
		return fmt.Errorf("network: the inequality is for dense layers, not for a %s", c.Network)
	}
	if c.Examples < 1 {
		return errors.New("examples: at least 1 is needed")
	}
	return c.validate()
}

// transferTolerance is how far rounding may carry an equality over its limit.
const transferTolerance = 1e-9

var (
	claimTransferHolds      = ClaimText{"never-violated", "the transfer inequality is never violated"}
	claimFollowsWithBias    = ClaimText{"follows-gradient", "GC follows the squared norm of the parameter gradient along training (with biases)"}
	claimFollowsWithoutBias = ClaimText{"follows-gradient-no-bias", "GC follows the squared norm of the parameter gradient along training (without biases)"}
)

// Transfer is experiment 07, the theorem of the paper's Section 5 along training:
// the gradient with respect to the parameters bounds the one with respect to the
// input, so that pressure on the former is pressure on GC.
var Transfer = &Definition[TransferConfig]{
	About: Info{Number: "07", Name: "transfer-inequality", Title: "From the parameter gradient to geometric complexity", Paper: "Section 5",
		Claims: []ClaimText{claimTransferHolds, claimFollowsWithBias, claimFollowsWithoutBias},
		Scales: map[Scale]string{
			Smoke:  "500 images, MLPs of 2 hidden layers of 16 units, 60 steps, both sides at 10 examples, 3 seeds",
			Laptop: "5,000 images, MLPs of 3 hidden layers of 128 units, 2,000 steps, both sides at 25 examples, 5 seeds",
			Paper:  "5,000 images, MLPs of 3 hidden layers of 500 units, 20,000 steps, both sides at 200 examples, 5 seeds",
		}},
	Config: transferConfig,
	Seeds:  func(s Scale) []int64 { return firstSeeds(map[Scale]int{Smoke: 3, Laptop: 5, Paper: 5}[s]) },
	List:   listTransfer,
	Report: reportTransfer,
}

func transferConfig(scale Scale) TransferConfig {
	// The paper has no such experiment: it proves the theorem. The network is that
	// of experiment 05.
	cfg := TransferConfig{ImageTraining: laptopMLP(), Examples: 25}
	cfg.HiddenLayers, cfg.Measurements = 3, 20
	switch scale {
	case Paper:
		cfg.Width, cfg.Steps, cfg.Examples = 500, 20000, 200
	case Smoke:
		cfg.ImageTraining, cfg.Examples = smokeMLP(), 10
		cfg.Measurements = 6
	}
	return cfg
}

const (
	withBiases    = "with biases"
	withoutBiases = "without biases"
)

func listTransfer(cfg TransferConfig, seeds []int64) (runs []Run, err error) {
	for _, label := range []string{withBiases, withoutBiases} {
		for _, seed := range seeds {
			task := cfg.task()
			task.Transfer, task.LogSpaced, task.Network.NoBias = cfg.Examples, true, label == withoutBiases
			runs = append(runs, Run{Label: label, Seed: seed, Task: task})
		}
	}
	return runs, nil
}

// along is the rank correlation of two values along each run.
func along(records []*Record, a, b string) stats.Monotone {
	var perSeed []float64
	for _, r := range records {
		_, x := series(r, a)
		_, y := series(r, b)
		perSeed = append(perSeed, stats.Spearman(x, y))
	}
	mean, _ := stats.MeanStd(perSeed)
	return stats.Monotone{Rho: mean, PerSeed: perSeed, Interval: stats.Bootstrap(perSeed, stats.Level, 1)}
}

func reportTransfer(cfg TransferConfig, seeds []int64, done []Done) (Findings, error) {
	biased, unbiased := pick(done, withBiases, seeds), pick(done, withoutBiases, seeds)
	largest := make([]float64, len(seeds))
	points := 0
	for i := range seeds {
		for _, r := range []*Record{biased[i], unbiased[i]} {
			for _, p := range r.Points {
				largest[i] = max(largest[i], p.Value("transfer_ratio")) // NaN if one is
				points++
			}
		}
	}
	const statistic = "GC with the squared norm of the parameter gradient"
	return Findings{
		Claims: []Claim{
			limitClaim(claimTransferHolds, "largest left side / right side", largest, 1+transferTolerance,
				fmt.Sprintf("%d examples at each of %d points of training", cfg.Examples, points)),
			trendClaim(claimFollowsWithBias, statistic, along(biased, "transfer_gc", "parameter_gradient"), above(0), ""),
			trendClaim(claimFollowsWithoutBias, statistic, along(unbiased, "transfer_gc", "parameter_gradient"), above(0), ""),
		},
		Tables:  []Table{transferTable(cfg, seeds, biased, unbiased)},
		Figures: []NamedFigure{{"transfer-inequality", transferFigure(cfg, seeds, biased, unbiased)}},
	}, nil
}

func transferTable(cfg TransferConfig, seeds []int64, biased, unbiased []*Record) Table {
	t := Table{Title: "At the last step", Header: []string{"network", "GC", "left side", "right side", "largest ratio", "test accuracy"},
		Notes: fmt.Sprintf("Mean ± standard deviation over %d seeds; the sides are means over %d training examples, the ratio is the largest of them. %s.",
			len(seeds), cfg.Examples, cfg.describe())}
	for _, row := range []struct {
		name    string
		records []*Record
	}{{withBiases, biased}, {withoutBiases, unbiased}} {
		cells := []string{row.name}
		for _, name := range []string{"transfer_gc", "transfer_left", "parameter_gradient", "transfer_ratio", "test_accuracy"} {
			cells = append(cells, meanAndDeviation(row.records, atEnd(name)))
		}
		t.Rows = append(t.Rows, cells)
	}
	return t
}

func transferFigure(cfg TransferConfig, seeds []int64, biased, unbiased []*Record) plots.Figure {
	f := plots.Figure{Title: "Both sides of the transfer inequality along training", Columns: 3,
		Caption: fmt.Sprintf("%s Means over %d training examples. Left side: ‖∂f/∂x‖² Σ (1 + ‖h‖²)/(‖W‖²‖∂h/∂x‖²), right side: ‖∂f/∂θ‖². Step 0 is left out of the logarithmic axes. %s.",
			bandCaption(len(seeds)), cfg.Examples, cfg.describe())}
	for _, row := range []struct {
		name    string
		records []*Record
	}{{withBiases, biased}, {withoutBiases, unbiased}} {
		f.Panels = append(f.Panels, plots.Panel{Title: row.name, XLabel: "step", YLabel: "squared norms", LogX: true, LogY: true,
			Series: []plots.Series{alongTraining("right side, parameter gradient", row.records, "parameter_gradient"),
				alongTraining("left side", row.records, "transfer_left"), alongTraining("GC", row.records, "transfer_gc")}})
	}
	ratio := plots.Panel{Title: "largest left side / right side", XLabel: "step", YLabel: "ratio", LogX: true}
	for _, row := range []struct {
		name    string
		records []*Record
	}{{withBiases, biased}, {withoutBiases, unbiased}} {
		ratio.Series = append(ratio.Series, alongTraining(row.name, row.records, "transfer_ratio"))
	}
	ratio.Series = append(ratio.Series, plots.Series{Name: "limit", X: []float64{1, float64(cfg.Steps)}, Y: []float64{1, 1}, Dashed: true, Reference: true})
	f.Panels = append(f.Panels, ratio)
	return f
}
