package experiments

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/geometric-complexity/toolkit/experiments/evidence"
	"github.com/geometric-complexity/toolkit/experiments/experiment"
	"github.com/geometric-complexity/toolkit/experiments/runs"
	"github.com/geometric-complexity/toolkit/experiments/training"
	"github.com/geometric-complexity/toolkit/internal/plots"
	"github.com/geometric-complexity/toolkit/internal/stats"
)

// TheMeasureConfig configures experiment 00.
type TheMeasureConfig struct {
	// A network for each number of inputs, of outputs and of hidden layers, on
	// Points random inputs.
	Inputs       []int `json:"inputs"`
	Outputs      []int `json:"outputs"`
	HiddenLayers []int `json:"hidden_layers"` // 0, a linear map, must be among them, and others
	Width        int   `json:"width"`
	Points       int   `json:"points"`
	// Functions is the number of functions of one variable, for each seed, whose arc length is
	// measured. Each is a network of 2 hidden layers of Width units.
	Functions int64 `json:"functions"`
	Cells     int   `json:"cells"` // that [-1, 1] is cut into for it
}

// Validate returns an error for values that make no sense.
func (c *TheMeasureConfig) Validate() error {
	for name, values := range map[string][]int{"inputs": c.Inputs, "outputs": c.Outputs} {
		if len(values) == 0 || slices.Min(values) < 1 {
			return fmt.Errorf("%s: a list of numbers from 1 on is needed", name)
		}
	}
	if !slices.Contains(c.HiddenLayers, 0) || slices.Max(c.HiddenLayers) < 1 || slices.Min(c.HiddenLayers) < 0 {
		return errors.New("hidden_layers: 0 and a larger number are needed")
	}
	if c.Width < 1 || c.Points < 1 || c.Cells < 1 {
		return errors.New("width, points and cells must be at least 1")
	}
	if c.Functions < 3 {
		return errors.New("functions: at least 3 are needed for a rank correlation")
	}
	return nil
}

// Everything is computed in double precision. The arc length is that of a polygon through the edges
// of the cells: in a cell with a kink its error is of the order of the cell's size.
const (
	formsTolerance = 1e-9
	arcTolerance   = 1e-4
	arcFollows     = 0.9 // "follows": rank correlation above this
)

var (
	claimLinear = evidence.ClaimText{ID: "linear", Text: "the GC of a linear map is its squared Frobenius norm",
		Proven: true}
	claimPieces = evidence.ClaimText{ID: "relu-pieces",
		Text: "the GC of a ReLU network is the mean squared norm of its linear pieces", Proven: true}
	claimLipschitz = evidence.ClaimText{ID: "lipschitz-bound",
		Text: "GC is at most min(outputs, inputs) x the squared Lipschitz constant on the data", Proven: true}
	claimWeightsBound = evidence.ClaimText{ID: "weights-bound",
		Text: "GC is at most the mean squared Frobenius norm of the weights, to the power of the layers", Proven: true}
	claimArcBound = evidence.ClaimText{ID: "arc-length-bound",
		Text: "in one dimension the arc length is at most that of a line with the same GC", Proven: true}
	claimArcLengthRank = evidence.ClaimText{ID: "arc-length-follows",
		Text: "in one dimension GC is a proxy of the arc length: they rank functions alike"}
)

// TheMeasure is experiment 00: what GC is. Its closed forms, its bounds, and
// the arc length that it stands for in one dimension (the paper's Sections 2
// and 3).
var TheMeasure = &experiment.Definition[TheMeasureConfig]{
	About: experiment.Info{Number: "00", Name: "the-measure", Title: "The measure: closed forms and bounds",
		Paper:    "Sections 2 and 3",
		Question: "Do the closed forms and the bounds hold?",
		Claims: []evidence.ClaimText{claimLinear, claimPieces, claimLipschitz, claimWeightsBound, claimArcBound,
			claimArcLengthRank},
		Scales: map[experiment.Scale]string{
			experiment.Smoke:  "4 networks of width 8 and 10 functions for each of 5 seeds",
			experiment.Laptop: "24 networks of width 16 and 50 functions for each of 5 seeds",
			experiment.Desk:   "24 networks of width 16 and 50 functions for each of 10 seeds",
			experiment.Paper:  "36 networks of width 300 and 200 functions for each of 10 seeds",
		}},
	Config: theMeasureConfig,
	Seeds:  seedsPerScale(5, 5, 10, 10),
	Design: designTheMeasure,
	Report: reportTheMeasure,
}

