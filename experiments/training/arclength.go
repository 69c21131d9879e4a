package training

import (
	"context"
	"fmt"
	"hash/fnv"
	"math"

	"github.com/gomlx/compute"
	"github.com/gomlx/gomlx/core/graph"

	"github.com/geometric-complexity/toolkit/experiments/runs"
	"github.com/geometric-complexity/toolkit/gcml"
)

// ArcLengths is the task of measuring random functions of one variable, ReLU networks with random
// biases, on [-1, 1].
//
// There is one point for each function, with the function's number as its step: "gc" is the mean of
// the squared derivative over the middles of the cells, and "length" the length of the graph from
// cell to cell, which takes no derivative.
type ArcLengths struct {
	HiddenLayers int   `json:"hidden_layers"`
	Width        int   `json:"width"`
	Functions    int64 `json:"functions"`
	Cells        int   `json:"cells"` // of equal size, of the interval
}

var _ runs.Task = (*ArcLengths)(nil)

// Kind implements Task.
func (t *ArcLengths) Kind() string { return "arc-lengths" }

// Revision implements Task.
func (t *ArcLengths) Revision() int { return 1 }

// Units implements Task: one per function.
func (t *ArcLengths) Units() int64 { return t.Functions }

// Do implements Task.
func (t *ArcLengths) Do(ctx context.Context, job *runs.Job) error {
	if t.HiddenLayers < 0 || t.Width < 1 || t.Cells < 1 {
		return fmt.Errorf("invalid network: hidden_layers is %d, want 0 or more; width is %d and cells %d, want 1 or more",
			t.HiddenLayers, t.Width, t.Cells)
	}
	for i := range t.Functions {
		if err := ctx.Err(); err != nil {
			return &runs.InterruptedError{Cause: err, Label: job.Run.Label, Seed: job.Record.Seed, Step: i, End: t.Functions,
				Out: job.Out}
		}
		p, err := t.function(job, i)
		if err != nil {
			return err
		}
		job.Record.Points, job.Record.Step = append(job.Record.Points, p), i
		job.Advance(i + 1)
	}
	job.Record.Status = runs.Complete
	return nil
}

// function draws and measures the i-th function.
func (t *ArcLengths) function(job *runs.Job, i int64) (runs.Point, error) {
	x, f, squares, err := t.Values(job.Backend, job.Record.Seed, i)
	if err != nil {
		return runs.Point{}, err
	}
	var length, gc float64
	for k := 0; k < 2*t.Cells; k += 2 {
		length += math.Hypot(x[k+2]-x[k], f[k+2]-f[k])
		gc += squares[k+1] / float64(t.Cells)
	}
	return runs.Point{Step: i, Values: map[string]runs.Number{"gc": runs.Number(gc), "length": runs.Number(length)}}, nil
}

// Values draws the i-th function of a seed and gives its values and squared derivatives at the
// edges and middles of the cells in turn, from edge to edge.
func (t *ArcLengths) Values(backend compute.Backend, seed, i int64) (x, f, squares []float64, err error) {
	h := fnv.New64a()
	fmt.Fprintf(h, "%d/%d", seed, i)
	x = Diagonal(2*t.Cells + 1)
	store, measured, err := randomNetwork{t.HiddenLayers, t.Width, 1}.measure(backend, int64(h.Sum64()>>1), x, 1,
		func(f, x *graph.Node) []*graph.Node { return []*graph.Node{f, gcml.SquaredJacobianNorm(f, x)} })
	if err != nil {
		return nil, nil, nil, err
	}
	store.Finalize()
	return x, measured[0], measured[1], nil
}
