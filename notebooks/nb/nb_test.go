package nb

import (
	"bytes"
	"image/png"
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/gomlx/compute"

	"github.com/geometric-complexity/toolkit/backend"
	"github.com/geometric-complexity/toolkit/datasets"
	"github.com/geometric-complexity/toolkit/experiments"
	"github.com/geometric-complexity/toolkit/experiments/experiment"
	"github.com/geometric-complexity/toolkit/experiments/runs"
	"github.com/geometric-complexity/toolkit/internal/plots"
)

func TestScale(t *testing.T) {
	t.Setenv(scaleVariable, "")
	if got := Scale(experiment.Paper); got != experiment.Paper {
		t.Errorf("without %s the scale is %q, want the chosen one", scaleVariable, got)
	}
	t.Setenv(scaleVariable, "smoke")
	if got := Scale(experiment.Paper); got != experiment.Smoke {
		t.Errorf("with %s=smoke the scale is %q", scaleVariable, got)
	}
}

func TestOutFolder(t *testing.T) {
	root := inRepository(t)
	deep := filepath.Join(root, "notebooks")
	for _, c := range []struct{ name, module, want string }{
		{"in another module", "module example.com/other", filepath.Join(deep, "out", "x")},
		{"in the repository", "module github.com/geometric-complexity/toolkit", filepath.Join(root, "out", "x")},
	} {
		t.Run(c.name, func(t *testing.T) {
			if err := os.WriteFile(filepath.Join(root, "go.mod"), []byte(c.module), 0o666); err != nil {
				t.Fatal(err)
			}
			got, err := outFolder("x")
			if err != nil || got != c.want {
				t.Errorf("outFolder = %q, %v; want %q", got, err, c.want)
			}
		})
	}
}

// inRepository makes a folder that passes for this repository's notebooks, and goes there. It gives
// the repository's root.
func inRepository(t *testing.T) string {
	t.Helper()
	root := t.TempDir()
	deep := filepath.Join(root, "notebooks")
	if err := os.MkdirAll(deep, 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(root, "go.mod"), []byte("module github.com/geometric-complexity/toolkit"),
		0o666); err != nil {
		t.Fatal(err)
	}
	t.Chdir(deep)
	return root
}

func TestFindData(t *testing.T) {
	data := filepath.Join(inRepository(t), "data")
	t.Setenv(datasets.EnvData, "")
	if findData(); os.Getenv(datasets.EnvData) != "" {
		t.Errorf("without a data folder %s became %q", datasets.EnvData, os.Getenv(datasets.EnvData))
	}
	if err := os.Mkdir(data, 0o777); err != nil {
		t.Fatal(err)
	}
	if findData(); os.Getenv(datasets.EnvData) != data {
		t.Errorf("%s is %q, want the repository's %q", datasets.EnvData, os.Getenv(datasets.EnvData), data)
	}
	t.Setenv(datasets.EnvData, "mine")
	if findData(); os.Getenv(datasets.EnvData) != "mine" {
		t.Errorf("the reader's %s was changed to %q", datasets.EnvData, os.Getenv(datasets.EnvData))
	}
}

// A notebook draws what the command ran, and the command what a notebook ran.
func TestRunFindsTheCommandsRuns(t *testing.T) {
	t.Setenv(compute.ConfigEnvVar, "go")
	root := inRepository(t)
	e := experiments.TheMeasure
	cfg := e.Config(experiment.Smoke)
	cfg.Points, cfg.Functions, cfg.Cells = 5, 3, 10
	b, info, err := backend.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer b.Finalize()
	env := runs.Env{Backend: b, BackendName: info.ResultName(), Out: filepath.Join(root, "out", "the-measure-laptop")}
	want, err := e.Run(t.Context(), env, cfg, e.Seeds(experiment.Laptop))
	if err != nil {
		t.Fatal(err)
	}
	got := Run(e, cfg, experiment.Laptop)
	if got.Out != env.Out || got.Reused != len(want.Runs) {
		t.Errorf("%d of %d runs were found, in %s", got.Reused, len(want.Runs), got.Out)
	}
}

// TestCompact: smaller, of the same size in pixels, and no pixel far from what it was.
func TestCompact(t *testing.T) {
	panel := plots.Panel{XLabel: "x", Series: []plots.Series{
		{Name: "a", X: []float64{0, 1, 2}, Y: []float64{0, 1, 0}, Lo: []float64{-1, 0, -1}, Hi: []float64{1, 2, 1}},
		{Name: "b", X: []float64{0, 1, 2}, Y: []float64{1, 0, 1}}}}
	// Of two panels, so wide that it is not made smaller.
	f := plots.Figure{Title: "t", Panels: []plots.Panel{panel, panel}}
	paths, err := f.Save(filepath.Join(t.TempDir(), "f"))
	if err != nil {
		t.Fatal(err)
	}
	before, err := os.ReadFile(paths[0])
	if err != nil {
		t.Fatal(err)
	}
	after, err := compact(before)
	if err != nil {
		t.Fatal(err)
	}
	if 2*len(after) > len(before) {
		t.Errorf("%d bytes became %d", len(before), len(after))
	}
	a, errA := png.Decode(bytes.NewReader(before))
	b, errB := png.Decode(bytes.NewReader(after))
	if errA != nil || errB != nil || a.Bounds() != b.Bounds() {
		t.Fatalf("decoding: %v, %v", errA, errB)
	}
	worst := 0.0
	for y := range a.Bounds().Dy() {
		for x := range a.Bounds().Dx() {
			r, g, bl, _ := a.At(x, y).RGBA()
			r2, g2, bl2, _ := b.At(x, y).RGBA()
			for _, d := range []float64{float64(r) - float64(r2), float64(g) - float64(g2), float64(bl) - float64(bl2)} {
				worst = max(worst, math.Abs(d)/0xffff)
			}
		}
	}
	if worst > 0.1 {
		t.Errorf("a pixel changed by %.0f %% of the range", 100*worst)
	}
}

func TestCurves(t *testing.T) {
	t.Chdir(t.TempDir())
	first := NewCurves("first")
	first.Add("loss", 1, 2.0)
	first.Add("loss", 2, 1.0)
	first.Done()
	second := NewCurves("second", "first")
	second.Add("loss", 1, 3.0)
	second.Add("GC", 1, 4.0)
	f := second.figure()
	if len(f.Panels) != 2 || f.Panels[0].YLabel != "loss" || f.Panels[1].YLabel != "GC" {
		t.Fatalf("panels %+v, want loss and GC", f.Panels)
	}
	loss := f.Panels[0].Series
	if len(loss) != 2 || loss[0].Name != "first" || loss[0].Y[1] != 1 || loss[1].Name != "second" || loss[1].Y[0] != 3 {
		t.Errorf("the panel of losses shows %+v, want both trainings", loss)
	}
}