func theMeasureConfig(scale experiment.Scale) TheMeasureConfig {
	// Narrow networks on few inputs have linear regions with many points in them
	// and come nearest to the bounds, so they are the sharper test.
	cfg := TheMeasureConfig{Inputs: []int{1, 2, 20}, Outputs: []int{1, 10}, HiddenLayers: []int{0, 1, 2, 4}, Width: 16,
		Points: 500, Functions: 50, Cells: 2000}
	switch scale {
	case experiment.Paper:
		// The width of Figure 1, and the inputs and outputs of MNIST.
		cfg.Inputs, cfg.Outputs, cfg.Width, cfg.Functions = []int{1, 2, 784}, []int{1, 3, 10}, 300, 200
	case experiment.Smoke:
		cfg.Inputs, cfg.Outputs, cfg.HiddenLayers, cfg.Width = []int{1, 5}, []int{3}, []int{0, 2}, 8
		cfg.Points, cfg.Functions = 100, 10
	}
	return cfg
}

// ArcLabel names the runs that measure arc lengths.
const ArcLabel = "arc lengths"

func formsLabel(t *training.ClosedForms) string {
	return fmt.Sprintf("%d inputs, %d outputs, depth %d", t.Inputs, t.Outputs, t.HiddenLayers)
}

// networks lists the tasks on the closed forms.
func (c TheMeasureConfig) networks() []*training.ClosedForms {
	var out []*training.ClosedForms
	for _, inputs := range c.Inputs {
		for _, outputs := range c.Outputs {
			for _, hidden := range c.HiddenLayers {
				out = append(out, &training.ClosedForms{Inputs: inputs, HiddenLayers: hidden, Width: c.Width, Outputs: outputs,
					Points: c.Points})
			}
		}
	}
	return out
}

// ArcLengths is the task that draws functions and measures their arc length.
func (c TheMeasureConfig) ArcLengths() *training.ArcLengths {
	return &training.ArcLengths{HiddenLayers: 2, Width: c.Width, Functions: c.Functions, Cells: c.Cells}
}

// cell is a network of the closed forms.
func cell(task *training.ClosedForms, seeds []int64) evidence.Cell {
	return evidence.NewCell(formsLabel(task), seeds, func() runs.Task { return task })
}

// arcs are the functions whose arc length is measured.
func (c TheMeasureConfig) arcs(seeds []int64) evidence.Cell {
	return evidence.NewCell(ArcLabel, seeds, func() runs.Task { return c.ArcLengths() })
}

func designTheMeasure(cfg TheMeasureConfig, seeds []int64) (d evidence.Design) {
	for _, task := range cfg.networks() {
		d.Cells = append(d.Cells, cell(task, seeds))
	}
	d.Cells = append(d.Cells, cfg.arcs(seeds))
	return d
}

// formError is the larger relative error of GC against the linear regions: with gcml's closed form
// for dense networks, and without it.
func formError(r *runs.Record) float64 {
	want := r.FinalValue("gc_regions")
	return max(stats.RelativeError(r.FinalValue("gc"), want), stats.RelativeError(r.FinalValue("gc_jacobian"), want))
}

// lipschitzRatio is GC over min(outputs, inputs)·Lip².
func lipschitzRatio(t *training.ClosedForms, r *runs.Record) float64 {
	lipschitz := r.FinalValue("lipschitz")
	return ratioToBound(r.FinalValue("gc"), float64(min(t.Inputs, t.Outputs))*lipschitz*lipschitz)
}

func weightsRatio(_ *training.ClosedForms, r *runs.Record) float64 {
	return ratioToBound(r.FinalValue("gc"), r.FinalValue("weights_bound"))
}

// ratioToBound is the value over its bound; a value of 0 is within a bound of 0.
func ratioToBound(value, bound float64) float64 {
	if value == 0 && bound == 0 {
		return 0
	}
	return value / bound
}

// arcRatios are, for each function of a run, the arc length over its bound: by
// Jensen's inequality ∫√(1+f'²) ≤ |I|·√(1+GC), with equality for a line.
func arcRatios(r *runs.Record) []float64 {
	var out []float64
	for _, p := range r.Points {
		out = append(out, p.Value("length")/ArcBound(p.Value("gc")))
	}
	return out
}

// ArcBound is the largest arc length over [-1, 1] of a function with the given GC.
func ArcBound(gc float64) float64 { return 2 * math.Sqrt(1+gc) }

