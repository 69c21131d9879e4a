package experiments

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/geometric-complexity/toolkit/experiments/experiment"
	"github.com/geometric-complexity/toolkit/experiments/runs"
	"github.com/geometric-complexity/toolkit/internal/gctest"
)

var demoSeeds = []int64{0, 1}

func smallDemo() DemoConfig {
	cfg := Demo.Config(experiment.Smoke)
	cfg.Width, cfg.Steps = 8, 6
	return cfg
}

// reportVariable holds, in the environment of its process, the folder that TestReportChild works
// in.
const reportVariable = "GCML_TEST_REPORT"

// TestReportChild is no test: it is the process that is killed as soon as its report has a figure.
func TestReportChild(t *testing.T) {
	out := os.Getenv(reportVariable)
	if out == "" {
		return
	}
	go gctest.KillAtFile(filepath.Join(out, experiment.FiguresDir, "*"))
	env := runs.Env{Backend: gctest.GoBackend(t), Out: out}
	if _, err := Demo.Run(context.Background(), env, smallDemo(), demoSeeds); err != nil {
		t.Fatal(err)
	}
}

func TestKilledDuringTheReport(t *testing.T) {
	env := runs.Env{Backend: gctest.GoBackend(t), Out: t.TempDir()}
	result := filepath.Join(env.Out, experiment.ResultFile)
	for tries := 0; ; tries++ {
		cmd := exec.Command(os.Args[0], "-test.run=^TestReportChild$")
		cmd.Env = append(os.Environ(), reportVariable+"="+env.Out)
		output, err := cmd.CombinedOutput()
		var exit *exec.ExitError
		killed := errors.As(err, &exit) && exit.ExitCode() == -1
		if err != nil && !killed {
			t.Fatalf("the other process: %v\n%s", err, output)
		}
		if _, err := os.Stat(result); killed && err != nil {
			break
		}
		if tries == 20 {
			t.Fatal("the process was never killed before its report was whole")
		}
		for _, path := range []string{result, filepath.Join(env.Out, experiment.FiguresDir)} {
			if err := os.RemoveAll(path); err != nil {
				t.Fatal(err)
			}
		}
	}
	got, err := Demo.Run(context.Background(), env, smallDemo(), demoSeeds)
	if err != nil {
		t.Fatal(err)
	}
	if got.Reused != len(got.Runs) {
		t.Errorf("%d of %d runs were done again", len(got.Runs)-got.Reused, len(got.Runs))
	}
	fresh := runs.Env{Backend: env.Backend, Out: t.TempDir()}
	want, err := Demo.Run(context.Background(), fresh, smallDemo(), demoSeeds)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got.Tables, want.Tables) || !reflect.DeepEqual(got.Figures, want.Figures) {
		t.Errorf("the report is\n%v %v; want\n%v %v", got.Tables, got.Figures, want.Tables, want.Figures)
	}
	for _, name := range append(want.Figures, experiment.ClaimsFile) {
		a, errA := os.ReadFile(filepath.Join(env.Out, name))
		b, errB := os.ReadFile(filepath.Join(fresh.Out, name))
		if errA != nil || errB != nil || string(a) != string(b) {
			t.Errorf("%s differs from an uninterrupted report's (%v, %v)", name, errA, errB)
		}
	}
	entries, err := os.ReadDir(env.Out)
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		if strings.Contains(entry.Name(), ".tmp-") {
			t.Errorf("%s is left", entry.Name())
		}
	}
}
