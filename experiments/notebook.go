package experiments

import (
	"fmt"
	"path/filepath"

	"example.com/geometric-complexity/datasets"
	"example.com/geometric-complexity/internal/plots"
)

// Records reads the records of a result's runs with a label, in the order of
// the seeds, from the output folder that the experiment ran in.
func (r *Result) Records(out, label string) ([]*Record, error) {
	var records []*Record
	for _, run := range r.Runs {
		if run.Label != label {
			continue
		}
		if !addressPattern.MatchString(run.Hash) { // it comes from a file, and becomes a path
			return nil, fmt.Errorf("%s: %q is not the address of a run", r.Name, run.Hash)
		}
		dir := filepath.Join(out, runsDir, run.Hash)
		record, err := readRecord(dir)
		if err != nil {
			return nil, err
		}
		if record == nil {
			return nil, fmt.Errorf("%s has no %s: run the experiment again", dir, recordFile)
		}
		records = append(records, record)
	}
	if len(records) == 0 {
		return nil, fmt.Errorf("%s: no run has the label %q", r.Name, label)
	}
	return records, nil
}

// FunctionAt draws the function that a run with the label "fit" of experiment 01
// had learned at its i-th measurement, counted from 0, beside the training
// points and their piecewise-linear interpolant.
func (c SimplicityBiasConfig) FunctionAt(r *Record, i int) (plots.Figure, error) {
	if i < 0 || i >= len(r.Points) {
		return plots.Figure{}, fmt.Errorf("measurement %d: the run has %d", i, len(r.Points))
	}
	curve, err := datasets.Parabola(c.Points)
	if err != nil {
		return plots.Figure{}, err
	}
	p := r.Points[i]
	if len(p.Arrays["f"]) != gridPoints {
		return plots.Figure{}, fmt.Errorf("run %s kept no function; runs with the label \"fit\" do", r.Hash)
	}
	panel := plots.Panel{XLabel: "x", YLabel: "f(x)", Series: []plots.Series{
		{Name: "learned function", X: functionGrid(), Y: floats(p.Arrays["f"])},
		{Name: "piecewise-linear interpolant", X: curve.X, Y: curve.Y, Dashed: true},
		{Name: "training points", X: curve.X, Y: curve.Y, NoLine: true, Reference: true}}}
	return plots.Figure{Panels: []plots.Panel{panel},
		Title:   fmt.Sprintf("Step %d", p.Step),
		Caption: fmt.Sprintf("GC over [-1, 1]: %.3g, of the interpolant: %.3g. Training loss: %.2g.", p.Value("interval_gc"), curve.DirichletEnergy(), p.Value("train_loss"))}, nil
}

// functionGrid is where a run keeps the values of its function.
func functionGrid() []float64 {
	x := make([]float64, gridPoints)
	for i := range x {
		x[i] = -1 + 2*(float64(i)+0.5)/gridPoints
	}
	return x
}
