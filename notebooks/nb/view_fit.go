package nb

import (
	"fmt"

	"github.com/geometric-complexity/toolkit/datasets"
	"github.com/geometric-complexity/toolkit/experiments"
	"github.com/geometric-complexity/toolkit/experiments/runs"
	"github.com/geometric-complexity/toolkit/experiments/training"
	"github.com/geometric-complexity/toolkit/internal/plots"
)

// FunctionAt draws the function that a run with the label experiments.FitLabel of experiment 01 had
// learned at its i-th measurement, counted from 0, beside the training points and their
// piecewise-linear interpolant.
func FunctionAt(c experiments.SimplicityBiasConfig, r *runs.Record, i int) (plots.Figure, error) {
	if i < 0 || i >= len(r.Points) {
		return plots.Figure{}, fmt.Errorf("measurement %d: the run has %d", i, len(r.Points))
	}
	curve, err := datasets.Parabola(c.Points)
	if err != nil {
		return plots.Figure{}, err
	}
	p := r.Points[i]
	if len(p.Arrays["f"]) != training.GridPoints {
		return plots.Figure{}, fmt.Errorf("run %s kept no function; runs with the label %q do", r.Hash, experiments.FitLabel)
	}
	panel := plots.Panel{XLabel: "x", YLabel: "f(x)", Series: []plots.Series{
		{Name: "learned function", X: training.FunctionGrid(), Y: runs.Floats(p.Arrays["f"])},
		{Name: "piecewise-linear interpolant", X: curve.X, Y: curve.Y, Dashed: true},
		{Name: "training points", X: curve.X, Y: curve.Y, NoLine: true, Reference: true}}}
	return plots.Figure{Panels: []plots.Panel{panel},
		Title: fmt.Sprintf("Step %d", p.Step),
		Caption: fmt.Sprintf("GC over [-1, 1]: %.3g, of the interpolant: %.3g. Training loss: %.2g.", p.Value("interval_gc"),
			curve.DirichletEnergy(), p.Value("train_loss"))}, nil
}
