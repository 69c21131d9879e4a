package training

import (
	"context"
	"fmt"
	"hash/fnv"
	"math"

	"github.com/gomlx/compute"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"

	"github.com/geometric-complexity/toolkit/experiments/runs"
	"github.com/geometric-complexity/toolkit/gcml"
)

// Initial is the task of measuring one untrained network along the diagonal of the cube [-1,
// 1]^inputs, from (-1, ..., -1) to (1, ..., 1).
//
// Its one point holds "gc", the GC of the outputs over the points of the diagonal, and the arrays
// "max_abs" and "mean": max_j |f_j| and mean_j f_j at each of them.
type Initial struct {
	Network Network `json:"network"`
	Inputs  int     `json:"inputs"`
	Outputs int     `json:"outputs"`
	Points  int     `json:"points"` // on the diagonal, evenly spaced, both ends among them
}

var _ runs.Task = (*Initial)(nil)

// Kind implements Task.
func (t *Initial) Kind() string { return "initial" }

// Revision implements Task.
func (t *Initial) Revision() int { return 1 }

// Units implements Task: one per layer, and one for the input.
func (t *Initial) Units() int64 { return int64(t.Network.HiddenLayers) + 2 }

// seed of the network's weights. Schemes and depths must use different random numbers: normal
// schemes with the same numbers would only differ in scale, so their ReLU networks would be equal
// up to a factor, and comparing them would say nothing.
func (t *Initial) seed(run int64) int64 {
	h := fnv.New64a()
	fmt.Fprintf(h, "%s/%d/%d", t.Network.Initialization, t.Network.HiddenLayers, run)
	return int64(h.Sum64() >> 1)
}

// Do implements Task. A network takes seconds, so there are no checkpoints.
func (t *Initial) Do(_ context.Context, job *runs.Job) error {
	if t.Inputs < 1 || t.Outputs < 1 || t.Points < 2 || t.Points%2 != 0 {
		return fmt.Errorf("%d inputs, %d outputs and %d points: at least 1, 1 and an even number of points are needed",
			t.Inputs, t.Outputs, t.Points)
	}
	fn, err := t.Network.function(t.Outputs)
	if err != nil {
		return err
	}
	store := model.NewStore()
	defer store.Finalize()
	if err := store.SetRNGStateFromSeed(t.seed(job.Record.Seed)); err != nil {
		return err
	}
	// The biases are 0, so a ReLU network is positively homogeneous: its Jacobian at t·(1, ..., 1)
	// depends on the sign of t alone. The two ends of the diagonal therefore stand for all of its
	// points, half of which lie on each side of 0.
	gc, err := t.measureDiagonal(job.Backend, store, fn, []float64{-1, 1}, func(f, x *graph.Node) []*graph.Node {
		return []*graph.Node{gcml.Complexity(f, x)}
	})
	if err != nil {
		return err
	}
	curves, err := t.measureDiagonal(job.Backend, store, fn, Diagonal(t.Points), func(f, _ *graph.Node) []*graph.Node {
		return []*graph.Node{graph.ReduceMax(graph.Abs(f), -1), graph.ReduceMean(f, -1)}
	})
	if err != nil {
		return err
	}
	point := runs.Point{Values: map[string]runs.Number{"gc": gc[0][0]},
		Arrays: map[string][]runs.Number{"max_abs": curves[0], "mean": curves[1]}}
	job.Record.Points, job.Record.Status = []runs.Point{point}, runs.Complete
	return nil
}

// measureDiagonal returns the values of measures, which are functions of the network's outputs f
// and its inputs x at positions on the diagonal.
func (t *Initial) measureDiagonal(backend compute.Backend, store *model.Store, fn modelFn, positions []float64,
	measures func(f, x *graph.Node) []*graph.Node) ([][]runs.Number, error) {
	exec, err := model.NewExec(backend, store, func(scope *model.Scope, at *graph.Node) []*graph.Node {
		scope.Store().SetTraining(at.Graph(), false)
		x := graph.BroadcastToDims(at, len(positions), t.Inputs)
		return measures(fn(scope, x), x)
	})
	if err != nil {
		return nil, err
	}
	defer exec.Finalize()
	at := make([]float32, len(positions))
	for i, v := range positions {
		at[i] = float32(v)
	}
	out, err := exec.Call(tensors.FromFlatDataAndDimensions(at, len(at), 1))
	if err != nil {
		return nil, err
	}
	values := make([][]runs.Number, len(out))
	for i, tensor := range out {
		for _, v := range tensors.MustCopyFlatData[float32](tensor) {
			values[i] = append(values[i], runs.ShortNumber(v))
		}
	}
	return values, nil
}

// Diagonal gives n positions from -1 to 1.
func Diagonal(n int) []float64 {
	out := make([]float64, n)
	for i := range out {
		out[i] = -1 + 2*float64(i)/float64(n-1)
	}
	return out
}

// DiagonalPositions are the places of those points on the way from corner to corner, from 0 to 1.
func DiagonalPositions(n int) []float64 {
	out := Diagonal(n)
	for i := range out {
		out[i] = (out[i] + 1) / 2
	}
	return out
}

// ExpectedGC is the mean over weights of the GC of a ReLU network with zero biases and independent
// weights, symmetric around 0 and of the variances v1 of the first layer, v of the hidden ones and
// vOut of the last:
//
//	E[GC] = inputs · outputs · v1 · vOut · width · (width·v)^(H-1) · 2^-H
//
// with H hidden layers. It holds at every input but 0: an active unit's row of weights w has
// E[1(w·h>0)·w·wᵀ] = E[w·wᵀ]/2 whatever h is.
func ExpectedGC(inputs, outputs, width, hidden int, variance func(fanIn, fanOut int) float64) float64 {
	n := float64(width)
	return float64(inputs) * float64(outputs) * variance(inputs, width) * variance(width, outputs) * n *
		math.Pow(n*variance(width, width), float64(hidden-1)) * math.Pow(2, -float64(hidden))
}
