package experiments

import (
	"context"
	"maps"
	"math"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"

	"github.com/gomlx/compute"
	"github.com/gomlx/gomlx/core/graph"
	"gonum.org/v1/gonum/mat"

	"example.com/geometric-complexity/gcml"
	"example.com/geometric-complexity/internal/gctest"
)

// f(x) = 2·relu(x) - 3·relu(x-1) has slopes 0, 2 and -1 on the left of 0,
// between 0 and 1, and on the right.
func TestLinearRegions(t *testing.T) {
	weights := []*mat.Dense{mat.NewDense(1, 2, []float64{1, 1}), mat.NewDense(2, 1, []float64{2, -3})}
	biases := [][]float64{{0, -1}, {7}}
	got := linearRegions(weights, biases, []float64{-2, -1, 0.25, 0.5, 0.75, 1.5, 2, 3, 4, 5})
	if got.count != 3 {
		t.Errorf("%d regions; want 3", got.count)
	}
	gctest.AssertClose(t, []float64{got.gc, got.lipschitz}, []float64{0.3*4 + 0.5*1, 2}, 1e-14, 0, "GC and Lipschitz constant")
	// ‖W1‖² = 2 and ‖W2‖² = 13, in two layers.
	gctest.AssertClose(t, []float64{weightsBound(weights)}, []float64{7.5 * 7.5}, 1e-14, 0, "bound by the weights")
	gctest.AssertClose(t, []float64{squaredOperatorNorm(mat.NewDense(2, 2, []float64{3, 0, 4, 0}))}, []float64{25}, 1e-14, 0, "squared operator norm")
}

func TestClosedFormsOnBothBackends(t *testing.T) {
	gctest.ForEachBackend(t, func(t *testing.T, b compute.Backend) {
		env := Env{Backend: b, Out: t.TempDir()}
		r, err := Execute(context.Background(), env, Run{Seed: 3, Task: &ClosedForms{Inputs: 3, HiddenLayers: 2, Width: 6, Outputs: 2, Points: 200}})
		if err != nil {
			t.Fatal(err)
		}
		if e := formError(r); !(e < formsTolerance) {
			t.Errorf("relative error %g", e)
		}
		if n := r.FinalValue("regions"); n < 5 || n > 200 {
			t.Errorf("%g regions on 200 points: a test of regions needs some, with several points in them", n)
		}
	})
}

// The largest operator norm by hand, over the linear regions, is that of gcml's singular values.
func TestLipschitzConstantIsThatOfGCML(t *testing.T) {
	rng := rand.New(rand.NewPCG(4, 5))
	points := make([]float64, 3*100)
	for i := range points {
		points[i] = rng.NormFloat64()
	}
	gctest.ForEachBackend(t, func(t *testing.T, b compute.Backend) {
		net := randomNetwork{hidden: 2, width: 6, outputs: 4}
		store, measured, err := net.measure(b, 3, points, 3, func(f, x *graph.Node) []*graph.Node {
			return []*graph.Node{graph.ReduceAllMax(gcml.JacobianSpectralNorm(f, x))}
		})
		if err != nil {
			t.Fatal(err)
		}
		defer store.Finalize()
		weights, biases, err := mlpWeights(store, "/", net.hidden)
		if err != nil {
			t.Fatal(err)
		}
		gctest.AssertClose(t, measured[0], []float64{linearRegions(weights, biases, points).lipschitz}, 1e-12, 0, "Lipschitz constant")
	})
}

// A linear map's graph is a line, whose length meets the bound.
func TestArcLengthOfLines(t *testing.T) {
	r, err := Execute(context.Background(), Env{Backend: gctest.GoBackend(t), Out: t.TempDir()},
		Run{Seed: 3, Task: &ArcLengths{Width: 1, Functions: 3, Cells: 50}})
	if err != nil {
		t.Fatal(err)
	}
	gctest.AssertClose(t, arcRatios(r), []float64{1, 1, 1}, 1e-12, 0, "length over 2·√(1+GC)")
	if a, b := r.Points[0].Value("gc"), r.Points[1].Value("gc"); a == b {
		t.Errorf("two functions of a run have the same GC, %g", a)
	}
}

