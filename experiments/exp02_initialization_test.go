package experiments

import (
	"context"
	"math"
	"reflect"
	"strings"
	"testing"

	"github.com/gomlx/compute"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"

	"example.com/geometric-complexity/gcml"
	"example.com/geometric-complexity/internal/gctest"
	"example.com/geometric-complexity/layers"
)

func initialNetwork(depth int) *Initial {
	network := MLP(depth, 30)
	network.Initialization = layers.InitHeNormal.String()
	return &Initial{Network: network, Inputs: 40, Outputs: 5, Points: 10}
}

// The run takes two Jacobians for those of all points: here all are taken, and
// without the closed form of dense networks.
func TestInitialAgainstAllPoints(t *testing.T) {
	gctest.ForEachBackend(t, func(t *testing.T, b compute.Backend) {
		task := initialNetwork(3)
		record, err := Execute(context.Background(), Env{Backend: b, Out: t.TempDir()}, Run{Seed: 4, Task: task})
		if err != nil {
			t.Fatal(err)
		}
		fn, err := task.Network.function(task.Outputs)
		if err != nil {
			t.Fatal(err)
		}
		store := model.NewStore()
		defer store.Finalize()
		if err := store.SetRNGStateFromSeed(task.seed(4)); err != nil {
			t.Fatal(err)
		}
		want, err := task.along(b, store, fn, diagonal(task.Points), func(f, x *graph.Node) []*graph.Node {
			return []*graph.Node{gcml.SquaredJacobianNorm(f, x, gcml.WithoutClosedForm())}
		})
		if err != nil {
			t.Fatal(err)
		}
		var mean float64
		for _, v := range want[0] {
			mean += float64(v) / float64(task.Points)
		}
		p := record.Final()
		gctest.AssertClose(t, []float64{p.Value("gc")}, []float64{mean}, 1e-5, 0, "GC along the diagonal")
		largest, average := floats(p.Arrays["max_abs"]), floats(p.Arrays["mean"])
		if len(largest) != task.Points || len(average) != task.Points {
			t.Fatalf("%d and %d values on %d points", len(largest), len(average), task.Points)
		}
		// Straight from the ends to the centre: at 1/3 of the way out, a third of the value.
		gctest.AssertClose(t, []float64{largest[3], average[6]}, []float64{largest[0] / 3, average[9] / 3}, 1e-5, 1e-7, "f on the diagonal")
	})
}

func TestInitialSeeds(t *testing.T) {
	base := initialNetwork(2)
	other := *base
	other.Network.Initialization = layers.InitLeCunNormal.String()
	seeds := map[int64]string{base.seed(0): "base"}
	for name, seed := range map[string]int64{"seed": base.seed(1), "depth": initialNetwork(3).seed(0), "scheme": other.seed(0)} {
		if same, found := seeds[seed]; found || seed < 0 {
			t.Errorf("another %s gives the seed %d, as %q", name, seed, same)
		}
		seeds[seed] = name
	}
}

// A public replica of the figure gives 14.18 and 10.08 for the mean norm (not
// squared) of the Jacobian at depths 1 and 2: 1028 inputs, 1000 outputs, width
// 128, Glorot's normal scheme.
func TestExpectedGC(t *testing.T) {
	for depth, want := range map[int]float64{1: 14.18, 2: 10.08} {
		got := math.Sqrt(expectedGC(1028, 1000, 128, depth, layers.InitGlorotNormal.Variance))
		gctest.AssertClose(t, []float64{got}, []float64{want}, 0.01, 0, "root of GC")
	}
	for _, scheme := range schemes {
		ratio := expectedGC(50, 7, 20, 6, scheme.init.Variance) / expectedGC(50, 7, 20, 5, scheme.init.Variance)
		want := 0.5
		if scheme.init == layers.InitHeNormal {
			want = 1
		}
		gctest.AssertClose(t, []float64{ratio}, []float64{want}, 1e-12, 0, scheme.name+": factor per layer")
	}
}

func TestReportOfInitialization(t *testing.T) {
	cfg := Initialization.Config(Smoke)
	seeds := []int64{0, 1, 2}
	// ratio gives a network's GC over the formula.
	report := func(ratio func(depth int, seed int64) float64) map[string]Verdict {
		runs, err := Initialization.Plan(&cfg, seeds)
		if err != nil {
			t.Fatal(err)
		}
		var done []Done
		for _, run := range runs {
			task := run.Task.(*Initial)
			init, err := layers.ParseInitialization(task.Network.Initialization)
			if err != nil {
				t.Fatal(err)
			}
			depth := task.Network.HiddenLayers
			gc := ratio(depth, run.Seed) * expectedGC(cfg.Inputs, cfg.Outputs, cfg.Width, depth, init.Variance)
			values := make([]Number, cfg.Points)
			done = append(done, Done{run, &Record{Seed: run.Seed, Status: Complete, Points: []Point{{
				Values: map[string]Number{"gc": Number(gc)}, Arrays: map[string][]Number{"max_abs": values, "mean": values}}}}})
		}
		findings, err := Initialization.Report(cfg, seeds, done)
		if err != nil {
			t.Fatal(err)
		}
		verdicts := make(map[string]Verdict)
		for _, c := range findings.Claims {
			verdicts[c.ID] = c.Verdict
		}
		return verdicts
	}
	verdicts := func(falls, he, formula Verdict) map[string]Verdict {
		return map[string]Verdict{"standard-falls": falls, "glorot-falls": falls, "lecun-falls": falls, "he-stays": he, "follows-formula": formula}
	}
	for _, tc := range []struct {
		name  string
		ratio func(depth int, seed int64) float64
		want  map[string]Verdict
	}{
		{"as the formula says", func(_ int, seed int64) float64 { return 1 + 0.01*float64(seed) }, verdicts(Holds, Holds, Holds)},
		{"rising with depth", func(depth int, seed int64) float64 { return math.Pow(3+0.01*float64(seed), float64(depth)) },
			verdicts(DoesNotHold, DoesNotHold, DoesNotHold)},
		{"a factor 2 off", func(_ int, seed int64) float64 { return 2 + 0.01*float64(seed) }, verdicts(Holds, Holds, DoesNotHold)},
		{"scattered", func(_ int, seed int64) float64 { return 0.2 + 0.9*float64(seed) }, verdicts(Holds, Holds, Undecided)},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := report(tc.ratio); !reflect.DeepEqual(got, tc.want) {
				t.Errorf("verdicts %v; want %v", got, tc.want)
			}
		})
	}
}

func TestInitializationConfigRefuses(t *testing.T) {
	for assignment, want := range map[string]string{
		"depths=1": "at least 2", "depths=0,1": "from 1 on", "depths=1,4,2": "2 does not rise from 4",
		"points=7": "7 is not an even number", "width=0": "a width of 0",
	} {
		cfg := Initialization.Config(Smoke)
		if err := Set(&cfg, assignment); err != nil {
			t.Fatal(err)
		}
		if err := cfg.Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v; want %q", assignment, err, want)
		}
	}
}
