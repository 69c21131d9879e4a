package experiments

import (
	"errors"
	"fmt"
	"slices"

	"github.com/geometric-complexity/toolkit/datasets"
	"github.com/geometric-complexity/toolkit/experiments/evidence"
	"github.com/geometric-complexity/toolkit/experiments/experiment"
	"github.com/geometric-complexity/toolkit/experiments/runs"
	"github.com/geometric-complexity/toolkit/experiments/training"
	"github.com/geometric-complexity/toolkit/internal/plots"
	"github.com/geometric-complexity/toolkit/internal/stats"
)

// ScarceDataConfig configures experiment 15. The train and measure settings of the embedded
// ImageTraining are not used: Sizes takes their place.
type ScarceDataConfig struct {
	training.ImageTraining
	// Sizes are the numbers of training images. Each seed draws its own.
	Sizes []int `json:"sizes"`
	// Validation is the number of further images that choose a strength for each method, size,
	// activation and seed.
	Validation int `json:"validation"`
	// The strengths that each method tries, equally many: coefficients of GC and of L2, the
	// probability of dropout, and the standard deviation of the noise on the pixels.
	GC         []float64 `json:"gc"`
	L2         []float64 `json:"l2"`
	Dropout    []float64 `json:"dropout"`
	InputNoise []float64 `json:"input_noise"`
	// Activations start with the one of the comparison of methods. The others have the GC penalty
	// and no regularization alone.
	Activations []string `json:"activations"`
}

// Validate returns an error for values that make no sense.
func (c *ScarceDataConfig) Validate() error {
	if err := evidence.Rising("sizes", c.Sizes); err != nil {
		return err
	}
	if c.Train != 0 || c.Measure != 0 || c.MeasureGC != 0 {
		return errors.New("train, measure and measure_gc: leave them out; sizes takes their place")
	}
	for _, m := range c.methods() {
		if len(m.strengths) != len(c.GC) || slices.Min(m.strengths) <= 0 {
			return fmt.Errorf("%s: strengths %v, want %d above 0, as many as of gc, so that the comparison is fair",
				m.key, m.strengths, len(c.GC))
		}
	}
	if len(c.Activations) == 0 {
		return errors.New("activations: none")
	}
	if c.Validation < 1 {
		return fmt.Errorf("validation: %d images, want 1 or more", c.Validation)
	}
	for _, a := range c.Activations {
		for _, s := range c.settings(a, c.Sizes[0], c.methods()...) {
			if err := s.task().Validate(); err != nil {
				return err
			}
		}
	}
	return c.ValidateTraining()
}

// scarceMethod is a way to regularize, with the strengths that it tries.
type scarceMethod struct {
	key, name string
	strengths []float64
	apply     func(task *training.Train, strength float64)
}

// unregularized is training without regularization.
var unregularized = scarceMethod{name: "none"}

func (c ScarceDataConfig) gcMethod() scarceMethod {
	return scarceMethod{"gc", "GC penalty", c.GC, func(t *training.Train, v float64) {
		t.Penalties = map[string]float64{training.PenaltyGC: v}
	}}
}

// methods are those that are compared, the GC penalty first.
func (c ScarceDataConfig) methods() []scarceMethod {
	return []scarceMethod{c.gcMethod(),
		{"l2", "L2", c.L2, func(t *training.Train, v float64) {
			t.Penalties = map[string]float64{training.PenaltyL2: v}
		}},
		{"dropout", "dropout", c.Dropout, func(t *training.Train, v float64) { t.Network.Dropout = v }},
		{"input_noise", "input noise", c.InputNoise, func(t *training.Train, v float64) { t.InputNoise = v }}}
}

