package training

import (
	"context"
	"math"
	"testing"

	"github.com/gomlx/compute"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"

	"github.com/geometric-complexity/toolkit/experiments/runs"
	"github.com/geometric-complexity/toolkit/experiments/runs/runstest"
	"github.com/geometric-complexity/toolkit/gcml"
	"github.com/geometric-complexity/toolkit/internal/gctest"
	"github.com/geometric-complexity/toolkit/layers"
)

func initialNetwork(depth int) *Initial {
	network := MLP(depth, 30)
	network.Initialization = layers.InitHeNormal.String()
	return &Initial{Network: network, Inputs: 40, Outputs: 5, Points: 10}
}

// TestInitialAgainstAllPoints compares the task, which derives the values at all points from two
// Jacobians, with the Jacobians at all points, computed without the closed form of dense networks.
func TestInitialAgainstAllPoints(t *testing.T) {
	gctest.ForEachBackend(t, func(t *testing.T, b compute.Backend) {
		task := initialNetwork(3)
		record, err := runstest.Do(context.Background(), runs.Env{Backend: b, Out: t.TempDir()},
			runs.Run{Seed: 4, Task: task})
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
		want, err := task.measureDiagonal(b, store, fn, Diagonal(task.Points), func(f, x *graph.Node) []*graph.Node {
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
		largest, average := runs.Floats(p.Arrays["max_abs"]), runs.Floats(p.Arrays["mean"])
		if len(largest) != task.Points || len(average) != task.Points {
			t.Fatalf("%d and %d values on %d points", len(largest), len(average), task.Points)
		}
		// Linear from the centre to the ends: 1/3 of the way out, a third of the value.
		gctest.AssertClose(t, []float64{largest[3], average[6]}, []float64{largest[0] / 3, average[9] / 3}, 1e-5, 1e-7,
			"f on the diagonal")
	})
}

func TestInitialSeeds(t *testing.T) {
	base := initialNetwork(2)
	other := *base
	other.Network.Initialization = layers.InitLeCunNormal.String()
	seeds := map[int64]string{base.seed(0): "base"}
	for name, seed := range map[string]int64{"seed": base.seed(1), "depth": initialNetwork(3).seed(0),
		"scheme": other.seed(0)} {
		if same, found := seeds[seed]; found || seed < 0 {
			t.Errorf("another %s gives the seed %d, as %q", name, seed, same)
		}
		seeds[seed] = name
	}
}

// A public replica of the figure gives 14.18 and 10.08 for the mean norm (not squared) of the
// Jacobian at depths 1 and 2: 1028 inputs, 1000 outputs, width 128, Glorot's normal scheme.
func TestExpectedGC(t *testing.T) {
	for depth, want := range map[int]float64{1: 14.18, 2: 10.08} {
		got := math.Sqrt(ExpectedGC(1028, 1000, 128, depth, layers.InitGlorotNormal.Variance))
		gctest.AssertClose(t, []float64{got}, []float64{want}, 0.01, 0, "root of GC")
	}
	for scheme, want := range map[layers.Initialization]float64{layers.InitStandard: 0.5, layers.InitGlorotNormal: 0.5,
		layers.InitLeCunNormal: 0.5, layers.InitHeNormal: 1} {
		ratio := ExpectedGC(50, 7, 20, 6, scheme.Variance) / ExpectedGC(50, 7, 20, 5, scheme.Variance)
		gctest.AssertClose(t, []float64{ratio}, []float64{want}, 1e-12, 0, scheme.String()+": factor per layer")
	}
}
