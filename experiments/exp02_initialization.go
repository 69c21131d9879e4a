package experiments

import (
	"errors"
	"fmt"
	"math"

	"gonum.org/v1/gonum/stat"

	"example.com/geometric-complexity/internal/plots"
	"example.com/geometric-complexity/internal/stats"
	"example.com/geometric-complexity/layers"
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
		return fmt.Errorf("%d inputs, %d outputs and a width of %d: at least 1 of each is needed", c.Inputs, c.Outputs, c.Width)
	}
	if c.Points < 2 || c.Points%2 != 0 {
		return fmt.Errorf("points: %d is not an even number from 2 on", c.Points)
	}
	return nil
}

// schemes are compared, under the names that figures show. Of the schemes with
// a normal and a uniform form the normal one is taken.
var schemes = []struct {
	name string
	init layers.Initialization
}{
	{"standard", layers.InitStandard},
	{"Glorot", layers.InitGlorotNormal},
	{"LeCun", layers.InitLeCunNormal},
	{"He", layers.InitHeNormal},
}

// The limits that the claims are held to are this toolkit's own, set before the
// first run. The formula gives a factor of 1/2 per layer for all schemes but
// He's, whose factor is 1.
const (
	steadyLow, steadyHigh   = 0.9, 1.1  // "stays": GC's factor per layer
	formulaLow, formulaHigh = 0.8, 1.25 // "follows": GC over the formula
)

var (
	claimStandardFalls   = ClaimText{"standard-falls", "at initialization GC falls with depth: standard scheme"}
	claimGlorotFalls     = ClaimText{"glorot-falls", "at initialization GC falls with depth: Glorot"}
	claimLeCunFalls      = ClaimText{"lecun-falls", "at initialization GC falls with depth: LeCun"}
	claimHeStays         = ClaimText{"he-stays", "at initialization GC stays the same with depth: He"}
	claimFollowsFormulas = ClaimText{"follows-formula", "at initialization GC follows the closed form of its mean, all schemes"}
)

// Initialization is experiment 02, the paper's Figure 2: the deeper a ReLU
// network, the simpler it starts, if its scheme is one that lets signals decay.
var Initialization = &Definition[InitializationConfig]{
	About: Info{Number: "02", Name: "initialization", Title: "Initialization and depth", Paper: "Figure 2",
		Claims: []ClaimText{claimStandardFalls, claimGlorotFalls, claimLeCunFalls, claimHeStays, claimFollowsFormulas},
		Scales: map[Scale]string{
			Smoke:  "300 inputs, 10 outputs, width 100, depths 1 to 16, 4 schemes, 5 seeds",
			Laptop: "150,528 inputs, 1,000 outputs, width 500, depths 1 to 64, 4 schemes, 5 seeds",
			Paper:  "150,528 inputs, 1,000 outputs, width 500, depths 1 to 64, 4 schemes, 20 seeds",
		}},
	Config: initializationConfig,
	Seeds:  func(s Scale) []int64 { return firstSeeds(map[Scale]int{Smoke: 5, Laptop: 5, Paper: 20}[s]) },
	List:   listInitialization,
	Report: reportInitialization,
}

func initializationConfig(scale Scale) InitializationConfig {
	// Images of 224 x 224 x 3 and the 1,000 classes of ImageNet. With the Gram
	// matrix of the first layer this is small enough for a laptop too, which
	// takes fewer seeds: a network, with 75 million weights to draw, took 7 s of
	// CPU time on XLA in the mean of depths 1 and 64, and 1.8 GB at the most.
	cfg := InitializationConfig{Inputs: 224 * 224 * 3, Outputs: 1000, Width: 500, Depths: []int{1, 2, 4, 8, 16, 32, 64}, Points: 100}
	if scale == Smoke {
		// The formula is as exact for a small network, which only scatters more.
		cfg.Inputs, cfg.Outputs, cfg.Width, cfg.Depths = 300, 10, 100, []int{1, 2, 4, 8, 16}
	}
	return cfg
}