var (
	claimScarceHelps = evidence.ClaimText{ID: "gc-helps",
		Text: "with the fewest training images, the GC penalty raises the test accuracy"}
	claimScarceL2 = evidence.ClaimText{ID: "gc-beats-l2",
		Text: "with the fewest training images, the GC penalty gives a higher test accuracy than L2"}
	claimScarceDropout = evidence.ClaimText{ID: "gc-beats-dropout",
		Text: "with the fewest training images, the GC penalty gives a higher test accuracy than dropout"}
	claimScarceNoise = evidence.ClaimText{ID: "gc-beats-noise",
		Text: "with the fewest training images, the GC penalty gives a higher test accuracy than input noise"}
	claimScarceTrend = evidence.ClaimText{ID: "gain-falls",
		Text: "more training images: a smaller gain of the GC penalty in test accuracy"}
	claimScarceGELU = evidence.ClaimText{ID: "gelu-gains-more",
		Text: "with the fewest training images, the GC penalty gains more with GELU than with ReLU"}
	claimScarceTanh = evidence.ClaimText{ID: "tanh-gains-more",
		Text: "with the fewest training images, the GC penalty gains more with tanh than with ReLU"}
)

// scarceSmooth are the claims on activations other than the first.
var scarceSmooth = map[string]evidence.ClaimText{"gelu": claimScarceGELU, "tanh": claimScarceTanh}

// ScarceData is experiment 15: the GC penalty against other regularizers where images are few, as
// Hoffman et al. (arXiv 1908.02729) and Varga et al. (arXiv 1712.09936) do for Jacobian penalties.
// Every method tries equally many strengths, and validation images choose one for each seed. The
// grids are this toolkit's own.
var ScarceData = &experiment.Definition[ScarceDataConfig]{
	About: experiment.Info{Number: "15", Name: "scarce-data",
		Title: "Few images: the GC penalty against other regularizers", Paper: "arXiv 1908.02729 and 1712.09936",
		Question: "With few images, does the GC penalty beat L2, dropout and noise?",
		Claims: []evidence.ClaimText{claimScarceHelps, claimScarceL2, claimScarceDropout, claimScarceNoise, claimScarceTrend,
			claimScarceGELU, claimScarceTanh},
		Scales: map[experiment.Scale]string{
			experiment.Smoke:  "20 and 100 images, MLP of 1 hidden layer of 16 units, 30 steps, 2 strengths of 4 methods, 3 seeds",
			experiment.Laptop: "100 to 2,000 images, MLP of 2 hidden layers of 128 units, 500 steps, 4 strengths of 4 methods, 3 activations, 5 seeds",
			experiment.Desk:   "100 to 5,000 images of MNIST, MLP of 2 hidden layers of 256 units, 1,500 steps, 4 strengths of 4 methods, 3 activations, 10 seeds",
			experiment.Paper:  "100 to 5,000 images of MNIST, MLP of 3 hidden layers of 500 units, 10,000 steps, 4 strengths of 4 methods, 3 activations, 10 seeds",
		}},
	Config: scarceDataConfig,
	Seeds:  seedsPerScale(3, 5, 10, 10),
	Design: designScarceData,
	Report: reportScarceData,
}

func scarceDataConfig(scale experiment.Scale) ScarceDataConfig {
	// Each grid spans what is in use: Jacobian penalties of 0.01 to 0.1 in this scale (Hoffman et
	// al.), weight decay of 1e-5 to 1e-2, dropout of up to 0.8, and noise up to almost the range of
	// the pixels.
	cfg := ScarceDataConfig{ImageTraining: deskMLP(), Sizes: []int{100, 300, 1000, 5000}, Validation: 1000,
		GC: []float64{1e-3, 1e-2, 1e-1, 1}, L2: []float64{1e-5, 1e-4, 1e-3, 1e-2},
		Dropout: []float64{0.2, 0.4, 0.6, 0.8}, InputNoise: []float64{0.1, 0.2, 0.4, 0.8},
		Activations: []string{"relu", "gelu", "tanh"}}
	cfg.Measure, cfg.MeasureGC, cfg.BatchSize, cfg.Steps, cfg.Measurements = 0, 0, 50, 1500, 10
	switch scale {
	case experiment.Paper:
		cfg.HiddenLayers, cfg.Width, cfg.Steps = 3, 500, 10000
	case experiment.Laptop:
		cfg.Dataset, cfg.Width, cfg.Steps, cfg.Measurements = datasets.NameFashionMNISTSubset, 128, 500, 5
		cfg.Sizes = []int{100, 500, 2000}
	case experiment.Smoke:
		cfg.Dataset, cfg.HiddenLayers, cfg.Width, cfg.Steps, cfg.Measurements = datasets.NameFashionMNISTSubset, 1, 16, 30, 1
		cfg.Sizes, cfg.Validation, cfg.Test, cfg.BatchSize = []int{20, 100}, 100, 200, 20
		cfg.GC, cfg.L2, cfg.Dropout, cfg.InputNoise = []float64{1e-2, 1e-1}, []float64{1e-4, 1e-2}, []float64{0.2, 0.5},
			[]float64{0.1, 0.4}
	}
	return cfg
}

