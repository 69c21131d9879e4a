package nb

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/gomlx/compute"

	"github.com/geometric-complexity/toolkit/experiments"
	"github.com/geometric-complexity/toolkit/experiments/runs"
	"github.com/geometric-complexity/toolkit/experiments/training"
	"github.com/geometric-complexity/toolkit/internal/plots"
)

// RankedFunctions are the functions of one variable that a run of experiment 00 measured, from the
// smallest GC to the largest.
type RankedFunctions struct {
	backend compute.Backend
	task    *training.ArcLengths
	seed    int64
	points  []runs.Point
}

// Ranked ranks the functions of a run with the label experiments.ArcLabel. The backend draws them
// again, so it must be the one that the run was on.
func Ranked(c experiments.TheMeasureConfig, backend compute.Backend, r *runs.Record) *RankedFunctions {
	points := slices.SortedFunc(slices.Values(r.Points),
		func(a, b runs.Point) int { return cmp.Compare(a.Value("gc"), b.Value("gc")) })
	return &RankedFunctions{backend, c.ArcLengths(), r.Seed, points}
}

// Len is the number of functions.
func (f *RankedFunctions) Len() int { return len(f.points) }

// functionCells is the number of cells in which a function is drawn.
const functionCells = 400

// At draws the i-th function, its squared slope, and its place among all functions.
func (f *RankedFunctions) At(i int) (plots.Figure, error) {
	if i < 0 || i >= len(f.points) {
		return plots.Figure{}, fmt.Errorf("function %d: there are %d", i, len(f.points))
	}
	task := *f.task
	task.Cells = functionCells
	p := f.points[i]
	x, y, squares, err := task.Values(f.backend, f.seed, p.Step)
	if err != nil {
		return plots.Figure{}, err
	}
	gc, length := p.Value("gc"), p.Value("length")
	ends := []float64{-1, 1}
	all := plots.Series{Name: "all functions", NoLine: true}
	bound := plots.Series{Name: "bound", Dashed: true, Reference: true}
	for _, p := range f.points {
		all.X, all.Y = append(all.X, p.Value("gc")), append(all.Y, p.Value("length"))
		bound.X, bound.Y = append(bound.X, p.Value("gc")), append(bound.Y, experiments.ArcBound(p.Value("gc")))
	}
	return plots.Figure{Title: fmt.Sprintf("Function %d of %d", i+1, len(f.points)),
		Caption: fmt.Sprintf("GC %.3g, arc length %.4g, its bound 2·√(1+GC) = %.4g.", gc, length,
			experiments.ArcBound(gc)),
		Panels: []plots.Panel{
			{Title: "the function", XLabel: "x", YLabel: "f(x)", Series: []plots.Series{{Name: "this function", X: x, Y: y}}},
			{Title: "its pieces", XLabel: "x", YLabel: "squared slope",
				Series: []plots.Series{{Name: "this function", X: x, Y: squares},
					{Name: "their mean, GC", X: ends, Y: []float64{gc, gc}, Dashed: true, Reference: true}}},
			{Title: "among the others", XLabel: "GC on [-1, 1]", YLabel: "arc length", LogX: true,
				Series: []plots.Series{all, bound,
					{Name: "this function", X: []float64{gc}, Y: []float64{length}, NoLine: true}}},
		}}, nil
}
