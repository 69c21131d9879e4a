package training

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/geometric-complexity/toolkit/experiments/runs"
)

// TestOpenRunOfImpossibleSize checks that a run from a stranger is refused if its network is larger
// than this machine's memory.
func TestOpenRunOfImpossibleSize(t *testing.T) {
	for want, task := range map[string]*Train{
		"data: needs at least 800 GB": {Data: Data{Name: NameParabola, Train: 100_000_000_000}},
		"network: needs ": {Data: Data{Name: NameParabola},
			Network: Network{Kind: KindMLP, HiddenLayers: 2, Width: 1 << 40}},
		"network.width is -1": {Data: Data{Name: NameParabola}, Network: Network{Kind: KindMLP, Width: -1}},
	} {
		raw, err := json.Marshal(task)
		if err != nil {
			t.Fatal(err)
		}
		run := runs.Record{Kind: task.Kind(), Backend: "go", Task: raw}
		if run.Hash, err = run.Address(); err != nil {
			t.Fatal(err)
		}
		dir := t.TempDir()
		if raw, err = json.Marshal(run); err == nil {
			err = os.WriteFile(filepath.Join(dir, runs.RunFile), raw, 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
		if _, err := OpenRun(dir); err == nil || !strings.Contains(err.Error(), want) ||
			!strings.HasPrefix(err.Error(), dir) {
			t.Errorf("error %v; want %q", err, want)
		}
	}
}