// scarceMeasure is the largest number of training and test images that are measured.
const scarceMeasure = 500

// scarceSetting is a network's training with one strength of a method.
type scarceSetting struct {
	label string
	task  func() *training.Train
}

// settings are those of some methods with an activation and a number of training images: training
// without regularization first, then the strengths of each method.
func (c ScarceDataConfig) settings(activation string, size int, methods ...scarceMethod) []scarceSetting {
	base := func() *training.Train {
		task := c.Task()
		task.Network.Activation = activation
		task.Data.Train, task.Data.Validation, task.Data.DrawPerSeed = size, c.Validation, true
		task.Data.MeasureGC = min(size, scarceMeasure)
		if size > scarceMeasure {
			task.Data.Measure = scarceMeasure
		}
		return task
	}
	what := fmt.Sprintf("%s, %d images, ", activation, size)
	all := []scarceSetting{{what + unregularized.name, base}}
	for _, m := range methods {
		for _, v := range m.strengths {
			all = append(all, scarceSetting{fmt.Sprintf("%s%s %g", what, m.name, v), func() *training.Train {
				task := base()
				m.apply(task, v)
				return task
			}})
		}
	}
	return all
}

// cells are the runs of a method: one cell for each strength.
func (c ScarceDataConfig) cells(activation string, size int, m scarceMethod, seeds []int64) []evidence.Cell {
	settings := c.settings(activation, size, m)
	if len(m.strengths) > 0 {
		settings = settings[1:] // without training without regularization
	}
	var cells []evidence.Cell
	for _, s := range settings {
		cells = append(cells, evidence.NewCell(s.label, seeds, func() runs.Task { return s.task() }))
	}
	return cells
}

func designScarceData(cfg ScarceDataConfig, seeds []int64) evidence.Design {
	var d evidence.Design
	for _, size := range cfg.Sizes {
		for _, m := range append([]scarceMethod{unregularized}, cfg.methods()...) {
			d.Cells = append(d.Cells, cfg.cells(cfg.Activations[0], size, m, seeds)...)
		}
	}
	for _, activation := range cfg.Activations[1:] {
		for _, m := range []scarceMethod{unregularized, cfg.gcMethod()} {
			d.Cells = append(d.Cells, cfg.cells(activation, cfg.Sizes[0], m, seeds)...)
		}
	}
	return d
}

// tuned is a method with the record and the strength that were chosen for each seed.
type tuned struct {
	scarceMethod
	records []*runs.Record
	chosen  []float64 // nil without regularization
}

// tune chooses a strength for each seed by its validation images.
func (c ScarceDataConfig) tune(activation string, size int, m scarceMethod, seeds []int64,
	all *evidence.Records) tuned {
	var records [][]*runs.Record
	for _, cell := range c.cells(activation, size, m, seeds) {
		records = append(records, all.Of(cell))
	}
	best, settings := bestValidated(records)
	t := tuned{scarceMethod: m, records: best}
	if len(m.strengths) > 0 {
		for _, setting := range settings {
			t.chosen = append(t.chosen, m.strengths[setting])
		}
	}
	return t
}