func depthLabel(scheme string, depth int) string { return fmt.Sprintf("%s, depth %d", scheme, depth) }

func listInitialization(cfg InitializationConfig, seeds []int64) ([]Run, error) {
	var runs []Run
	for _, scheme := range schemes {
		for _, depth := range cfg.Depths {
			for _, seed := range seeds {
				network := MLP(depth, cfg.Width)
				network.Initialization = scheme.init.String()
				runs = append(runs, Run{Label: depthLabel(scheme.name, depth), Seed: seed,
					Task: &Initial{Network: network, Inputs: cfg.Inputs, Outputs: cfg.Outputs, Points: cfg.Points}})
			}
		}
	}
	return runs, nil
}

// depthSweep is a scheme's GC: of each seed's networks at each depth, and by the formula.
type depthSweep struct {
	scheme string
	gc     [][]float64 // [seed][depth]
	mean   []float64   // the formula, [depth]
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

func (c InitializationConfig) depths() []float64 {
	out := make([]float64, len(c.Depths))
	for i, d := range c.Depths {
		out[i] = float64(d)
	}
	return out
}

func (c InitializationConfig) sweeps(seeds []int64, done []Done) []depthSweep {
	var out []depthSweep
	for _, scheme := range schemes {
		s := depthSweep{scheme: scheme.name, gc: make([][]float64, len(seeds))}
		for _, depth := range c.Depths {
			s.mean = append(s.mean, expectedGC(c.Inputs, c.Outputs, c.Width, depth, scheme.init.Variance))
			for i, gc := range finals(pick(done, depthLabel(scheme.name, depth), seeds), "gc") {
				s.gc[i] = append(s.gc[i], gc)
			}
		}
		out = append(out, s)
	}
	return out
}

func reportInitialization(cfg InitializationConfig, seeds []int64, done []Done) (Findings, error) {
	sweeps, depths := cfg.sweeps(seeds, done), cfg.depths()
	falls := func(text ClaimText, s depthSweep) Claim {
		mean, _ := stats.MeanStd(factorsPerLayer(depths, s.gc))
		return trendClaim(text, "GC with the number of hidden layers", stats.RankTrend(depths, s.gc), below(0),
			fmt.Sprintf("GC's factor per layer is %.3f", mean))
	}
	he := sweeps[3]
	claims := []Claim{
		falls(claimStandardFalls, sweeps[0]), falls(claimGlorotFalls, sweeps[1]), falls(claimLeCunFalls, sweeps[2]),
		ratioClaim(claimHeStays, "GC's factor per layer", factorsPerLayer(depths, he.gc), between(steadyLow, steadyHigh),
			fmt.Sprintf("rank correlation with depth %.2f", stats.RankTrend(depths, he.gc).Rho)),
		ratioClaim(claimFollowsFormulas, "GC over the formula, mean over depths and schemes", meanRatios(sweeps),
			between(formulaLow, formulaHigh), largestDeviation(cfg, sweeps)),
	}
	return Findings{Claims: claims, Tables: []Table{initializationTable(cfg, sweeps)}, Figures: []NamedFigure{
		{"initialization", depthFigure(cfg, seeds, sweeps)},
		{"initialization-function", diagonalFigure(cfg, seeds, done)},
	}}, nil
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

// meanRatios is, for each seed, the mean of GC over its formula over all
// networks. The mean is of the ratios and not of their logarithms, whose
// expectation is below 0: the formula is of the mean of GC, which is skewed.
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

// deviation is how far the seeds' mean ratio is from 1, in standard errors; NaN
// for a single seed, which has none.
func (s depthSweep) deviation(depth int) float64 {
	var values []float64
	for _, row := range s.ratios() {
		values = append(values, row[depth])
	}
	if len(values) < 2 {
		return math.NaN()
	}
	mean, std := stats.MeanStd(values)
	return (mean - 1) / (std / math.Sqrt(float64(len(values))))
}

func largestDeviation(cfg InitializationConfig, sweeps []depthSweep) string {
	largest, where := 0.0, ""
	for _, s := range sweeps {
		for i, depth := range cfg.Depths {
			if z := s.deviation(i); math.Abs(z) > math.Abs(largest) {
				largest, where = z, depthLabel(s.scheme, depth)
			}
		}
	}
	if where == "" {
		return ""
	}
	return fmt.Sprintf("of %d means the farthest off is %.1f standard errors (%s)", len(sweeps)*len(cfg.Depths), largest, where)
}

func initializationTable(cfg InitializationConfig, sweeps []depthSweep) Table {
	t := Table{Title: "GC at initialization", Header: []string{"scheme", "hidden layers", "GC", "formula", "standard errors off"},
		Notes: "GC: mean ± standard deviation over seeds, of the outputs along the diagonal of the cube."}
	for _, s := range sweeps {
		for i, depth := range cfg.Depths {
			var values []float64
			for _, row := range s.gc {
				values = append(values, row[i])
			}
			off := "-"
			if z := s.deviation(i); !math.IsNaN(z) {
				off = fmt.Sprintf("%+.1f", z)
			}
			t.Rows = append(t.Rows, []string{s.scheme, fmt.Sprint(depth), plusMinus(stats.MeanStd(values)),
				fmt.Sprintf("%.4g", s.mean[i]), off})
		}
	}
	return t
}

func depthFigure(cfg InitializationConfig, seeds []int64, sweeps []depthSweep) plots.Figure {
	depths := cfg.depths()
	gc := plots.Panel{Title: "geometric complexity", XLabel: "hidden layers", YLabel: "GC of the outputs", LogX: true, LogY: true}
	ratio := plots.Panel{Title: "against the formula", XLabel: "hidden layers", YLabel: "GC / formula", LogX: true}
	for _, s := range sweeps {
		band, over := bandOf(s.scheme, depths, s.gc), bandOf(s.scheme, depths, s.ratios())
		band.Points, over.Points = true, true
		gc.Series, ratio.Series = append(gc.Series, band), append(ratio.Series, over)
	}
	for _, s := range sweeps {
		gc.Series = append(gc.Series, plots.Series{Name: "formula", X: depths, Y: s.mean, Dashed: true, Reference: true})
	}
	ratio.Series = append(ratio.Series, plots.Series{Name: "formula", X: depths, Y: constant(1, len(depths)), Dashed: true, Reference: true})
	return plots.Figure{Title: "Geometric complexity at initialization", Panels: []plots.Panel{gc, ratio},
		Caption: bandCaption(len(seeds)) + fmt.Sprintf(" %d inputs, %d outputs, width %d.", cfg.Inputs, cfg.Outputs, cfg.Width)}
}

// diagonalFigure draws the first seed's functions, as the paper's Figure 2 does.
func diagonalFigure(cfg InitializationConfig, seeds []int64, done []Done) plots.Figure {
	f := plots.Figure{Title: "Untrained networks along the diagonal of the cube", Ordered: true, Columns: 2,
		Caption: fmt.Sprintf("Seed %d; depth: number of hidden layers. Position 0 is the corner (-1, ..., -1) of the cube, position 1 the corner (1, ..., 1). "+
			"With biases of 0 the curves are straight on both sides of the centre.", seeds[0])}
	position := diagonal(cfg.Points)
	for i := range position {
		position[i] = (position[i] + 1) / 2
	}
	for _, scheme := range schemes {
		largest := plots.Panel{Title: scheme.name, XLabel: "position", YLabel: "largest |output|"}
		mean := plots.Panel{Title: scheme.name, XLabel: "position", YLabel: "mean output"}
		for _, depth := range cfg.Depths {
			name := fmt.Sprintf("depth %d", depth)
			r := pick(done, depthLabel(scheme.name, depth), seeds[:1])[0]
			largest.Series = append(largest.Series, plots.Series{Name: name, X: position, Y: floats(r.Final().Arrays["max_abs"])})
			mean.Series = append(mean.Series, plots.Series{Name: name, X: position, Y: floats(r.Final().Arrays["mean"])})
		}
		f.Panels = append(f.Panels, largest, mean)
	}
	return f
}
