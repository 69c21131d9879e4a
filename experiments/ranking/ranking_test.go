package ranking

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/geometric-complexity/toolkit/datasets"
	"github.com/geometric-complexity/toolkit/experiments/runs"
	"github.com/geometric-complexity/toolkit/experiments/runs/runstest"
	"github.com/geometric-complexity/toolkit/experiments/training"
	"github.com/geometric-complexity/toolkit/internal/gctest"
)

func TestFlat(t *testing.T) {
	got, err := flat(json.RawMessage(`{"rate": 0.1, "data": {"name": "mnist", "classes": [1]}, "penalties": {"gc": 1}}`))
	want := map[string]string{"rate": "0.1", "data.name": `"mnist"`, "data.classes": "[1]", "penalties.gc": "1"}
	if err != nil || !maps.Equal(got, want) {
		t.Errorf("%v (%v), want %v", got, err, want)
	}
}

// network returns the Measured of a network of a learning rate and a GC penalty, which is left out
// if it is empty, with a complexity and a test error.
func network(seed int64, rate, penalty string, complexity, testError float64) *Measured {
	setting := map[string]string{"rate": rate, "steps": "9"}
	if penalty != "" {
		setting["penalties.gc"] = penalty
	}
	return &Measured{Run: fmt.Sprint(seed, rate, penalty), Seed: seed, Setting: setting,
		Values: map[string]runs.Number{"gc": runs.Number(complexity), TestError: runs.Number(testError), trainLoss: 1}}
}

func TestAxes(t *testing.T) {
	all := []*Measured{network(0, "1", "", 0, 0), network(0, "2", "", 0, 0), network(0, "1", "0.5", 0, 0),
		network(0, "3", "0.7", 0, 0), network(1, "4", "", 0, 0)}
	axes := axesOf(all)
	if len(axes) != 2 || axes[0].name != "penalties.gc" || axes[1].name != "rate" ||
		len(axes[0].groups) != 1 || !slices.Equal(axes[0].groups[0].runs, []int{0, 2}) ||
		len(axes[1].groups) != 1 || !slices.Equal(axes[1].groups[0].runs, []int{0, 1}) {
		t.Errorf("axes %+v, want the penalty with runs 0 and 2, and the rate with 0 and 1", axes)
	}
	if got := display("penalties.gc") + ", " + display("learning_rate") + ", " + display("network.hidden_layers"); got !=
		"GC penalty, learning rate, hidden layers" {
		t.Error(got)
	}
}

func TestCategory(t *testing.T) {
	plain, adam := network(0, "1", "", 0, 0), network(0, "2", "", 0, 0)
	if by := categoryOf([]*Measured{plain, adam}); by != "" || category(plain, by) != "runs" {
		t.Errorf("category %q of runs that differ in numbers only", by)
	}
	adam.Setting["optimizer"] = `"adam"`
	by := categoryOf([]*Measured{plain, adam})
	if got := category(plain, by) + ", " + category(adam, by); by != "optimizer" || got != "plain gradient descent, adam" {
		t.Errorf("by %s: %s", by, got)
	}
}

// TestCorrelations has a measure that rises with the test error along the rate and falls along the
// penalty: over all pairs and granulated it differs.
func TestCorrelations(t *testing.T) {
	all := []*Measured{
		network(0, "1", "", 1, 0.1), network(0, "2", "", 2, 0.2), network(0, "3", "", 3, 0.3),
		network(0, "1", "5", 0.5, 0.15),
		network(1, "1", "", 1, 0.1), network(1, "2", "", 3, 0.2), network(1, "3", "", 2, 0.3),
		network(1, "1", "5", 0.5, 0.15),
	}
	all[2].Values["sharpness"] = 1 // A single run with a value ranks nothing.
	var gc *Correlation
	for _, c := range correlationsOf(all) {
		if c.Measure == "sharpness" {
			t.Error("a measure of one run has a correlation")
		}
		if c.Measure == "gc" && c.Error == TestError {
			gc = &c
		}
	}
	// Seed 0: one of six pairs is ordered differently; seed 1: two. Along the rate all three pairs
	// are ordered alike, and two of three; along the penalty none.
	for _, c := range []struct {
		name string
		got  Statistic
		want []float64
	}{{"all pairs", gc.All, []float64{4.0 / 6, 2.0 / 6}}, {"rate", gc.ByAxis["rate"], []float64{1, 1.0 / 3}},
		{"penalty", gc.ByAxis["penalties.gc"], []float64{-1, -1}}, {"granulated", gc.Granulated, []float64{0, -1.0 / 3}}} {
		gctest.AssertClose(t, runs.Floats(c.got.PerSeed), c.want, 1e-12, 1e-12, c.name)
		gctest.AssertClose(t, []float64{float64(c.got.Mean)}, []float64{(c.want[0] + c.want[1]) / 2}, 1e-12, 1e-12, c.name)
	}
	if gc.Runs != 8 || len(gc.GivenLoss.PerSeed) != 0 {
		t.Errorf("%+v: want 8 runs, and nothing given a training loss that is the same for all", gc)
	}
	for i, m := range all {
		m.Values[trainLoss] = runs.Number([]float64{1, 2, 4, 3}[i%4])
	}
	given := correlate(all, []int64{0}, nil, Measure{ID: "gc"}, TestError).GivenLoss
	// τ = 4/6 with the test error, 2/6 with the loss, and 4/6 of the loss with the test error.
	gctest.AssertClose(t, runs.Floats(given.PerSeed), []float64{(4.0/6 - 2.0/6*4/6) / math.Sqrt((1-4.0/36)*(1-16.0/36))},
		1e-12, 0, "given the loss")
}

