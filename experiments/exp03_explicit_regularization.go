package experiments

import (
	"fmt"

	"github.com/geometric-complexity/toolkit/experiments/evidence"
	"github.com/geometric-complexity/toolkit/experiments/experiment"
	"github.com/geometric-complexity/toolkit/experiments/training"
	"github.com/geometric-complexity/toolkit/internal/plots"
)

// ExplicitRegularizationConfig configures experiment 03. The coefficients of
// each penalty rise from 0.
type ExplicitRegularizationConfig struct {
	training.ImageTraining
	L2       []float64 `json:"l2"`
	Spectral []float64 `json:"spectral"`
	Flatness []float64 `json:"flatness"`
}

// Validate returns an error for values that make no sense.
func (c *ExplicitRegularizationConfig) Validate() error {
	for _, p := range c.penalties() {
		if err := evidence.FromZero(p.name, p.coefficients); err != nil {
			return err
		}
	}
	return c.ValidateTraining()
}

// penaltySweep is a penalty with its coefficients, and what is claimed of it.
type penaltySweep struct {
	name, title  string
	coefficients []float64
	claim        evidence.ClaimText
}

func (c ExplicitRegularizationConfig) penalties() []penaltySweep {
	return []penaltySweep{
		{training.PenaltyL2, "L2 penalty", c.L2, claimL2},
		{training.PenaltySpectral, "spectral penalty", c.Spectral, claimSpectral},
		{training.PenaltyFlatness, "flatness penalty", c.Flatness, claimFlatness},
	}
}

var (
	claimL2       = evidence.ClaimText{ID: "l2-lowers-gc", Text: "more L2 regularization: lower GC"}
	claimSpectral = evidence.ClaimText{ID: "spectral-lowers-gc", Text: "more spectral regularization: lower GC"}
	claimFlatness = evidence.ClaimText{ID: "flatness-lowers-gc", Text: "more flatness regularization: lower GC"}
)

// ExplicitRegularization is experiment 03, the paper's Figure 3: penalties that
// do not mention GC lower it.
var ExplicitRegularization = &experiment.Definition[ExplicitRegularizationConfig]{
	About: experiment.Info{Number: "03", Name: "explicit-regularization", Title: "Explicit regularization",
		Paper:    "Figure 3",
		Question: "Do L2, spectral and flatness penalties lower GC?",
		Claims:   []evidence.ClaimText{claimL2, claimSpectral, claimFlatness},
		Scales: map[experiment.Scale]string{
			experiment.Smoke:  "200 images, ResNet18 of 1 channel, 6 steps, 2 coefficients for each penalty, 3 seeds",
			experiment.Laptop: "5,000 images, ResNet18 of 4 channels, 300 steps, 4 coefficients for each penalty, 3 seeds",
			experiment.Desk:   "10,000 images of CIFAR-10, ResNet18 of 8 channels, 2,500 steps, 5 coefficients for each penalty, 5 seeds",
			experiment.Paper:  "CIFAR-10, ResNet18 of 64 channels, 20,000 steps, 5 coefficients for each penalty, 5 seeds",
		}},
	Config: explicitRegularizationConfig,
	Seeds:  seedsPerScale(3, 3, 5, 5),
	Design: designExplicitRegularization,
	Report: reportExplicitRegularization,
}

func explicitRegularizationConfig(scale experiment.Scale) ExplicitRegularizationConfig {
	// The paper's grids are not known. These are powers of ten, up to where the
	// penalty is about as large as the loss at the start.
	cfg := ExplicitRegularizationConfig{ImageTraining: paperResNet(), L2: []float64{0, 1e-5, 1e-4, 1e-3, 1e-2},
		Spectral: []float64{0, 1e-4, 1e-3, 1e-2, 1e-1}, Flatness: []float64{0, 1e-4, 1e-3, 1e-2, 1e-1}}
	switch scale {
	case experiment.Desk:
		cfg.ImageTraining = deskResNet()
	case experiment.Laptop:
		// Each value costs three runs: the smallest is left out.
		cfg.ImageTraining = laptopResNet()
		cfg.L2, cfg.Spectral, cfg.Flatness = []float64{0, 1e-4, 1e-3, 1e-2}, []float64{0, 1e-3, 1e-2, 1e-1},
			[]float64{0, 1e-3, 1e-2, 1e-1}
	case experiment.Smoke:
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

func designExplicitRegularization(cfg ExplicitRegularizationConfig, seeds []int64) (d evidence.Design) {
	for _, p := range cfg.penalties() {
		d.Axes = append(d.Axes, p.axis(seeds, cfg.Task, penaltyLabel(p.name)))
	}
	return d
}

// axis trains with each coefficient of the penalty.
func (p penaltySweep) axis(seeds []int64, base func() *training.Train, label func(float64) string) evidence.Axis {
	return evidence.NewAxis(p.title, p.coefficients, seeds, label, func(c float64) *training.Train {
		task := base()
		if c != 0 {
			task.Penalties = map[string]float64{p.name: c}
		}
		return task
	})
}

func reportExplicitRegularization(cfg ExplicitRegularizationConfig, seeds []int64,
	records *evidence.Records) (evidence.Findings, error) {
	var f evidence.Findings
	var gc, accuracy []plots.Panel
	for _, p := range cfg.penalties() {
		a := records.Along(p.axis(seeds, cfg.Task, penaltyLabel(p.name)))
		f.Claims = append(f.Claims, a.GCTrend(p.claim, "train_gc", evidence.Falls))
		f.Tables = append(f.Tables, a.Table(p.title))
		gc, accuracy = append(gc, a.GCPanel(p.title)), append(accuracy, a.AccuracyPanel(p.title))
		f.Figures = append(f.Figures, evidence.NamedFigure{Name: "training-" + p.name,
			Figure: a.Training("Training with the "+p.title, "Losses without the penalty. "+cfg.Describe()+".")})
	}
	caption := fmt.Sprintf("%s %s.", evidence.GCCaption(len(seeds)), cfg.Describe())
	f.Figures = append([]evidence.NamedFigure{{Name: "explicit-regularization",
		Figure: plots.Figure{Title: "Explicit regularization and geometric complexity", Columns: 3, Caption: caption,
			Panels: append(gc, accuracy...)}}}, f.Figures...)
	return f, nil
}
