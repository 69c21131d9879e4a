package experiments

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"gonum.org/v1/gonum/stat"

	"github.com/geometric-complexity/toolkit/experiments/evidence"
	"github.com/geometric-complexity/toolkit/experiments/experiment"
	"github.com/geometric-complexity/toolkit/experiments/runs"
	"github.com/geometric-complexity/toolkit/experiments/training"
	"github.com/geometric-complexity/toolkit/internal/plots"
	"github.com/geometric-complexity/toolkit/internal/stats"
	"github.com/geometric-complexity/toolkit/layers"
)

// InitializationConfig configures experiment 02.
type InitializationConfig struct {
	Inputs  int   `json:"inputs"`
	Outputs int   `json:"outputs"`
	Width   int   `json:"width"`  // units of each hidden layer
	Depths  []int `json:"depths"` // numbers of hidden layers, rising
	Points  int   `json:"points"` // on the diagonal of the cube, an even number
}

// Validate returns an error for values that make no sense.
func (c *InitializationConfig) Validate() error {
	if len(c.Depths) < 2 || c.Depths[0] < 1 {
		return errors.New("depths: at least 2 are needed, from 1 on")
	}
	for i := 1; i < len(c.Depths); i++ {
		if c.Depths[i] <= c.Depths[i-1] {
			return fmt.Errorf("depths: %d does not rise from %d", c.Depths[i], c.Depths[i-1])
		}
	}
	if c.Inputs < 1 || c.Outputs < 1 || c.Width < 1 {
		return fmt.Errorf("%d inputs, %d outputs and a width of %d: at least 1 of each is needed", c.Inputs, c.Outputs,
			c.Width)
	}
	if c.Points < 2 || c.Points%2 != 0 {
		return fmt.Errorf("points: %d is not an even number from 2 on", c.Points)
	}
	return nil
}

// scheme is a way to draw the weights.
type scheme struct {
	name  string
	init  layers.Initialization
	claim evidence.ClaimText
	stays bool // GC is claimed to stay with depth, and else to fall
}

// schemes are compared, by the names that figures show. Where a scheme has a normal and a uniform
// form, the normal one is used.
var schemes = []scheme{
	{"standard", layers.InitStandard, claimStandardFalls, false},
	{"Glorot", layers.InitGlorotNormal, claimGlorotFalls, false},
	{"LeCun", layers.InitLeCunNormal, claimLeCunFalls, false},
	{"He", layers.InitHeNormal, claimHeStays, true},
}

// The limits that the claims are held to are this toolkit's own, set before the
// first run. The formula gives a factor of 1/2 per layer for all schemes but
// He's, whose factor is 1.
const (
	steadyLow, steadyHigh   = 0.9, 1.1  // "stays": GC's factor per layer
	formulaLow, formulaHigh = 0.8, 1.25 // "follows": GC over the formula
)

var (
	claimStandardFalls = evidence.ClaimText{ID: "standard-falls",
		Text: "at initialization GC falls with depth: standard scheme"}
	claimGlorotFalls     = evidence.ClaimText{ID: "glorot-falls", Text: "at initialization GC falls with depth: Glorot"}
	claimLeCunFalls      = evidence.ClaimText{ID: "lecun-falls", Text: "at initialization GC falls with depth: LeCun"}
	claimHeStays         = evidence.ClaimText{ID: "he-stays", Text: "at initialization GC stays the same with depth: He"}
	claimFollowsFormulas = evidence.ClaimText{ID: "follows-formula",
		Text: "at initialization GC follows the closed form of its mean, all schemes", Proven: true}
)

// Initialization is experiment 02, the paper's Figure 2: a deeper ReLU network starts simpler, if
// its scheme lets signals decay.
var Initialization = &experiment.Definition[InitializationConfig]{
	About: experiment.Info{Number: "02", Name: "initialization", Title: "Initialization and depth", Paper: "Figure 2",
		Question: "Do deeper networks start simpler?",
		Claims: []evidence.ClaimText{claimStandardFalls, claimGlorotFalls, claimLeCunFalls, claimHeStays,
			claimFollowsFormulas},
		Scales: map[experiment.Scale]string{
			experiment.Smoke:  "300 inputs, 10 outputs, width 100, depths 1 to 16, 4 schemes, 5 seeds",
			experiment.Laptop: "150,528 inputs, 1,000 outputs, width 500, depths 1 to 64, 4 schemes, 5 seeds",
			experiment.Desk:   "150,528 inputs, 1,000 outputs, width 500, depths 1 to 64, 4 schemes, 10 seeds",
			experiment.Paper:  "150,528 inputs, 1,000 outputs, width 500, depths 1 to 64, 4 schemes, 20 seeds",
		}},
	Config: initializationConfig,
	Seeds:  seedsPerScale(5, 5, 10, 20),
	Design: designInitialization,
	Report: reportInitialization,
}

