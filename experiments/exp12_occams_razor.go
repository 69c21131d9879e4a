package experiments

import (
	"errors"
	"fmt"
	"math"

	"github.com/geometric-complexity/toolkit/experiments/evidence"
	"github.com/geometric-complexity/toolkit/experiments/experiment"
	"github.com/geometric-complexity/toolkit/experiments/runs"
	"github.com/geometric-complexity/toolkit/experiments/training"
	"github.com/geometric-complexity/toolkit/internal/plots"
	"github.com/geometric-complexity/toolkit/internal/stats"
)

// OccamsRazorConfig configures experiment 12.
type OccamsRazorConfig struct {
	// The model of two parameters: see training.ModifiedFlow.
	Target    float64   `json:"target"`
	FlowRates []float64 `json:"flow_rates"`
	FlowTime  float64   `json:"flow_time"`
	// Networks of one variable, which fit noisy points of a sine by full-batch gradient descent. A
	// run ends at the first measurement whose training loss is at most StopLoss, and lasts at most
	// MaxTime = learning rate × steps.
	Points       int     `json:"points"`
	HiddenLayers int     `json:"hidden_layers"`
	Width        int     `json:"width"`
	StopLoss     float64 `json:"stop_loss"`
	MaxTime      float64 `json:"max_time"`
	// LearningRates are those of the sweep of rates. The sweep of explicit coefficients trains at
	// the first of them, with the penalty coefficient·‖∂L/∂θ‖².
	LearningRates []float64 `json:"learning_rates"`
	Coefficients  []float64 `json:"coefficients"` // from 0
}

// Validate returns an error for values that make no sense.
func (c *OccamsRazorConfig) Validate() error {
	if err := c.flow().Validate(); err != nil {
		return err
	}
	if err := evidence.Rising("learning_rates", c.LearningRates); err != nil {
		return err
	}
	if !(c.StopLoss > 0) || !(c.MaxTime > 0) {
		return errors.New("stop_loss and max_time must be positive")
	}
	return evidence.FromZero("coefficients", c.Coefficients)
}

func (c OccamsRazorConfig) flow() *training.ModifiedFlow {
	return &training.ModifiedFlow{Target: c.Target, Rates: c.FlowRates, Time: c.FlowTime}
}

// The margins that the orders are held to are this toolkit's own.
const orderMargin = 0.25

var (
	claimFlowFirst = evidence.ClaimText{ID: "exact-flow-order", Proven: true,
		Text: "gradient descent follows the exact gradient flow to first order in the rate"}
	claimFlowSecond = evidence.ClaimText{ID: "modified-flow-order", Proven: true,
		Text: "gradient descent follows the flow of the modified loss to second order in the rate"}
	claimFlowCloser = evidence.ClaimText{ID: "modified-flow-closer",
		Text: "at the largest rate gradient descent is closer to the modified flow than to the exact one"}
	claimRazorGC = evidence.ClaimText{ID: "rate-gc",
		Text: "a larger learning rate: lower GC at equal training loss (one dimension)"}
	claimRazorArc = evidence.ClaimText{ID: "rate-arc-length",
		Text: "a larger learning rate: shorter arc length at equal training loss (one dimension)"}
	claimRazorExplicit = evidence.ClaimText{ID: "explicit-gc",
		Text: "explicit gradient regularization: lower GC at equal training loss (one dimension)"}
)

// OccamsRazor is experiment 12: the geometric Occam's razor. The rate of gradient descent acts like
// a penalty on the parameter gradient, and that like one on GC (Dherin, Munn and Barrett, arXiv
// 2111.15090; Barrett and Dherin, arXiv 2009.11162). The grids are this toolkit's own.
var OccamsRazor = &experiment.Definition[OccamsRazorConfig]{
	About: experiment.Info{Number: "12", Name: "occams-razor",
		Title: "The geometric Occam's razor: what the rate penalizes", Paper: "arXiv 2111.15090 and 2009.11162",
		Question: "Does the learning rate penalize GC as an explicit gradient penalty does?",
		Claims: []evidence.ClaimText{claimFlowFirst, claimFlowSecond, claimFlowCloser, claimRazorGC, claimRazorArc,
			claimRazorExplicit},
		Scales: map[experiment.Scale]string{
			experiment.Smoke:  "4 rates on the model of two parameters; 1 hidden layer of 16 units, 2 rates and 2 coefficients, 3 seeds",
			experiment.Laptop: "4 rates on the model of two parameters; 2 hidden layers of 64 units, 4 rates and 4 coefficients, 5 seeds",
			experiment.Desk:   "4 rates on the model of two parameters; 2 hidden layers of 64 units, 4 rates and 4 coefficients, 10 seeds",
			experiment.Paper:  "4 rates on the model of two parameters; 3 hidden layers of 300 units, 4 rates and 4 coefficients, 10 seeds",
		}},
	Config: occamsRazorConfig,
	Seeds:  seedsPerScale(3, 5, 10, 10),
	Design: designOccamsRazor,
	Report: reportOccamsRazor,
}

