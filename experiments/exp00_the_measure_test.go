package experiments

import (
	"maps"
	"math"
	"reflect"
	"strings"
	"testing"

	"github.com/geometric-complexity/toolkit/experiments/evidence"
	"github.com/geometric-complexity/toolkit/experiments/experiment"
	"github.com/geometric-complexity/toolkit/experiments/runs"
	"github.com/geometric-complexity/toolkit/experiments/training"
	"github.com/geometric-complexity/toolkit/internal/settings"
)

func TestReportOfTheMeasure(t *testing.T) {
	cfg := TheMeasure.Config(experiment.Smoke)
	seeds := sixSeeds
	// GC times error is reported where the closed form says GC, over bounds of limit.
	report := func(errorFactor, limit, lengthSign float64) map[string]evidence.Verdict {
		all, err := TheMeasure.Plan(&cfg, seeds)
		if err != nil {
			t.Fatal(err)
		}
		records := &evidence.Records{}
		for _, run := range all {
			r := &runs.Record{Seed: run.Seed, Status: runs.Complete}
			switch task := run.Task.(type) {
			case *training.ClosedForms:
				r.Points = []runs.Point{{Values: map[string]runs.Number{"gc": runs.Number(errorFactor), "gc_jacobian": 1,
					"gc_regions": 1, "regions": 4,
					"lipschitz":     runs.Number(math.Sqrt(limit / float64(min(task.Inputs, task.Outputs)))),
					"weights_bound": runs.Number(limit)}}}
			case *training.ArcLengths:
				for i := range task.Functions {
					gc := float64(i)
					length := ArcBound(gc) / limit
					if lengthSign < 0 {
						length = 100 - gc
					}
					r.Points = append(r.Points,
						runs.Point{Step: i, Values: map[string]runs.Number{"gc": runs.Number(gc), "length": runs.Number(length)}})
				}
			}
			if err := records.Add(run, r); err != nil {
				t.Fatal(err)
			}
		}
		findings, err := TheMeasure.Report(cfg, seeds, records)
		if err != nil {
			t.Fatal(err)
		}
		return verdictsOf(findings)
	}
	all := func(v evidence.Verdict, except map[string]evidence.Verdict) map[string]evidence.Verdict {
		out := make(map[string]evidence.Verdict)
		for _, c := range TheMeasure.About.Claims {
			out[c.ID] = v
		}
		maps.Copy(out, except)
		return out
	}
	for _, tc := range []struct {
		name                     string
		factor, limit, direction float64
		want                     map[string]evidence.Verdict
	}{
		{"as proven", 1, 1.5, 1, all(evidence.Holds, nil)},
		{"at the bounds", 1, 1, 1, all(evidence.Holds, nil)},
		{"wrong measure", 1 + 1e-6, 1.5, 1, all(evidence.Holds,
			map[string]evidence.Verdict{"linear": evidence.DoesNotHold, "relu-pieces": evidence.DoesNotHold})},
		{"bounds exceeded", 1, 0.99, 1, all(evidence.DoesNotHold, map[string]evidence.Verdict{"linear": evidence.Holds,
			"relu-pieces": evidence.Holds, "arc-length-follows": evidence.Holds})},
		{"opposite ranks", 1, 1.5, -1, all(evidence.Holds,
			map[string]evidence.Verdict{"arc-length-bound": evidence.DoesNotHold, "arc-length-follows": evidence.DoesNotHold})},
		{"not a number", math.NaN(), 1.5, 1, all(evidence.Undecided,
			map[string]evidence.Verdict{"arc-length-bound": evidence.Holds, "arc-length-follows": evidence.Holds})},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := report(tc.factor, tc.limit, tc.direction); !reflect.DeepEqual(got, tc.want) {
				t.Errorf("verdicts %v; want %v", got, tc.want)
			}
		})
	}
}

func TestTheMeasureConfigRefuses(t *testing.T) {
	for assignment, want := range map[string]string{
		"inputs=0,1": "inputs: a list of numbers from 1 on", "outputs=[]": "outputs: a list",
		"hidden_layers=1,2": "hidden_layers: 0 and a larger",
		"hidden_layers=0":   "hidden_layers: 0 and a larger", "hidden_layers=[]": "hidden_layers: 0",
		"cells=0": "cells must be", "functions=2": "at least 3",
	} {
		cfg := TheMeasure.Config(experiment.Smoke)
		if err := settings.Set(&cfg, assignment); err != nil {
			t.Fatal(err)
		}
		if err := cfg.Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v; want %q", assignment, err, want)
		}
	}
}