func initializationConfig(scale experiment.Scale) InitializationConfig {
	// Images of 224 x 224 x 3 and the 1,000 classes of ImageNet. The Gram matrix of the first layer
	// makes this small enough for a laptop, with fewer seeds: drawing and measuring a network of 75
	// million weights took 7 s of CPU time on XLA, the mean of depths 1 and 64, and at most 1.8 GB.
	cfg := InitializationConfig{Inputs: 224 * 224 * 3, Outputs: 1000, Width: 500, Depths: []int{1, 2, 4, 8, 16, 32, 64},
		Points: 100}
	if scale == experiment.Smoke {
		// The formula is exact for a small network too, whose GC only scatters more.
		cfg.Inputs, cfg.Outputs, cfg.Width, cfg.Depths = 300, 10, 100, []int{1, 2, 4, 8, 16}
	}
	return cfg
}

func depthLabel(scheme string, depth int) string { return fmt.Sprintf("%s, depth %d", scheme, depth) }

// axis draws networks of each depth by a scheme.
func (c InitializationConfig) axis(s scheme, seeds []int64) evidence.Axis {
	a := evidence.NewAxis("hidden layers", c.Depths, seeds, func(depth int) string { return depthLabel(s.name, depth) },
		func(depth int) *training.Initial {
			network := training.MLP(depth, c.Width)
			network.Initialization = s.init.String()
			return &training.Initial{Network: network, Inputs: c.Inputs, Outputs: c.Outputs, Points: c.Points}
		})
	a.Group = s.name
	return a
}

func designInitialization(cfg InitializationConfig, seeds []int64) (d evidence.Design) {
	for _, s := range schemes {
		d.Axes = append(d.Axes, cfg.axis(s, seeds))
	}
	return d
}

// depthSweep is one scheme's GC at each depth: measured for each seed, and by the formula.
type depthSweep struct {
	scheme
	evidence.Sweep
	gc   [][]float64 // [seed][depth]
	mean []float64   // the formula, [depth]
}

// ratios are the GC over the formula, [seed][depth].
func (s depthSweep) ratios() [][]float64 {
	out := make([][]float64, len(s.gc))
	for i, row := range s.gc {
		for j, gc := range row {
			out[i] = append(out[i], gc/s.mean[j])
		}
	}
	return out
}

// Formula is the mean over weights of the GC of a scheme's networks, given by its name, at each
// depth.
func (c InitializationConfig) Formula(schemeName string) (means []float64, err error) {
	at := slices.IndexFunc(schemes, func(s scheme) bool { return s.name == schemeName })
	if at < 0 {
		return nil, fmt.Errorf("there is no scheme %q", schemeName)
	}
	for _, depth := range c.Depths {
		means = append(means, training.ExpectedGC(c.Inputs, c.Outputs, c.Width, depth, schemes[at].init.Variance))
	}
	return means, nil
}

func (c InitializationConfig) sweep(s scheme, seeds []int64, records *evidence.Records) (depthSweep, error) {
	sweep := records.Along(c.axis(s, seeds))
	means, err := c.Formula(s.name)
	return depthSweep{scheme: s, Sweep: sweep, gc: sweep.Rows(evidence.AtEnd("gc")), mean: means}, err
}

