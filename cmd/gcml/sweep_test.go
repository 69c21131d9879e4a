package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/gomlx/compute"
	"github.com/rogpeppe/go-internal/testscript"

	"github.com/geometric-complexity/toolkit/experiments"
	"github.com/geometric-complexity/toolkit/experiments/experiment"
)

// sweepCommands are commands of the scripts that test sweeps.
var sweepCommands = map[string]func(*testscript.TestScript, bool, []string){
	"samerecords": sameRecords,
	"noworkers":   noWorkers,
	"killworkers": killWorkers,
}

// sameRecords compares the records.jsonl of folders with the first one's, without their provenance.
func sameRecords(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: samerecords FOLDER FOLDER...")
	}
	want, err := readRecords(ts.MkAbs(args[0]))
	ts.Check(err)
	for _, folder := range args[1:] {
		got, err := readRecords(ts.MkAbs(folder))
		ts.Check(err)
		if err := compareRecords(got, want); err != nil {
			ts.Fatalf("%s: %v", folder, err)
		}
	}
}

// readRecords reads an experiment's records.jsonl without the provenance.
func readRecords(folder string) (records []map[string]any, err error) {
	raw, err := os.ReadFile(filepath.Join(folder, "records.jsonl"))
	if err != nil {
		return nil, err
	}
	for line := range bytes.Lines(raw) {
		var record map[string]any
		if err := json.Unmarshal(line, &record); err != nil {
			return nil, err
		}
		delete(record, "provenance")
		records = append(records, record)
	}
	return records, nil
}

func compareRecords(got, want []map[string]any) error {
	if len(want) == 0 || len(got) != len(want) {
		return fmt.Errorf("%d records; want %d", len(got), len(want))
	}
	for i := range want {
		if want[i]["weights"] == "" || !reflect.DeepEqual(got[i], want[i]) {
			return fmt.Errorf("record %d is\n%v; want\n%v", i, got[i], want[i])
		}
	}
	return nil
}

// processesIn finds the processes whose working folder is folder or below it, and whose command
// line has these words, one after the other.
func processesIn(folder string, words ...string) (pids []int) {
	links, _ := filepath.Glob("/proc/[0-9]*/cwd")
	for _, link := range links {
		cwd, err := os.Readlink(link)
		command, errCommand := os.ReadFile(filepath.Join(filepath.Dir(link), "cmdline"))
		if err == nil && errCommand == nil && strings.HasPrefix(cwd, folder) &&
			strings.Contains(string(command), "\x00"+strings.Join(words, "\x00")+"\x00") {
			pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(link)))
			pids = append(pids, pid)
		}
	}
	return pids
}

func workersOf(ts *testscript.TestScript) []int { return processesIn(ts.Getenv("WORK"), workerName) }

// noWorkers waits until no worker process has its working folder in the script's.
func noWorkers(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 0 {
		ts.Fatalf("usage: noworkers")
	}
	for range 600 {
		if len(workersOf(ts)) == 0 {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	ts.Fatalf("workers %v are left", workersOf(ts))
}

// killWorkers kills the worker processes with their working folder in the script's, like kill -9.
func killWorkers(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 0 {
		ts.Fatalf("usage: killworkers")
	}
	pids := workersOf(ts)
	if len(pids) == 0 {
		ts.Fatalf("there are no workers")
	}
	for _, pid := range pids {
		worker, err := os.FindProcess(pid)
		ts.Check(err)
		ts.Check(worker.Kill())
	}
}

func TestDirective(t *testing.T) {
	for option, want := range map[string]string{
		"partition=gpu":     `#SBATCH --partition="gpu"`,
		"exclusive":         `#SBATCH --exclusive`,
		"time=1-00:00:00":   `#SBATCH --time="1-00:00:00"`,
		`comment=a "b" \ #`: `#SBATCH --comment="a \"b\" \\ #"`,
	} {
		if got, err := directive(option); err != nil || got != want {
			t.Errorf("%s gives %s, %v; want %s", option, got, err, want)
		}
	}
	for option, want := range map[string]string{
		"":               "is not key=value",
		"-p gpu":         "is not key=value",
		"=gpu":           "is not key=value",
		"time=1\nrm -rf": "is not key=value",
		"array=0-3":      "give the number of tasks by --tasks",
	} {
		if _, err := directive(option); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v; want %q", option, err, want)
		}
	}
}

// A worker process finds, from a request in JSON, the run that was requested.
func TestRequestsNameTheirRun(t *testing.T) {
	o := runOptions{out: "out"}
	planned, err := o.planAll([]string{allExperiments}, experiment.Paper)
	if err != nil {
		t.Fatal(err)
	}
	s, err := (&app{}).newSweep(planned, runOptions{progress: "none"}, executionOptions{workers: 1})
	if err != nil {
		t.Fatal(err)
	}
	seen := make(map[string]bool)
	for _, item := range s.all {
		sent, err := (&workerProcess{backendName: "go", planned: planned}).request(item)
		if err != nil {
			t.Fatal(err)
		}
		got, err := sent.item()
		if err != nil {
			t.Fatal(err)
		}
		address, err := got.Address("go")
		if err != nil || address != sent.Address || got.Part.Out != item.Part.Out || got.Label != item.Label ||
			got.Seed != item.Seed {
			t.Fatalf("%s, %s, seed %d came as %s, %s, seed %d (%v)", sent.Address, item.Label, item.Seed, address, got.Label,
				got.Seed, err)
		}
		seen[sent.Experiment] = true
	}
	if len(seen) != len(planned) {
		t.Errorf("runs of %v; want those of %d experiments", slices.Sorted(maps.Keys(seen)), len(planned))
	}
}

// Smoke runs use the pure Go backend, unless GOMLX_BACKEND is set or an experiment has a larger
// scale.
func TestSmokeTakesTheGoBackend(t *testing.T) {
	plan := func(scale experiment.Scale) *experiment.Planned {
		p, err := (&runOptions{}).plan(experiments.Transfer, scale, "out")
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	for _, tc := range []struct {
		name, set string
		planned   []*experiment.Planned
		want      string
	}{
		{"smoke", "", []*experiment.Planned{plan(experiment.Smoke)}, "go"},
		{"a backend is set", "xla:cpu", []*experiment.Planned{plan(experiment.Smoke)}, "xla:cpu"},
		{"one is larger", "", []*experiment.Planned{plan(experiment.Smoke), plan(experiment.Laptop)}, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Setenv(compute.ConfigEnvVar, tc.set)
			chosen, err := preferGoAtSmokeScale(tc.planned)
			if err != nil || chosen != (tc.set == "" && tc.want == "go") {
				t.Errorf("chosen %t, %v", chosen, err)
			}
			if got := os.Getenv(compute.ConfigEnvVar); got != tc.want {
				t.Errorf("the backend is %q; want %q", got, tc.want)
			}
		})
	}
}