func reportTheMeasure(cfg TheMeasureConfig, seeds []int64, records *evidence.Records) (evidence.Findings, error) {
	n := len(seeds)
	linear, pieces, lipschitz, weights := make([]float64, n), make([]float64, n), make([]float64, n), make([]float64, n)
	regions, networks := 0.0, cfg.networks()
	var curved struct{ lipschitz, weights float64 } // linear maps can reach the bounds
	for _, task := range networks {
		for i, r := range records.Of(cell(task, seeds)) {
			if task.HiddenLayers == 0 {
				linear[i] = max(linear[i], formError(r))
			} else {
				pieces[i] = max(pieces[i], formError(r))
				curved.lipschitz, curved.weights = max(curved.lipschitz, lipschitzRatio(task, r)),
					max(curved.weights, weightsRatio(task, r))
			}
			lipschitz[i], weights[i] = max(lipschitz[i], lipschitzRatio(task, r)), max(weights[i], weightsRatio(task, r))
			regions = max(regions, r.FinalValue("regions"))
		}
	}
	arcs := make([]float64, n)
	var ranks []float64
	for i, r := range records.Of(cfg.arcs(seeds)) {
		arcs[i] = slices.Max(arcRatios(r))
		_, gc := evidence.Series(r, "gc")
		_, length := evidence.Series(r, "length")
		ranks = append(ranks, stats.Spearman(gc, length))
	}
	count := func(curved float64) string {
		return fmt.Sprintf("%d networks, %.3g without the linear ones", n*len(networks), curved)
	}
	return evidence.Findings{Figures: []evidence.NamedFigure{{Name: "the-measure",
		Figure: measureFigure(cfg, seeds, records)}}, Claims: []evidence.Claim{
		evidence.LimitClaim(claimLinear, "largest relative error", linear, formsTolerance, ""),
		evidence.LimitClaim(claimPieces, "largest relative error", pieces, formsTolerance,
			fmt.Sprintf("up to %.0f linear regions on %d points", regions, cfg.Points)),
		evidence.LimitClaim(claimLipschitz, "largest GC over the bound", lipschitz, 1+formsTolerance,
			count(curved.lipschitz)),
		evidence.LimitClaim(claimWeightsBound, "largest GC over the bound", weights, 1+formsTolerance, count(curved.weights)),
		evidence.LimitClaim(claimArcBound, "largest arc length over the bound", arcs, 1+arcTolerance,
			fmt.Sprintf("%d functions", n*int(cfg.Functions))),
		evidence.RankClaim(claimArcLengthRank, "the arc length with GC", ranks, evidence.Above(arcFollows),
			fmt.Sprintf("%d functions for each seed", cfg.Functions)),
	}}, nil
}

func measureFigure(cfg TheMeasureConfig, seeds []int64, records *evidence.Records) plots.Figure {
	lipschitz := plots.Panel{Title: "bound by the Lipschitz constant", XLabel: "hidden layers", YLabel: "GC / bound"}
	weights := plots.Panel{Title: "bound by the weights", XLabel: "hidden layers", YLabel: "GC / bound", LogY: true}
	depths := make([]float64, len(cfg.HiddenLayers))
	for i, d := range cfg.HiddenLayers {
		depths[i] = float64(d)
	}
	for _, inputs := range cfg.Inputs {
		for _, outputs := range cfg.Outputs {
			band := func(ratio func(*training.ClosedForms, *runs.Record) float64) plots.Series {
				rows := make([][]float64, len(seeds))
				for _, task := range cfg.networks() {
					if task.Inputs != inputs || task.Outputs != outputs {
						continue
					}
					for i, r := range records.Of(cell(task, seeds)) {
						rows[i] = append(rows[i], ratio(task, r))
					}
				}
				s := evidence.BandOf(fmt.Sprintf("%d to %d", inputs, outputs), depths, rows)
				s.Points = true
				return s
			}
			lipschitz.Series, weights.Series = append(lipschitz.Series, band(lipschitzRatio)),
				append(weights.Series, band(weightsRatio))
		}
	}
	for _, p := range []*plots.Panel{&lipschitz, &weights} {
		p.Series = append(p.Series,
			plots.Series{Name: "bound", X: depths, Y: evidence.Constant(1, len(depths)), Dashed: true, Reference: true})
	}
	return plots.Figure{Title: "Bounds on the geometric complexity, and the arc length", Columns: 3,
		Caption: evidence.BandCaption(len(seeds)) +
			" Random ReLU networks, by their numbers of inputs and outputs. Right: each point is a function on [-1, 1]; the bound is 2·√(1+GC).",
		Panels: []plots.Panel{lipschitz, weights, arcPanel(cfg, seeds, records)}}
}

func arcPanel(cfg TheMeasureConfig, seeds []int64, records *evidence.Records) plots.Panel {
	p := plots.Panel{Title: "arc length in one dimension", XLabel: "GC on [-1, 1]", YLabel: "arc length", LogX: true}
	functions, bound := plots.Series{Name: "functions", NoLine: true},
		plots.Series{Name: "bound", Dashed: true, Reference: true}
	for _, r := range records.Of(cfg.arcs(seeds)) {
		_, gc := evidence.Series(r, "gc")
		_, length := evidence.Series(r, "length")
		functions.X, functions.Y = append(functions.X, gc...), append(functions.Y, length...)
	}
	bound.X = slices.Sorted(slices.Values(functions.X))
	for _, gc := range bound.X {
		bound.Y = append(bound.Y, ArcBound(gc))
	}
	p.Series = []plots.Series{functions, bound}
	return p
}
