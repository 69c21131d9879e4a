package experiments

import (
	"fmt"

	"example.com/geometric-complexity/internal/plots"
)

// ExplicitRegularizationConfig configures experiment 03. The coefficients of
// each penalty rise from 0.
type ExplicitRegularizationConfig struct {
	ImageTraining
	L2       []float64 `json:"l2"`
	Spectral []float64 `json:"spectral"`
	Flatness []float64 `json:"flatness"`
}

// Validate returns an error for values that make no sense.
func (c *ExplicitRegularizationConfig) Validate() error {
	for _, p := range c.penalties() {
		if err := fromZero(p.name, p.coefficients); err != nil {
			return err
		}
	}
	return c.validate()
}

// penaltySweep is a penalty with its coefficients, and what is claimed of it.
type penaltySweep struct {
	name, title  string
	coefficients []float64
	claim        ClaimText
}

func (c ExplicitRegularizationConfig) penalties() []penaltySweep {
	return []penaltySweep{
		{penaltyL2, "L2 penalty", c.L2, claimL2},
		{penaltySpectral, "spectral penalty", c.Spectral, claimSpectral},
		{penaltyFlatness, "flatness penalty", c.Flatness, claimFlatness},
	}
}

var (
	claimL2       = ClaimText{"l2-lowers-gc", "more L2 regularization: lower GC"}
	claimSpectral = ClaimText{"spectral-lowers-gc", "more spectral regularization: lower GC"}
	claimFlatness = ClaimText{"flatness-lowers-gc", "more flatness regularization: lower GC"}
)

// ExplicitRegularization is experiment 03, the paper's Figure 3: penalties that
// do not mention GC lower it.
var ExplicitRegularization = &Definition[ExplicitRegularizationConfig]{
	About: Info{Number: "03", Name: "explicit-regularization", Title: "Explicit regularization", Paper: "Figure 3",
		Claims: []ClaimText{claimL2, claimSpectral, claimFlatness},
		Scales: map[Scale]string{
			Smoke:  "200 images, ResNet18 of 1 channel, 6 steps, 2 coefficients for each penalty, 3 seeds",
			Laptop: "5,000 images, ResNet18 of 4 channels, 300 steps, 4 coefficients for each penalty, 3 seeds",
			Paper:  "CIFAR-10, ResNet18 of 64 channels, 20,000 steps, 5 coefficients for each penalty, 5 seeds",
		}},
	Config: explicitRegularizationConfig,
	Seeds:  func(s Scale) []int64 { return firstSeeds(map[Scale]int{Smoke: 3, Laptop: 3, Paper: 5}[s]) },
	List:   listExplicitRegularization,
	Report: reportExplicitRegularization,
}

func explicitRegularizationConfig(scale Scale) ExplicitRegularizationConfig {
	// The paper's grids are not known. These are powers of ten, up to where the
	// penalty is about as large as the loss at the start.
	cfg := ExplicitRegularizationConfig{ImageTraining: paperResNet(), L2: []float64{0, 1e-5, 1e-4, 1e-3, 1e-2},
		Spectral: []float64{0, 1e-4, 1e-3, 1e-2, 1e-1}, Flatness: []float64{0, 1e-4, 1e-3, 1e-2, 1e-1}}
	switch scale {
	case Laptop:
		// Each value costs three runs: the smallest is left out.
		cfg.ImageTraining = laptopResNet()
		cfg.L2, cfg.Spectral, cfg.Flatness = []float64{0, 1e-4, 1e-3, 1e-2}, []float64{0, 1e-3, 1e-2, 1e-1}, []float64{0, 1e-3, 1e-2, 1e-1}
	case Smoke:
		cfg.ImageTraining = smokeResNet()
		cfg.L2, cfg.Spectral, cfg.Flatness = []float64{0, 1e-1}, []float64{0, 1e-1}, []float64{0, 1e-1}
	}
	return cfg
}

// withoutPenalty is the label of the runs that all sweeps of penalties start from.
const withoutPenalty = "no penalty"

// penaltyLabel names the runs with a coefficient of a penalty.
func penaltyLabel(penalty string) func(float64) string {
	return func(c float64) string {
		if c == 0 {
			return withoutPenalty
		}
		return fmt.Sprintf("%s %g", penalty, c)
	}
}

func listExplicitRegularization(cfg ExplicitRegularizationConfig, seeds []int64) ([]Run, error) {
	var runs []Run
	for _, p := range cfg.penalties() {
		runs = append(runs, penaltyRuns(cfg.task, p.name, p.coefficients, seeds, penaltyLabel(p.name))...)
	}
	return distinct(runs), nil
}

// penaltyRuns trains with each coefficient of a penalty.
func penaltyRuns(base func() *Train, penalty string, coefficients []float64, seeds []int64, label func(float64) string) (runs []Run) {
	for _, c := range coefficients {
		for _, seed := range seeds {
			task := base()
			if c != 0 {
				task.Penalties = map[string]float64{penalty: c}
			}
			runs = append(runs, Run{Label: label(c), Seed: seed, Task: task})
		}
	}
	return runs
}

func reportExplicitRegularization(cfg ExplicitRegularizationConfig, seeds []int64, done []Done) (Findings, error) {
	var f Findings
	var gc, accuracy []plots.Panel
	for _, p := range cfg.penalties() {
		a := axis{p.title, p.coefficients, labelled(p.coefficients, penaltyLabel(p.name)), done, seeds}
		f.Claims = append(f.Claims, a.trendOf(p.claim, "GC", "train_gc", below(0)))
		f.Tables = append(f.Tables, a.table(p.title))
		gc, accuracy = append(gc, a.gcPanel(p.title)), append(accuracy, a.accuracyPanel(p.title))
		f.Figures = append(f.Figures, NamedFigure{"training-" + p.name, a.training("Training with the "+p.title, "Losses without the penalty. "+cfg.describe()+".")})
	}
	caption := fmt.Sprintf("%s At the last step, but where it says best step: that of the best test accuracy. %s.", bandCaption(len(seeds)), cfg.describe())
	f.Figures = append([]NamedFigure{{"explicit-regularization",
		plots.Figure{Title: "Explicit regularization and geometric complexity", Columns: 3, Caption: caption, Panels: append(gc, accuracy...)}}}, f.Figures...)
	return f, nil
}
