package experiments

import (
	"context"
	"math"
	"slices"
	"strings"
	"testing"

	"example.com/geometric-complexity/internal/gctest"
	"example.com/geometric-complexity/internal/plots"
)

// sweepView has two labels of two seeds each, of three measurements but for one
// run that diverged after two.
func sweepView() *View {
	run := func(losses ...float64) *Record {
		r := &Record{Status: Complete}
		for i, loss := range losses {
			r.Points = append(r.Points, Point{Step: int64(10 * i), Values: map[string]Number{"test_loss": Number(loss), "train_gc": Number(i + 1)}})
		}
		return r
	}
	return &View{sweep: Sweep{"rate", []float64{0, 0.5}, []string{"r 0", "r 0.5"}},
		records: [][]*Record{{run(4, 2, 1), run(6, 4, 3)}, {run(4, 1, 0.5), run(5, 3)}}}
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
		t.Errorf("compared with %+v, want the mean of the first value", s)
	}
	if !slices.Equal(s[1].X, []float64{0, 10, 20}) || !slices.Equal(s[1].Y, []float64{4.5, 2, 0.5}) {
		t.Errorf("the chosen value is drawn as %+v", s[1])
	}
	if first, err := sweepView().Along(0, "test_loss"); err != nil || len(first.Panels[0].Series) != 1 {
		t.Errorf("the first value is compared with itself: %+v, %v", first, err)
	}
}

func TestViewAcross(t *testing.T) {
	v := sweepView()
	f, err := v.Across(v.Measurements()-1, "test_loss")
	if err != nil {
		t.Fatal(err)
	}
	p := f.Panels[0]
	if f.Title != "Measurement 2 of 2, step 20" || !p.LogY || p.XLabel != "rate" || !slices.Equal(p.Categories, []string{"0", "0.5"}) {
		t.Errorf("figure %q with panel %+v", f.Title, p)
	}
	if !slices.Equal(p.Series[0].Y, []float64{2, 0.5}) {
		t.Errorf("values %v; the run that ended early must be left out", p.Series[0].Y)
	}
	v.records[1][0].Points[1].Step = 11
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
	if s := p.Series[1]; s.Name != "rate 0.5" || !slices.Equal(s.X, []float64{1, 2}) || !slices.Equal(s.Y, []float64{4.5, 2}) {
		t.Errorf("the way of the second value is drawn as %+v", s)
	}
}

// A sweep must name runs that the experiment has.
func TestSweepsAreOfRuns(t *testing.T) {
	type sweeper interface{ Sweeps() []Sweep }
	swept := 0
	for _, e := range All() {
		for _, scale := range Scales() {
			cfg, ok := e.DefaultConfig(scale).(sweeper)
			if !ok {
				continue
			}
			swept++
			runs, err := e.Plan(cfg, e.DefaultSeeds(scale))
			if err != nil {
				t.Fatal(err)
			}
			for _, sweep := range cfg.Sweeps() {
				if len(sweep.Labels) != len(sweep.Values) || len(sweep.Values) < 2 {
					t.Errorf("%s at %s: sweep %+v", e.Info().Name, scale, sweep)
				}
				for _, label := range sweep.Labels {
					if !slices.ContainsFunc(runs, func(r Run) bool { return r.Label == label }) {
						t.Errorf("%s at %s: no run has the label %q", e.Info().Name, scale, label)
					}
				}
			}
		}
	}
	if swept == 0 {
		t.Error("no experiment has a sweep")
	}
}

func TestViewRefuses(t *testing.T) {
	v := sweepView()
	r := &Result{Name: "x", Runs: []RunSummary{{Label: "r 0", Hash: "0123456789abcdef"}}}
	for _, tc := range []struct {
		name string
		call func() error
		want string
	}{
		{"value", func() error { _, err := v.Along(2, "test_loss"); return err }, "value 2 of the sweep: there are 2"},
		{"measurement across", func() error { _, err := v.Across(3, "test_loss"); return err }, "measurement 3: there are 3"},
		{"measurement against", func() error { _, err := v.Against(-1, "test_loss", "train_gc"); return err }, "measurement -1: there are 3"},
		{"measured along", func() error { _, err := v.Along(0, "tset_loss"); return err }, `did you mean "test_loss"`},
		{"measured across", func() error { _, err := v.Across(0, "accuracy"); return err }, "known: test_loss, train_gc"},
		{"measured against", func() error { _, err := v.Against(0, "train_gc", "accuracy"); return err }, "known: test_loss, train_gc"},
		{"label", func() error { _, err := r.View(t.TempDir(), Sweep{Labels: []string{"other"}}); return err }, `no run has the label "other"`},
		{"record", func() error { _, err := r.View(t.TempDir(), Sweep{Labels: []string{"r 0"}}); return err }, "run the experiment again"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if err := tc.call(); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("error %v, want one that says %q", err, tc.want)
			}
		})
	}
}

// TestViewsOfResults draws what the sliders of the notebooks ask for from real
// runs.
func TestViewsOfResults(t *testing.T) {
	backend, ctx := gctest.GoBackend(t), context.Background()
	env := Env{Backend: backend, Out: t.TempDir()}
	t.Run("functions", func(t *testing.T) {
		cfg := TheMeasureConfig{Inputs: []int{1}, Outputs: []int{1}, HiddenLayers: []int{0, 1}, Width: 4, Points: 10, Functions: 5, Cells: 500}
		result, err := TheMeasure.Run(ctx, env, cfg, []int64{0})
		if err != nil {
			t.Fatal(err)
		}
		records, err := result.Records(env.Out, arcLabel)
		if err != nil {
			t.Fatal(err)
		}
		ranked := cfg.Ranked(backend, records[0])
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
			t.Error("a function that there is not gives no error")
		}
	})
	t.Run("depths", func(t *testing.T) {
		cfg := InitializationConfig{Inputs: 5, Outputs: 2, Width: 8, Depths: []int{1, 3}, Points: 10}
		result, err := Initialization.Run(ctx, env, cfg, []int64{0})
		if err != nil {
			t.Fatal(err)
		}
		f, err := cfg.AtDepth(result, env.Out, 1)
		if err != nil {
			t.Fatal(err)
		}
		largest, gc := f.Panels[0].Series, f.Panels[1].Series
		if len(largest) != len(schemes) || len(largest[0].Y) != 10 || len(gc) != 2*len(schemes) || !slices.Equal(gc[0].X, []float64{1, 3}) {
			t.Errorf("the figure draws %+v", f.Panels)
		}
		if _, err := cfg.AtDepth(result, env.Out, 2); err == nil {
			t.Error("a depth that there is not gives no error")
		}
	})
	t.Run("sweep", func(t *testing.T) {
		cfg := Noise.Config(Smoke)
		cfg.Train, cfg.Test, cfg.Measure, cfg.Width, cfg.BatchSize, cfg.Steps, cfg.Measurements = 20, 10, 10, 4, 10, 4, 2
		result, err := Noise.Run(ctx, env, cfg, []int64{0})
		if err != nil {
			t.Fatal(err)
		}
		v, err := result.View(env.Out, cfg.Sweeps()[1])
		if err != nil || v.Values() != 2 || v.Measurements() != 3 {
			t.Fatalf("view %+v, %v; want 2 values of 3 measurements", v, err)
		}
		if _, err := v.Across(2, "train_gc", "test_accuracy"); err != nil {
			t.Error(err)
		}
	})
}

func meanOf(s plots.Series) (mean float64) {
	for _, y := range s.Y {
		mean += y / float64(len(s.Y))
	}
	return mean
}