func TestText(t *testing.T) {
	for want, perSeed := range map[string][]float64{"–": {math.NaN()}, "−0.50": {-0.5}, "0.00": {-0.001},
		"0.50": {0.5, 0.5}, "0.50 [0.50, 0.50]": {0.5, 0.5, 0.5, 0.5, 0.5, 0.5}} {
		if got := newStatistic(perSeed).String(); got != want {
			t.Errorf("%v is %q, want %q", perSeed, got, want)
		}
	}
}

// TestRank trains networks and ranks them.
func TestRank(t *testing.T) {
	backend := gctest.GoBackend(t)
	out, to := t.TempDir(), t.TempDir()
	env := runs.Env{Backend: backend, BackendName: "go", Out: out}
	for _, rate := range []float64{0.05, 0.2} {
		for seed := range int64(2) {
			task := &training.Train{Data: training.Data{Name: datasets.NameFashionMNISTSubset, Train: 200, Test: 50,
				Measure: 100},
				Network: training.MLP(1, 16), LearningRate: rate, BatchSize: 50, Steps: 40, Measurements: 4}
			if _, err := runstest.Do(t.Context(), env, runs.Run{Label: "run", Seed: seed, Task: task}); err != nil {
				t.Fatal(err)
			}
		}
	}
	options := Options{Backend: backend, BackendName: "go", Runs: out, Out: to, Settings: DefaultSettings(),
		Command: "gcml rank"}
	options.Settings.Steps, options.Settings.BurnIn = 3, 3
	r, err := Rank(t.Context(), options)
	if err != nil {
		t.Fatal(err)
	}
	if r.Runs != 4 || len(r.Seeds) != 2 || !slices.Equal(r.Axes, []string{"learning_rate"}) ||
		math.IsNaN(float64(r.Level)) {
		t.Errorf("%d runs, seeds %v, axes %v, level %g; want 4 runs of 2 seeds that differ in the learning rate", r.Runs,
			r.Seeds, r.Axes, float64(r.Level))
	}
	all, err := readMeasures(to)
	if err != nil || len(all) != 4 {
		t.Fatalf("%d measures (%v), want 4", len(all), err)
	}
	for _, m := range all {
		for _, measure := range Measures() {
			if math.IsNaN(m.value(measure.ID)) || math.IsNaN(m.value(TestError+measure.At)) {
				t.Errorf("run %s has no %s or nothing to compare it with: %v", m.Run, measure.ID, m.Missing)
			}
		}
		if m.value("distance2") > m.value("norm2") || m.value("distance2") == 0 {
			t.Errorf("run %s moved by %g, of norm %g", m.Run, m.value("distance2"), m.value("norm2"))
		}
	}
	for _, file := range []string{resultFile, figureBase + ".svg", figureBase + ".png"} {
		if _, err := os.Stat(filepath.Join(to, file)); err != nil {
			t.Error(err)
		}
	}
	if text := r.Markdown(); !strings.Contains(text, "| ‖w − w₀‖² |") || strings.Contains(text, "NaN") {
		t.Error(text)
	}
	if loaded, err := load(to); err != nil || loaded.Markdown() != r.Markdown() {
		t.Errorf("loaded (%v):\n%s\nwant\n%s", err, loaded.Markdown(), r.Markdown())
	}
	checkReuse(t, options, all)
}

