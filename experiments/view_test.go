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
			r.Points = append(r.Points, Point{Step: int64(10 * i), Values: map[string]Number{"test_loss": Number(loss), "train_gc": 1}})
		}
		return r
	}
	return &View{prefix: "rate", labels: []string{"rate 0", "rate 0.5"},
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
		t.Errorf("compared with %+v, want the mean of the first label", s)
	}
	if !slices.Equal(s[1].X, []float64{0, 10, 20}) || !slices.Equal(s[1].Y, []float64{4.5, 2, 0.5}) {
		t.Errorf("the chosen label is drawn as %+v", s[1])
	}
	if first, err := sweepView().Along(0, "test_loss"); err != nil || len(first.Panels[0].Series) != 1 {
		t.Errorf("the first label is compared with itself: %+v, %v", first, err)
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

func TestViewRefuses(t *testing.T) {
	v := sweepView()
	r := &Result{Name: "x", Runs: []RunSummary{{Label: "rate 0"}}}
	for _, tc := range []struct {
		name string
		call func() error
		want string
	}{
		{"label", func() error { _, err := v.Along(2, "test_loss"); return err }, "label 2: there are 2"},
		{"measurement", func() error { _, err := v.Across(3, "test_loss"); return err }, "measurement 3: there are 3"},
		{"quantity along", func() error { _, err := v.Along(0, "tset_loss"); return err }, `did you mean "test_loss"`},
		{"quantity across", func() error { _, err := v.Across(0, "loss_test"); return err }, "known: test_loss, train_gc"},
		{"prefix", func() error { _, err := r.View(t.TempDir(), "coefficient"); return err }, `begins with "coefficient"`},
		{"records", func() error { _, err := r.View(t.TempDir(), "rate"); return err }, "run the experiment again"},
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
		cfg := SimplicityBias.Config(Smoke)
		cfg.Width, cfg.Steps, cfg.SweepTime, cfg.LearningRates = 4, 4, 0.4, []float64{0.05, 0.1, 0.2}
		result, err := SimplicityBias.Run(ctx, env, cfg, []int64{0})
		if err != nil {
			t.Fatal(err)
		}
		v, err := result.View(env.Out, "learning rate", "0.05", "0.2")
		if err != nil || v.Len() != 2 || v.Measurements() != 9 {
			t.Fatalf("view %+v, %v; want the 2 labels of 8 steps and 0 that were asked for", v, err)
		}
		if _, err := v.Across(2, "train_gc", "interval_gc"); err != nil {
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