func reportInitialization(cfg InitializationConfig, seeds []int64,
	records *evidence.Records) (evidence.Findings, error) {
	var sweeps []depthSweep
	var claims []evidence.Claim
	for _, scheme := range schemes {
		s, err := cfg.sweep(scheme, seeds, records)
		if err != nil {
			return evidence.Findings{}, err
		}
		sweeps, claims = append(sweeps, s), append(claims, s.depthClaim())
	}
	claims = append(claims, formulaClaim(cfg, sweeps))
	return evidence.Findings{Claims: claims, Tables: []evidence.Table{initializationTable(cfg, sweeps)},
		Figures: []evidence.NamedFigure{
			{Name: "initialization", Figure: depthFigure(cfg, seeds, sweeps)},
			{Name: "initialization-function", Figure: diagonalFigure(cfg, seeds, sweeps)},
		}}, nil
}

// depthClaim is the claim on what depth does to GC: it falls, or stays with He's scheme.
func (s depthSweep) depthClaim() evidence.Claim {
	c := evidence.Below(1)
	if s.stays {
		c = evidence.Between(steadyLow, steadyHigh)
	}
	return evidence.FactorClaim(s.claim, "GC's factor per layer", factorsPerLayer(s.Values, s.gc), c,
		fmt.Sprintf("rank correlation with depth %.2f", stats.RankTrend(s.Values, s.gc)))
}

// rejected is the corrected p-value below which a mean counts as different from the formula.
const rejected = 0.05

// formulaClaim tests the mean of each scheme and depth against the formula, corrected for their
// number. None may be rejected, and the mean over all of them has to be near the formula, so that
// the tests could have rejected something.
func formulaClaim(cfg InitializationConfig, sweeps []depthSweep) evidence.Claim {
	var p []float64
	for i := range cfg.Depths {
		_, atDepth := formulaTests(sweeps, i)
		p = append(p, atDepth...)
	}
	smallest := math.NaN()
	for _, v := range stats.Holm(p) {
		smallest = evidence.MinNaN(smallest, v)
	}
	claim := evidence.RatioClaim(claimFollowsFormulas, "GC over the formula, mean over depths and schemes",
		meanRatios(sweeps),
		evidence.Between(formulaLow, formulaHigh),
		fmt.Sprintf("%s; smallest p-value, corrected for their number, %.2g", largestDeviation(cfg, sweeps), smallest))
	claim.Criterion += fmt.Sprintf(", and no corrected p-value of a single mean below %g (variances pooled over schemes)",
		rejected)
	if smallest < rejected {
		claim.Verdict = evidence.DoesNotHold
	}
	return claim
}

// factorsPerLayer is, for each seed, the factor by which GC changes with each
// layer: the exponential of the slope of a least-squares line through log GC.
func factorsPerLayer(depths []float64, gc [][]float64) []float64 {
	var out []float64
	for _, row := range gc {
		logs := make([]float64, len(row))
		for i, v := range row {
			logs[i] = math.Log(v)
		}
		_, slope := stat.LinearRegression(depths, logs, nil, false)
		out = append(out, math.Exp(slope))
	}
	return out
}

// meanRatios is, for each seed, the mean over all networks of GC divided by its formula. It
// averages the ratios and not their logarithms: the formula is for the mean of GC, whose
// distribution is skewed, so that the mean of the logarithms would be below 0.
func meanRatios(sweeps []depthSweep) []float64 {
	out := make([]float64, len(sweeps[0].gc))
	for i := range out {
		var all []float64
		for _, s := range sweeps {
			all = append(all, s.ratios()[i]...)
		}
		out[i] = stat.Mean(all, nil)
	}
	return out
}

// ratiosAt are the ratios at the i-th depth, one for each seed.
func (s depthSweep) ratiosAt(i int) (values []float64) {
	for _, row := range s.ratios() {
		values = append(values, row[i])
	}
	return values
}

// formulaTests tests each scheme's mean ratio at the i-th depth against 1: how far it is off in
// standard errors, and the p-value. The schemes share their variance. In a deep network GC is
// nearly log-normal over the weights, with a variance that depth and width decide (Hanin and Nica,
// arXiv 1812.05994), and the variance of a few such values alone is often far too small.
func formulaTests(sweeps []depthSweep, i int) (deviations, p []float64) {
	var ratios [][]float64
	for _, s := range sweeps {
		ratios = append(ratios, s.ratiosAt(i))
	}
	return stats.PooledTTests(ratios, 1)
}

