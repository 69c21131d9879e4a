package experiments

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestCheckSize(t *testing.T) {
	for _, e := range All() {
		for _, scale := range Scales() {
			if err := checkSize(e.DefaultConfig(scale)); err != nil {
				t.Errorf("%s at scale %s: %v", e.Info().Name, scale, err)
			}
		}
	}
	for _, tc := range []struct{ name, assignment, want string }{
		{"the-measure", "points=100000000000", "needs 4 TB at least, and this machine has "},
		{"the-measure", "width=9223372036854775807", "EB at least"},
		{"the-measure", "functions=100000000000", "functions: 100000000000 is more than 100000"},
		{"gc-regularizer", "resnet.width=9223372036854775807", "resnet: needs "},
		{"gc-regularizer", "resnet.pool=-1", "resnet.pool: -1 is below 0"},
		{"gc-regularizer", "steps=9223372036854775807", "steps: 9223372036854775807 is more than"},
		{"double-descent", "widths=8,9223372036854775807", "needs "},
	} {
		e, err := Find(tc.name)
		if err != nil {
			t.Fatal(err)
		}
		cfg := e.DefaultConfig(Smoke)
		if err := Set(cfg, tc.assignment); err != nil {
			t.Fatal(err)
		}
		if _, err := e.Plan(cfg, []int64{0}); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: error %v; want %q", tc.assignment, err, tc.want)
		}
	}
}

// A run from a stranger is of what it says, but of no more than this machine holds.
func TestOpenRunOfImpossibleSize(t *testing.T) {
	for want, task := range map[string]*Train{
		"data: needs 800 GB at least": {Data: Data{Name: NameParabola, Train: 100_000_000_000}},
		"network: needs ":             {Data: Data{Name: NameParabola}, Network: Network{Kind: kindMLP, HiddenLayers: 2, Width: 1 << 40}},
		"network.width: -1":           {Data: Data{Name: NameParabola}, Network: Network{Kind: kindMLP, Width: -1}},
	} {
		raw, err := json.Marshal(task)
		if err != nil {
			t.Fatal(err)
		}
		run := started{Record: Record{Kind: task.Kind(), Backend: "go", Task: raw}}
		if run.Hash, err = run.address(); err != nil {
			t.Fatal(err)
		}
		dir := t.TempDir()
		if raw, err = json.Marshal(run); err == nil {
			err = os.WriteFile(filepath.Join(dir, runFile), raw, 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
		if _, err := OpenRun(dir); err == nil || !strings.Contains(err.Error(), want) || !strings.HasPrefix(err.Error(), dir) {
			t.Errorf("error %v; want %q", err, want)
		}
	}
}