// checkReuse checks that a second call takes the measures that are known, unless their settings or
// the revision of the code differ, and that it keeps those that it does not rank.
func checkReuse(t *testing.T, options Options, all []*Measured) {
	slices.SortFunc(all, func(a, b *Measured) int { return cmp.Compare(a.Seed, b.Seed) }) // The first two have seed 0.
	all[0].Values["norm2"], all[1].Values["norm2"], all[2].Values["norm2"] = 1e6, 2e6, 3e6
	all[1].Settings.Noise++
	all[2].Revision--
	if err := write(options.Out, all, nil); err != nil {
		t.Fatal(err)
	}
	options.Seeds = []int64{0, all[2].Seed}
	r, err := Rank(t.Context(), options)
	if err != nil {
		t.Fatal(err)
	}
	again, err := readMeasures(options.Out)
	if err != nil {
		t.Fatal(err)
	}
	norms := make(map[string][]float64)
	for _, m := range again {
		norms[m.Run] = append(norms[m.Run], m.value("norm2"))
	}
	if got := norms[all[0].Run]; len(got) != 1 || got[0] != 1e6 {
		t.Errorf("squared norms %v of the first run, want the known one", got)
	}
	if got := norms[all[1].Run]; len(got) != 2 || got[0] >= 1e6 || got[1] != 2e6 {
		t.Errorf("squared norms %v of the second run, want it measured again, and then that with other settings", got)
	}
	if got := norms[all[2].Run]; len(got) != 1 || got[0] >= 1e6 {
		t.Errorf("squared norms %v of the third run, want it measured again, and nothing of the old code", got)
	}
	if len(norms) != len(all) {
		t.Errorf("measures of %d runs, want those of all %d kept", len(norms), len(all))
	}
	if loaded, err := load(options.Out); err != nil || loaded.Markdown() != r.Markdown() {
		t.Errorf("loaded (%v):\n%s\nwant the ranked runs alone:\n%s", err, loaded.Markdown(), r.Markdown())
	}
}

// TestRecords: a run whose numbers come from other code does not count, and two runs that differ in
// no setting are refused.
func TestRecords(t *testing.T) {
	record := func(task training.Train, revision int, seed int64) *runs.Record {
		raw, err := json.Marshal(task)
		if err != nil {
			t.Fatal(err)
		}
		return &runs.Record{Kind: task.Kind(), Hash: fmt.Sprint(revision, seed), Revision: revision, Seed: seed, Task: raw,
			Status: runs.Complete, Points: []runs.Point{{Values: map[string]runs.Number{"test_accuracy": 0.5}}}}
	}
	norm := training.Train{Network: training.MLP(1, 8)}
	norm.Network.Norm = "batch"
	var r Result
	for revision, want := range map[int]bool{1: false, norm.Revision(): true} {
		if got, err := r.count(Options{}, record(norm, revision, 0)); err != nil || got != want {
			t.Errorf("revision %d counts: %t (%v), want %t", revision, got, err, want)
		}
	}
	if r.Outdated != 1 || !strings.Contains(r.Source(), "1 runs of another revision") {
		t.Errorf("%d outdated: %s", r.Outdated, r.Source())
	}
	plain := training.Train{Network: training.MLP(1, 8)}
	if err := checkDistinct("out",
		[]*runs.Record{record(norm, 2, 0), record(norm, 2, 1), record(plain, 1, 0)}); err != nil {
		t.Error(err)
	}
	err := checkDistinct("out", []*runs.Record{record(plain, 1, 0), record(norm, 2, 0), record(plain, 1, 0)})
	if err == nil || !strings.Contains(err.Error(), "same settings and seed") || strings.Contains(err.Error(), "\n") {
		t.Errorf("error %v for two runs of the same settings", err)
	}
}

// TestUnfinished: runs without a record count only if their seed is asked for.
func TestUnfinished(t *testing.T) {
	out := t.TempDir()
	task := &training.Train{Data: training.Data{Name: datasets.NameFashionMNISTSubset, Train: 50, Test: 10, Measure: 50},
		Network: training.MLP(1, 4), LearningRate: 0.1, BatchSize: 50, Steps: 1, Measurements: 1}
	env := runs.Env{Backend: gctest.GoBackend(t), BackendName: "go", Out: out}
	for seed := range int64(3) {
		if _, err := runstest.Do(t.Context(), env, runs.Run{Label: "run", Seed: seed, Task: task}); err != nil {
			t.Fatal(err)
		}
	}
	records, err := filepath.Glob(filepath.Join(out, runs.RunsDir, "*", runs.RecordFile))
	if err != nil || len(records) != 3 {
		t.Fatalf("%d records (%v), want 3", len(records), err)
	}
	for _, path := range records {
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
	}
	for want, seeds := range map[int][]int64{3: nil, 2: {0, 2}, 0: {5}} {
		var r Result
		if _, err := r.records(Options{Runs: out, Seeds: seeds}); err == nil || r.Unfinished != want {
			t.Errorf("seeds %v: %d unfinished runs (%v), want %d", seeds, r.Unfinished, err, want)
		}
	}
}

func TestRankErrors(t *testing.T) {
	o := Options{Backend: gctest.GoBackend(t), Runs: t.TempDir(), Out: t.TempDir()}
	if _, err := Rank(context.Background(), o); err == nil || !strings.Contains(err.Error(), "no folder runs") {
		t.Errorf("a folder without runs: error %v", err)
	}
	if err := os.Mkdir(filepath.Join(o.Runs, runs.RunsDir), 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := Rank(context.Background(), o); err == nil || !strings.Contains(err.Error(), "two or more") {
		t.Errorf("no runs: error %v", err)
	}
}