func (t tuned) values(name string) []float64 { return evidence.Finals(t.records, name) }

// gains are what a method adds to the test accuracy of another, for each seed; NaN if one diverged.
func (t tuned) gains(over tuned) []float64 {
	gains := t.values("test_accuracy")
	for seed, v := range over.values("test_accuracy") {
		gains[seed] -= v
	}
	return gains
}

// scarceResults are the tuned methods with the first activation, for each size, and the gains of
// the penalty with each activation at the smallest size.
type scarceResults struct {
	ScarceDataConfig
	seeds   int
	none    []tuned              // [size]
	methods map[string][]tuned   // by key, [size]
	gains   map[string][]float64 // by activation, [seed]
}

func (c ScarceDataConfig) results(seeds []int64, records *evidence.Records) scarceResults {
	r := scarceResults{ScarceDataConfig: c, seeds: len(seeds), methods: make(map[string][]tuned),
		gains: make(map[string][]float64)}
	first := c.Activations[0]
	for _, size := range c.Sizes {
		r.none = append(r.none, c.tune(first, size, unregularized, seeds, records))
		for _, m := range c.methods() {
			r.methods[m.key] = append(r.methods[m.key], c.tune(first, size, m, seeds, records))
		}
	}
	for _, activation := range c.Activations {
		none := c.tune(activation, c.Sizes[0], unregularized, seeds, records)
		penalized := c.tune(activation, c.Sizes[0], c.gcMethod(), seeds, records)
		r.gains[activation] = penalized.gains(none)
	}
	return r
}

func reportScarceData(cfg ScarceDataConfig, seeds []int64, records *evidence.Records) (evidence.Findings, error) {
	r := cfg.results(seeds, records)
	return evidence.Findings{Claims: r.claims(), Tables: []evidence.Table{r.table()},
		Figures: []evidence.NamedFigure{{Name: "scarce-data", Figure: r.figure()}}}, nil
}

func (r scarceResults) claims() []evidence.Claim {
	gc := r.methods["gc"]
	at := fmt.Sprintf("%d training images", r.Sizes[0])
	against := func(text evidence.ClaimText, other tuned, name string) evidence.Claim {
		difference := stats.Paired(gc[0].values("test_accuracy"), other.values("test_accuracy"))
		return evidence.DifferenceClaim(text, "test accuracy minus that "+name, difference, evidence.Above(0), at)
	}
	claims := []evidence.Claim{
		against(claimScarceHelps, r.none[0], "without regularization"),
		against(claimScarceL2, r.methods["l2"][0], "of L2"),
		against(claimScarceDropout, r.methods["dropout"][0], "of dropout"),
		against(claimScarceNoise, r.methods["input_noise"][0], "of input noise"),
		evidence.RowsTrend(claimScarceTrend, "gain in test accuracy", r.sizeAxis(), r.gainRows(gc), evidence.Falls, false,
			"at the last step"),
	}
	for _, activation := range r.Activations[1:] {
		if text, ok := scarceSmooth[activation]; ok {
			more := stats.Paired(r.gains[activation], r.gains[r.Activations[0]])
			claims = append(claims, evidence.DifferenceClaim(text, fmt.Sprintf("gain in test accuracy minus that with %s",
				r.Activations[0]), more, evidence.Above(0), at))
		}
	}
	return claims
}

// sizeAxis is the axis of the numbers of training images, for trends.
func (r scarceResults) sizeAxis() evidence.Axis {
	a := evidence.Axis{Name: "training images"}
	for _, size := range r.Sizes {
		a.Values = append(a.Values, float64(size))
	}
	return a
}

// gainRows are the gains of a method over no regularization: a row for each seed, a column for each
// size.
func (r scarceResults) gainRows(method []tuned) [][]float64 {
	rows := make([][]float64, r.seeds)
	for i, t := range method {
		for seed, gain := range t.gains(r.none[i]) {
			rows[seed] = append(rows[seed], gain)
		}
	}
	return rows
}