func TestReportOfTheMeasure(t *testing.T) {
	cfg := TheMeasure.Config(Smoke)
	seeds := []int64{0, 1, 2}
	// GC times error is reported where the closed form says GC, over bounds of limit.
	report := func(errorFactor, limit, lengthSign float64) map[string]Verdict {
		runs, err := TheMeasure.Plan(&cfg, seeds)
		if err != nil {
			t.Fatal(err)
		}
		var done []Done
		for _, run := range runs {
			r := &Record{Seed: run.Seed, Status: Complete}
			switch task := run.Task.(type) {
			case *ClosedForms:
				r.Points = []Point{{Values: map[string]Number{"gc": Number(errorFactor), "gc_jacobian": 1, "gc_regions": 1, "regions": 4,
					"lipschitz": Number(math.Sqrt(limit / float64(min(task.Inputs, task.Outputs)))), "weights_bound": Number(limit)}}}
			case *ArcLengths:
				for i := range task.Functions {
					gc := float64(i)
					length := arcBound(gc) / limit
					if lengthSign < 0 {
						length = 100 - gc
					}
					r.Points = append(r.Points, Point{Step: i, Values: map[string]Number{"gc": Number(gc), "length": Number(length)}})
				}
			}
			done = append(done, Done{run, r})
		}
		findings, err := TheMeasure.Report(cfg, seeds, done)
		if err != nil {
			t.Fatal(err)
		}
		verdicts := make(map[string]Verdict)
		for _, c := range findings.Claims {
			verdicts[c.ID] = c.Verdict
		}
		return verdicts
	}
	all := func(v Verdict, except map[string]Verdict) map[string]Verdict {
		out := make(map[string]Verdict)
		for _, c := range TheMeasure.About.Claims {
			out[c.ID] = v
		}
		maps.Copy(out, except)
		return out
	}
	for _, tc := range []struct {
		name                     string
		factor, limit, direction float64
		want                     map[string]Verdict
	}{
		{"as proven", 1, 1.5, 1, all(Holds, nil)},
		{"at the bounds", 1, 1, 1, all(Holds, nil)},
		{"wrong measure", 1 + 1e-6, 1.5, 1, all(Holds, map[string]Verdict{"linear": DoesNotHold, "relu-pieces": DoesNotHold})},
		{"bounds exceeded", 1, 0.99, 1, all(DoesNotHold, map[string]Verdict{"linear": Holds, "relu-pieces": Holds, "arc-length-follows": Holds})},
		{"opposite ranks", 1, 1.5, -1, all(Holds, map[string]Verdict{"arc-length-bound": DoesNotHold, "arc-length-follows": DoesNotHold})},
		{"not a number", math.NaN(), 1.5, 1, all(Undecided, map[string]Verdict{"arc-length-bound": Holds, "arc-length-follows": Holds})},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := report(tc.factor, tc.limit, tc.direction); !reflect.DeepEqual(got, tc.want) {
				t.Errorf("verdicts %v; want %v", got, tc.want)
			}
		})
	}
}

func TestLimitClaim(t *testing.T) {
	for _, tc := range []struct {
		name    string
		perSeed []float64
		want    Verdict
	}{
		{"below", []float64{1, 0, 0.5}, Holds},
		{"one above", []float64{0, 1.01, 0}, DoesNotHold},
		{"two seeds", []float64{0, 0}, Undecided},
		{"two seeds above", []float64{2, 0}, DoesNotHold},
		{"not a number", []float64{0, math.NaN(), 0}, Undecided},
		{"none", nil, Undecided},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := limitClaim(claimLinear, "largest", tc.perSeed, 1, "").Verdict; got != tc.want {
				t.Errorf("verdict %q; want %q", got, tc.want)
			}
		})
	}
}

func TestTheMeasureConfigRefuses(t *testing.T) {
	for assignment, want := range map[string]string{
		"inputs=0,1": "inputs: a list of numbers from 1 on", "outputs=[]": "outputs: a list", "hidden_layers=1,2": "hidden_layers: 0 and a larger",
		"hidden_layers=0": "hidden_layers: 0 and a larger", "hidden_layers=[]": "hidden_layers: 0", "cells=0": "cells must be", "functions=2": "at least 3",
	} {
		cfg := TheMeasure.Config(Smoke)
		if err := Set(&cfg, assignment); err != nil {
			t.Fatal(err)
		}
		if err := cfg.Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v; want %q", assignment, err, want)
		}
	}
}
