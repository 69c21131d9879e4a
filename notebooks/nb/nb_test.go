package nb

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/gomlx/compute"

	"github.com/geometric-complexity/toolkit/backend"
	"github.com/geometric-complexity/toolkit/datasets"
	"github.com/geometric-complexity/toolkit/experiments"
	"github.com/geometric-complexity/toolkit/experiments/experiment"
	"github.com/geometric-complexity/toolkit/experiments/runs"
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
	if got.folder != env.Out || got.Reused != len(want.Runs) {
		t.Errorf("%d of %d runs were found, in %s", got.Reused, len(want.Runs), got.folder)
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