func largestDeviation(cfg InitializationConfig, sweeps []depthSweep) string {
	largest, where := 0.0, ""
	for i, depth := range cfg.Depths {
		deviations, _ := formulaTests(sweeps, i)
		for k, s := range sweeps {
			if math.Abs(deviations[k]) > math.Abs(largest) {
				largest, where = deviations[k], depthLabel(s.name, depth)
			}
		}
	}
	if where == "" {
		return ""
	}
	return fmt.Sprintf("of %d means the farthest off is %.1f standard errors (%s)", len(sweeps)*len(cfg.Depths), largest,
		where)
}

func initializationTable(cfg InitializationConfig, sweeps []depthSweep) evidence.Table {
	t := evidence.Table{Title: "GC at initialization",
		Header: []string{"scheme", "hidden layers", "GC", "formula", "standard errors off"},
		Notes: "GC: mean ± standard deviation over seeds, of the outputs along the diagonal of the cube. The standard error " +
			"is that of GC over the formula, pooled over the schemes of a depth."}
	for k, s := range sweeps {
		for i, depth := range cfg.Depths {
			var values []float64
			for _, row := range s.gc {
				values = append(values, row[i])
			}
			off := "-"
			if deviations, _ := formulaTests(sweeps, i); !math.IsNaN(deviations[k]) {
				off = fmt.Sprintf("%+.1f", deviations[k])
			}
			t.Rows = append(t.Rows, []string{s.name, fmt.Sprint(depth), evidence.PlusMinus(stats.MeanStd(values)),
				fmt.Sprintf("%.4g", s.mean[i]), off})
		}
	}
	return t
}

func depthFigure(cfg InitializationConfig, seeds []int64, sweeps []depthSweep) plots.Figure {
	depths := sweeps[0].Values
	gc := plots.Panel{Title: "geometric complexity", XLabel: "hidden layers", YLabel: "GC of the outputs", LogX: true,
		LogY: true}
	ratio := plots.Panel{Title: "against the formula", XLabel: "hidden layers", YLabel: "GC / formula", LogX: true}
	for _, s := range sweeps {
		band, over := evidence.BandOf(s.name, depths, s.gc), evidence.BandOf(s.name, depths, s.ratios())
		band.Points, over.Points = true, true
		gc.Series, ratio.Series = append(gc.Series, band), append(ratio.Series, over)
	}
	for _, s := range sweeps {
		gc.Series = append(gc.Series, plots.Series{Name: "formula", X: depths, Y: s.mean, Dashed: true, Reference: true})
	}
	ratio.Series = append(ratio.Series,
		plots.Series{Name: "formula", X: depths, Y: evidence.Constant(1, len(depths)), Dashed: true, Reference: true})
	return plots.Figure{Title: "Geometric complexity at initialization", Panels: []plots.Panel{gc, ratio},
		Caption: evidence.BandCaption(len(seeds)) + fmt.Sprintf(" %d inputs, %d outputs, width %d.", cfg.Inputs, cfg.Outputs,
			cfg.Width)}
}

// diagonalFigure draws the first seed's functions, as the paper's Figure 2 does.
func diagonalFigure(cfg InitializationConfig, seeds []int64, sweeps []depthSweep) plots.Figure {
	f := plots.Figure{Title: "Untrained networks along the diagonal of the cube", Ordered: true, Columns: 2,
		Caption: fmt.Sprintf("Seed %d; depth: number of hidden layers. Position 0 is the corner (-1, ..., -1) of the cube, position 1 the corner (1, ..., 1). "+
			"With biases of 0 the curves are straight on both sides of the centre.", seeds[0])}
	position := training.DiagonalPositions(cfg.Points)
	for _, s := range sweeps {
		largest := plots.Panel{Title: s.name, XLabel: "position", YLabel: "largest |output|"}
		mean := plots.Panel{Title: s.name, XLabel: "position", YLabel: "mean output"}
		for i, depth := range cfg.Depths {
			name := fmt.Sprintf("depth %d", depth)
			arrays := s.Records[i][0].Final().Arrays
			largest.Series = append(largest.Series, plots.Series{Name: name, X: position, Y: runs.Floats(arrays["max_abs"])})
			mean.Series = append(mean.Series, plots.Series{Name: name, X: position, Y: runs.Floats(arrays["mean"])})
		}
		f.Panels = append(f.Panels, largest, mean)
	}
	return f
}
