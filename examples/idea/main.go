// Draws the idea of geometric complexity (GC): two networks that fit the same points, one with a
// flat function and one with a wiggly one. Both are trained until their squared error is tiny; the
// second gets its input multiplied by 30. The argument names the files of the figure without their
// ending; the default is idea.svg and idea.png in the folder for temporary files. Package plots is
// internal: a copy of this program draws with a library of its own.
//
// It prints:
//
//	flat: GC 1.2
//	wiggly: GC 27.3
package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/dataset"
	"github.com/gomlx/gomlx/ml/layers/activation"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/ml/train"
	"github.com/gomlx/gomlx/ml/train/loss"
	"github.com/gomlx/gomlx/ml/train/optimizer"
	"github.com/janpfeifer/must"

	"github.com/geometric-complexity/toolkit/backend"
	"github.com/geometric-complexity/toolkit/gcml"
	"github.com/geometric-complexity/toolkit/internal/plots"
	"github.com/geometric-complexity/toolkit/layers"
)

// The points that both networks pass through.
var (
	pointsX = []float64{-0.9, -0.65, -0.4, -0.1, 0.15, 0.4, 0.7, 0.95}
	pointsY = []float64{-0.8, -0.75, -0.3, -0.15, 0.2, 0.3, 0.7, 0.8}
)

// grid returns the points of n even steps through [-1, 1].
func grid(n int) []float64 {
	x := make([]float64, n)
	for i := range x {
		x[i] = -1 + 2*(float64(i)+0.5)/float64(n)
	}
	return x
}

// column returns a batch of single numbers, [len(values), 1].
func column(values []float64) *tensors.Tensor {
	return tensors.FromFlatDataAndDimensions(values, len(values), 1)
}

func main() {
	device, _ := must.M2(backend.Open())
	base := filepath.Join(os.TempDir(), "idea")
	if len(os.Args) > 1 {
		base = os.Args[1]
	}
	x := grid(400)
	points := must.M1(dataset.InMemoryFromData(device, "points", []any{column(pointsX)}, []any{column(pointsY)}))
	everywhere := must.M1(dataset.InMemoryFromData(device, "grid", []any{column(x)}, nil))
	panel := plots.Panel{XLabel: "input", YLabel: "output"}
	for _, f := range []struct {
		name  string
		scale float64
	}{{"flat", 1}, {"wiggly", 30}} {
		network := func(scope *model.Scope, x *Node) *Node {
			return layers.MLP(scope, MulScalar(x, f.scale)).Hidden(1, 64).Outputs(1).Activation(activation.TypeTanh).Done()
		}
		store := model.NewStore()
		must.M(store.SetRNGStateFromSeed(1))
		trainer := train.NewTrainer(device, store, network, loss.MeanSquaredError, optimizer.Adam().LearningRate(0.01).Done(),
			nil, nil)
		must.M1(train.NewLoop(trainer).RunSteps(points.BatchSize(len(pointsX), true).Infinite(true), 2000))

		gc := must.M1(gcml.Measure(context.Background(), device, store, network, everywhere.BatchSize(len(x), false)))
		fmt.Printf("%s: GC %.1f\n", f.name, gc.GC)
		y := model.MustCallOnce(device, store, network, column(x))
		panel.Series = append(panel.Series, plots.Series{Name: fmt.Sprintf("%s: GC %.1f", f.name, gc.GC), X: x,
			Y: tensors.MustCopyFlatData[float64](y)})
	}
	panel.Series = append(panel.Series, plots.Series{Name: "training points", X: pointsX, Y: pointsY, NoLine: true,
		Reference: true})
	must.M1(plots.Figure{Title: "Two functions through the same points", Panels: []plots.Panel{panel},
		Caption: "GC is the mean squared derivative over [-1, 1]."}.Save(base))
}
