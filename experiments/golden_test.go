package experiments

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"testing"

	"golang.org/x/sys/cpu"

	"github.com/geometric-complexity/toolkit/experiments/experiment"
	"github.com/geometric-complexity/toolkit/experiments/runs"
)

var updateGolden = flag.Bool("update", false, "write testdata/golden.json instead of comparing with it")

const goldenFile = "testdata/golden.json"

// golden holds digests of the results of all runs of the smallest scale, on the pure Go backend.
type golden struct {
	// Platform is where the digests were made: other processors add in another order.
	Platform string               `json:"platform"`
	Runs     map[string]goldenRun `json:"runs"` // by experiment and address
}

// goldenRun is one of its runs.
type goldenRun struct {
	Label  string `json:"label"`
	Digest string `json:"digest"` // of the status, the points and the final weights
	// Values are those of the first point, for platforms with other digests: later ones differ by
	// more than rounding, as training magnifies it.
	Values map[string]runs.Number `json:"values,omitempty"`
}

// platform names what may change the last digits of sums.
func platform() string {
	vectors := "none"
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			if s.Key == "GOEXPERIMENT" {
				vectors = s.Value
			}
		}
	}
	return fmt.Sprintf("%s, GOEXPERIMENT %s, AVX2 %t, AVX512 %t", runtime.GOARCH, vectors, cpu.X86.HasAVX2,
		cpu.X86.HasAVX512)
}

// goldenRuns reads what a result's runs came to.
func goldenRuns(t *testing.T, out string, r *experiment.Result) map[string]goldenRun {
	t.Helper()
	all := make(map[string]goldenRun)
	for _, run := range r.Runs {
		raw, err := os.ReadFile(filepath.Join(out, runs.RunsDir, run.Hash, runs.RecordFile))
		if err != nil {
			t.Fatal(err)
		}
		var record runs.Record
		if err := json.Unmarshal(raw, &record); err != nil {
			t.Fatal(err)
		}
		numbers, err := json.Marshal([]any{record.Status, record.Step, record.Points, record.Weights})
		if err != nil {
			t.Fatal(err)
		}
		sum := sha256.Sum256(numbers)
		all[r.Name+"/"+run.Hash] = goldenRun{fmt.Sprintf("%s, seed %d", run.Label, run.Seed), hex.EncodeToString(sum[:8]),
			record.Points[0].Values}
	}
	return all
}

// assertGolden compares runs with those of the file: their addresses always, their numbers bit for
// bit on the platform of the file and roughly on others.
func assertGolden(t *testing.T, got map[string]goldenRun) {
	t.Helper()
	raw, err := os.ReadFile(goldenFile)
	if err != nil {
		t.Fatal(err)
	}
	var want golden
	if err := json.Unmarshal(raw, &want); err != nil {
		t.Fatal(err)
	}
	const explain = "raise the revision of the task if its numbers have to change, and make the file anew by " +
		"go test ./experiments -run TestSmoke -update"
	for _, key := range slices.Sorted(maps.Keys(got)) {
		run := got[key]
		old, found := want.Runs[key]
		switch {
		case !found:
			t.Errorf("%s (%s) is a new address: %s", key, run.Label, explain)
		case want.Platform == platform() && old.Digest != run.Digest:
			t.Errorf("%s (%s) has other numbers than before: %s", key, run.Label, explain)
		case want.Platform != platform():
			for name, v := range run.Values {
				if before := float64(old.Values[name]); math.Abs(float64(v)-before) > 1e-4*math.Abs(before) {
					t.Errorf("%s (%s): %s is %g, was %g on %s", key, run.Label, name, v, before, want.Platform)
				}
			}
		}
	}
	for key, old := range want.Runs {
		if _, found := got[key]; !found {
			t.Errorf("%s (%s) is not run any more: %s", key, old.Label, explain)
		}
	}
}

// writeGolden makes the file anew.
func writeGolden(t *testing.T, got map[string]goldenRun) {
	t.Helper()
	raw, err := json.MarshalIndent(golden{platform(), got}, "", " ")
	if err == nil {
		err = os.MkdirAll(filepath.Dir(goldenFile), 0o777)
	}
	if err == nil {
		err = os.WriteFile(goldenFile, append(raw, '\n'), 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
}
