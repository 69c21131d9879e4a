package nb

import (
	"context"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/geometric-complexity/toolkit/experiments"
	"github.com/geometric-complexity/toolkit/experiments/evidence"
	"github.com/geometric-complexity/toolkit/experiments/experiment"
	"github.com/geometric-complexity/toolkit/experiments/runs"
	"github.com/geometric-complexity/toolkit/experiments/training"
	"github.com/geometric-complexity/toolkit/internal/gctest"
	"github.com/geometric-complexity/toolkit/internal/plots"
)

// sweepView has two values with two seeds each. Every run has three measurements, except one that
// diverged after two.
func sweepView() *View {
	run := func(losses ...float64) *runs.Record {
		r := &runs.Record{Status: runs.Complete}
		for i, loss := range losses {
			r.Points = append(r.Points, runs.Point{Step: int64(10 * i),
				Values: map[string]runs.Number{"test_loss": runs.Number(loss), "train_gc": runs.Number(i + 1)}})
		}
		return r
	}
	return &View{evidence.Sweep{Axis: evidence.Axis{Name: "rate", Values: []float64{0, 0.5}},
		Records: [][]*runs.Record{{run(4, 2, 1), run(6, 4, 3)}, {run(4, 1, 0.5), run(5, 3)}}}}
}

func TestViewAlong(t *testing.T) {
	f, err := sweepView().Along(1, "test_loss", "train_gc")
	if err != nil {
		t.Fatal(err)
	}
	if f.Title != "rate 0.5" || len(f.Panels) != 2 || f.Panels[1].YLabel != "train GC" {
		t.Fatalf("figure %q has panels %+v", f.Title, f.Panels)
	}
	s := f.Panels[0].Series
	if len(s) != 2 || !s[0].Reference || s[0].Name != "rate 0" || !slices.Equal(s[0].Y, []float64{5, 3, 2}) {
		t.Errorf("the reference is %+v, want the mean of the first value", s)
	}
	if !slices.Equal(s[1].X, []float64{0, 10, 20}) || !slices.Equal(s[1].Y, []float64{4.5, 2, 0.5}) {
		t.Errorf("the chosen value is drawn as %+v", s[1])
	}
	if first, err := sweepView().Along(0, "test_loss"); err != nil || len(first.Panels[0].Series) != 1 {
		t.Errorf("the first value is compared with itself: %+v, %v", first, err)
	}
}

func TestAxisLabel(t *testing.T) {
	for measured, want := range map[string]string{"train_gc": "train GC", "target_cdnv": "target CDNV",
		training.FewShotName(5): "5-shot accuracy"} {
		if got := axisLabel(measured); got != want {
			t.Errorf("%s is spelled %q, want %q", measured, got, want)
		}
	}
}

func TestViewAcross(t *testing.T) {
	v := sweepView()
	f, err := v.Across(v.Measurements()-1, "test_loss")
	if err != nil {
		t.Fatal(err)
	}
	p := f.Panels[0]
	if f.Title != "Measurement 2 of 2, step 20" || !p.LogY || p.XLabel != "rate" ||
		!slices.Equal(p.Categories, []string{"0", "0.5"}) {
		t.Errorf("figure %q with panel %+v", f.Title, p)
	}
	if !slices.Equal(p.Series[0].Y, []float64{2, 0.5}) {
		t.Errorf("values %v; the run that ended early must be left out", p.Series[0].Y)
	}
	v.sweep.Records[1][0].Points[1].Step = 11
	if f, err := v.Across(1, "test_loss"); err != nil || f.Title != "Measurement 1 of 2" {
		t.Errorf("runs at different steps give %q, %v", f.Title, err)
	}
}

func TestViewAgainst(t *testing.T) {
	f, err := sweepView().Against(1, "train_gc", "test_loss")
	if err != nil {
		t.Fatal(err)
	}
	p := f.Panels[0]
	if p.XLabel != "train GC" || p.YLabel != "test loss" || !p.LogX || !p.LogY || len(p.Series) != 2 {
		t.Errorf("panel %+v", p)
	}
	if s := p.Series[1]; s.Name != "rate 0.5" || !slices.Equal(s.X, []float64{1, 2}) ||
		!slices.Equal(s.Y, []float64{4.5, 2}) {
		t.Errorf("the path of the second value is drawn as %+v", s)
	}
}