func occamsRazorConfig(scale experiment.Scale) OccamsRazorConfig {
	// A rate h acts, to first order, like the coefficient h/4: the coefficients are those of rates
	// up to the largest.
	cfg := OccamsRazorConfig{Target: 0.6, FlowRates: []float64{0.00125, 0.0025, 0.005, 0.01}, FlowTime: 0.5,
		Points: 12, HiddenLayers: 2, Width: 64, StopLoss: 0.005, MaxTime: 2000,
		LearningRates: []float64{0.02, 0.05, 0.1, 0.2}, Coefficients: []float64{0, 0.0125, 0.025, 0.05}}
	switch scale {
	case experiment.Paper:
		cfg.HiddenLayers, cfg.Width = 3, 300
	case experiment.Smoke:
		cfg.HiddenLayers, cfg.Width, cfg.StopLoss, cfg.MaxTime = 1, 16, 0.2, 50
		cfg.LearningRates, cfg.Coefficients = []float64{0.05, 0.2}, []float64{0, 0.05}
	}
	return cfg
}

// flows compares gradient descent with the flows, from a start for each seed.
func (c OccamsRazorConfig) flows(seeds []int64) evidence.Cell {
	return evidence.NewCell("two parameters", seeds, func() runs.Task { return c.flow() })
}

// razorMeasurements is how often a network is measured, to find where its training loss crosses
// that of the others.
const razorMeasurements = 100

func (c OccamsRazorConfig) train(rate float64) *training.Train {
	return &training.Train{Data: training.Data{Name: training.NameNoisySine, Train: c.Points},
		Network: training.MLP(c.HiddenLayers, c.Width), LearningRate: rate, Steps: int64(math.Ceil(c.MaxTime / rate)),
		StopLoss: c.StopLoss, Measurements: razorMeasurements, LogSpaced: true, ArcLength: true}
}

func (c OccamsRazorConfig) rateAxis(seeds []int64) evidence.Axis {
	return evidence.NewAxis("learning rate", c.LearningRates, seeds, rateLabel, c.train)
}

func (c OccamsRazorConfig) coefficientAxis(seeds []int64) evidence.Axis {
	label := func(coefficient float64) string { return fmt.Sprintf("gradient penalty %g", coefficient) }
	return evidence.NewAxis("coefficient", c.Coefficients, seeds, label, func(coefficient float64) *training.Train {
		task := c.train(c.LearningRates[0])
		if coefficient > 0 {
			task.Penalties = map[string]float64{training.PenaltyFlatness: coefficient}
		}
		return task
	})
}

func designOccamsRazor(cfg OccamsRazorConfig, seeds []int64) evidence.Design {
	return evidence.Design{Cells: []evidence.Cell{cfg.flows(seeds)},
		Axes: []evidence.Axis{cfg.rateAxis(seeds), cfg.coefficientAxis(seeds)}}
}

// orderOf is the slope of the logarithm of an error in that of the rate.
func orderOf(r *runs.Record, name string) float64 {
	var rates, errs []float64
	for _, p := range r.Points {
		rates = append(rates, math.Log(p.Value("rate")))
		errs = append(errs, math.Log(p.Value(name)))
	}
	return stats.Slope(rates, errs)
}