func (r scarceResults) table() evidence.Table {
	t := evidence.Table{Title: "Methods after tuning: " + r.describe(),
		Header: []string{"training images", "method", "strengths chosen", "validation accuracy", "test accuracy", "test loss",
			"GC test"},
		Notes: fmt.Sprintf("Mean ± standard deviation over %d seeds at the last step, each with the strength that its %d validation images chose.",
			r.seeds, r.Validation)}
	var all [][]*runs.Record
	for i, size := range r.Sizes {
		list := []tuned{r.none[i]}
		for _, m := range r.ScarceDataConfig.methods() {
			list = append(list, r.methods[m.key][i])
		}
		for _, m := range list {
			row := []string{fmt.Sprint(size), m.name, m.chosenText()}
			for _, name := range []string{"validation_accuracy", "test_accuracy", "test_loss", "test_gc"} {
				row = append(row, evidence.MeanAndDeviation(m.records, evidence.AtEnd(name)))
			}
			t.Rows = append(t.Rows, row)
			all = append(all, m.records)
		}
	}
	t.Notes = evidence.NotesOn(t.Notes, all...)
	return t
}

func (t tuned) chosenText() string { return countsOf(t.strengths, t.chosen) }

func (r scarceResults) describe() string {
	return fmt.Sprintf("MLP with %d × %d %s units on %s", r.HiddenLayers, r.Width, r.Activations[0], r.DescribeSchedule())
}

func (r scarceResults) figure() plots.Figure {
	accuracy, gain := r.sizePanels()
	return plots.Figure{Title: "Regularizers where training images are few",
		Caption: fmt.Sprintf("%s The accuracies on the left are means alone. At the last step; %d validation images choose "+
			"the strength of each method for each seed. %s.", evidence.BandCaption(r.seeds), r.Validation, r.describe()),
		Panels: []plots.Panel{accuracy, gain, r.activationPanel()}}
}

// sizePanels draw the test accuracies, and the gains, against the number of training images.
func (r scarceResults) sizePanels() (accuracy, gain plots.Panel) {
	accuracy = plots.Panel{Title: "test accuracy", XLabel: "training images", YLabel: "fraction right", LogX: true}
	gain = plots.Panel{Title: "gain over no regularization", XLabel: "training images", YLabel: "test accuracy",
		LogX: true}
	band := func(name string, rows [][]float64) plots.Series {
		s := evidence.BandOf(name, r.sizeAxis().Values, rows)
		s.Points = true
		return s
	}
	// Accuracies of methods differ by less than those of seeds: bands would cover the lines.
	line := func(name string, method []tuned) plots.Series {
		rows := make([][]float64, r.seeds)
		for _, t := range method {
			for seed, v := range t.values("test_accuracy") {
				rows[seed] = append(rows[seed], v)
			}
		}
		s := band(name, rows)
		s.Lo, s.Hi = nil, nil
		return s
	}
	for _, m := range r.ScarceDataConfig.methods() {
		accuracy.Series = append(accuracy.Series, line(m.name, r.methods[m.key]))
		gain.Series = append(gain.Series, band(m.name, r.gainRows(r.methods[m.key])))
	}
	accuracy.Series = append(accuracy.Series, line(unregularized.name, r.none))
	return accuracy, gain
}

// activationPanel draws the gains of the penalty at the smallest size for each activation.
func (r scarceResults) activationPanel() plots.Panel {
	x := make([]float64, len(r.Activations))
	rows := make([][]float64, r.seeds)
	for i, a := range r.Activations {
		x[i] = float64(i)
		for seed, v := range r.gains[a] {
			rows[seed] = append(rows[seed], v)
		}
	}
	gains := evidence.BandOf("GC penalty", x, rows)
	gains.Points = true
	return plots.Panel{Title: fmt.Sprintf("gain of the GC penalty, %d images", r.Sizes[0]), XLabel: "activation",
		YLabel: "test accuracy", Categories: r.Activations, Series: []plots.Series{gains}}
}