func TestViewRefuses(t *testing.T) {
	v := sweepView()
	for _, tc := range []struct {
		name string
		call func() error
		want string
	}{
		{"value", func() error { _, err := v.Along(2, "test_loss"); return err }, "value 2 of the sweep: there are 2"},
		{"measurement across", func() error { _, err := v.Across(3, "test_loss"); return err }, "measurement 3: there are 3"},
		{"measurement against", func() error { _, err := v.Against(-1, "test_loss", "train_gc"); return err },
			"measurement -1: there are 3"},
		{"measured along", func() error { _, err := v.Along(0, "tset_loss"); return err }, `did you mean "test_loss"`},
		{"measured across", func() error { _, err := v.Across(0, "accuracy"); return err }, "known: test_loss, train_gc"},
		{"measured against", func() error { _, err := v.Against(0, "train_gc", "accuracy"); return err },
			"known: test_loss, train_gc"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if err := tc.call(); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("error %v, want one that says %q", err, tc.want)
			}
		})
	}
}

// outcomeOf runs an experiment with one seed on the Go backend.
func outcomeOf[C any](t *testing.T, e *experiment.Definition[C], cfg C) *Outcome[C] {
	t.Helper()
	env := runs.Env{Backend: gctest.GoBackend(t), Out: t.TempDir()}
	result, err := e.Run(context.Background(), env, cfg, []int64{0})
	if err != nil {
		t.Fatal(err)
	}
	records, err := e.Records(env.Out, result.Backend, cfg, result.Seeds)
	if err != nil {
		t.Fatal(err)
	}
	return &Outcome[C]{Result: result, Settings: cfg, folder: env.Out, design: e.Design(cfg, result.Seeds),
		records: records}
}

// The following tests draw the figures of the notebooks' sliders, from real runs.

func TestRankedFunctions(t *testing.T) {
	cfg := experiments.TheMeasureConfig{Inputs: []int{1}, Outputs: []int{1}, HiddenLayers: []int{0, 1}, Width: 4,
		Points: 10, Functions: 5, Cells: 500}
	o := outcomeOf(t, experiments.TheMeasure, cfg)
	ranked := Ranked(cfg, gctest.GoBackend(t), o.Records(experiments.ArcLabel)[0])
	last := 0.0
	for i := range ranked.Len() {
		f, err := ranked.At(i)
		if err != nil {
			t.Fatal(err)
		}
		gc := f.Panels[1].Series[1].Y[0]
		drawn := meanOf(f.Panels[1].Series[0])
		if gc < last || math.Abs(drawn-gc) > 0.02*gc {
			t.Errorf("function %d: GC %g after %g, and the slopes drawn give %g", i, gc, last, drawn)
		}
		last = gc
	}
	if _, err := ranked.At(5); err == nil {
		t.Error("an index beyond the functions gives no error")
	}
}

func TestAtDepth(t *testing.T) {
	cfg := experiments.InitializationConfig{Inputs: 5, Outputs: 2, Width: 8, Depths: []int{1, 3}, Points: 10}
	o := outcomeOf(t, experiments.Initialization, cfg)
	f, err := AtDepth(o, 1)
	if err != nil {
		t.Fatal(err)
	}
	largest, gc := f.Panels[0].Series, f.Panels[1].Series
	const schemes = 4
	if len(largest) != schemes || len(largest[0].Y) != 10 || len(gc) != 2*schemes ||
		!slices.Equal(gc[0].X, []float64{1, 3}) {
		t.Errorf("the figure draws %+v", f.Panels)
	}
	if _, err := AtDepth(o, 2); err == nil {
		t.Error("an unknown depth gives no error")
	}
}

func TestViewOfASweep(t *testing.T) {
	cfg := experiments.Noise.Config(experiment.Smoke)
	cfg.Train, cfg.Test, cfg.Measure, cfg.Width, cfg.BatchSize, cfg.Steps, cfg.Measurements = 20, 10, 10, 4, 10, 4, 2
	v := outcomeOf(t, experiments.Noise, cfg).View(1)
	if v.Values() != 2 || v.Measurements() != 3 {
		t.Fatalf("view %+v; want 2 values of 3 measurements", v)
	}
	f, err := v.Across(2, "train_gc", "test_accuracy")
	if err != nil || f.Panels[0].XLabel != "input noise σ" {
		t.Errorf("the figure draws %+v, %v", f, err)
	}
}

func meanOf(s plots.Series) (mean float64) {
	for _, y := range s.Y {
		mean += y / float64(len(s.Y))
	}
	return mean
}