func reportOccamsRazor(cfg OccamsRazorConfig, seeds []int64, records *evidence.Records) (evidence.Findings, error) {
	flows := records.Of(cfg.flows(seeds))
	var first, second, closer []float64
	for _, r := range flows {
		first, second = append(first, orderOf(r, "exact_error")), append(second, orderOf(r, "modified_error"))
		largest := r.Points[0] // of the fewest steps
		closer = append(closer, largest.Value("modified_error")/largest.Value("exact_error"))
	}
	const order = "slope of log error in log rate"
	rates, penalties := records.Along(cfg.rateAxis(seeds)), records.Along(cfg.coefficientAxis(seeds))
	trend := func(text evidence.ClaimText, s evidence.Sweep, what, name string) evidence.Claim {
		m := s.EqualLoss()
		claim := evidence.RowsTrend(text, what, s.Axis, s.Rows(m.Of(name)), evidence.Falls, true, m.Name)
		if left := s.LeftOut(); left != "" {
			claim.Evidence += "; " + left
		}
		return claim
	}
	return evidence.Findings{
		Claims: []evidence.Claim{
			evidence.RatioClaim(claimFlowFirst, order, first, evidence.Between(1-orderMargin, 1+orderMargin), ""),
			evidence.RatioClaim(claimFlowSecond, order, second, evidence.Between(2-orderMargin, 2+orderMargin), ""),
			evidence.FactorClaim(claimFlowCloser, "distance to the modified flow / to the exact flow", closer,
				evidence.Below(1), fmt.Sprintf("at rate %g", cfg.FlowRates[len(cfg.FlowRates)-1])),
			trend(claimRazorGC, rates, "GC", "interval_gc"),
			trend(claimRazorArc, rates, "arc length", "arc_length"),
			trend(claimRazorExplicit, penalties, "GC", "interval_gc"),
		},
		Figures: []evidence.NamedFigure{
			{Name: "modified-flow", Figure: flowFigure(cfg, seeds, flows)},
			{Name: "occams-razor", Figure: razorFigure(cfg, seeds, rates, penalties)},
		}}, nil
}

// flowFigure draws the distances over the rates, and the first seed's trajectories at the largest.
func flowFigure(cfg OccamsRazorConfig, seeds []int64, flows []*runs.Record) plots.Figure {
	errs := plots.Panel{Title: fmt.Sprintf("distance after time %g", cfg.FlowTime), XLabel: "learning rate",
		YLabel: "distance of (a, b)", LogX: true, LogY: true}
	for _, s := range []struct{ name, key string }{{"from the exact flow", "exact_error"},
		{"from the modified flow", "modified_error"}} {
		var x []float64
		perSeed := make([][]float64, len(flows))
		for i, r := range flows {
			x = x[:0]
			for _, p := range r.Points {
				x = append(x, p.Value("rate"))
				perSeed[i] = append(perSeed[i], p.Value(s.key))
			}
		}
		band := evidence.BandOf(s.name, x, perSeed)
		band.Points = true
		errs.Series = append(errs.Series, band)
	}
	path := plots.Panel{Title: fmt.Sprintf("trajectories at rate %g", cfg.FlowRates[len(cfg.FlowRates)-1]), XLabel: "a",
		YLabel: "b"}
	arrays := flows[0].Points[0].Arrays
	for _, s := range []struct {
		name, key string
		points    bool
	}{{"exact flow", "exact", false}, {"modified flow", "modified", false}, {"gradient descent", "descent", true}} {
		path.Series = append(path.Series, plots.Series{Name: s.name, X: runs.Floats(arrays[s.key+"_a"]),
			Y: runs.Floats(arrays[s.key+"_b"]), Points: s.points, NoLine: s.points})
	}
	return plots.Figure{Title: "Gradient descent and two gradient flows of E = (y - ab)²/2",
		Caption: fmt.Sprintf("%s Target y = %g. The modified flow is that of E + (h/4)·‖∂E/∂(a, b)‖². Trajectories: seed %d.",
			evidence.BandCaption(len(seeds)), cfg.Target, flows[0].Seed),
		Panels: []plots.Panel{errs, path}}
}

// razorFigure draws GC and arc length at equal training loss over the rates and the coefficients.
func razorFigure(cfg OccamsRazorConfig, seeds []int64, rates, penalties evidence.Sweep) plots.Figure {
	panel := func(s evidence.Sweep, xlabel, ylabel, name string, logX bool) plots.Panel {
		m := s.EqualLoss()
		band := evidence.BandOf(ylabel, s.Axis.Values, s.Rows(m.Of(name)))
		band.Points = true
		return plots.Panel{Title: m.Name, XLabel: xlabel, YLabel: ylabel, LogX: logX, Series: []plots.Series{band}}
	}
	return plots.Figure{Title: "Networks of one variable: implicit and explicit gradient regularization",
		Caption: fmt.Sprintf("%s MLP of %d hidden layers of %d units on %d noisy points of a sine. Explicit: rate %g and coefficient × ‖∂L/∂θ‖²; to first order a rate h acts like h/4.",
			evidence.BandCaption(len(seeds)), cfg.HiddenLayers, cfg.Width, cfg.Points, cfg.LearningRates[0]),
		Panels: []plots.Panel{panel(rates, "learning rate", "GC over [-1, 1]", "interval_gc", true),
			panel(rates, "learning rate", "arc length", "arc_length", true),
			panel(penalties, "coefficient of ‖∂L/∂θ‖²", "GC over [-1, 1]", "interval_gc", false)}}
}
