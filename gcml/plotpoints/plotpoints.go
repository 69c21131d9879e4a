// Package plotpoints adds gcml.Watch's measurements to GoMLX's plots: to plots in a notebook
// (GoMLX's packages margaid and plotly), and to the file of plot points beside a checkpoint, which
// GoMLX's command line tools plot.
package plotpoints

import (
	"encoding/json"
	"io/fs"
	"os"

	"github.com/gomlx/gomlx/ui/plot"
	"github.com/pkg/errors"

	"github.com/geometric-complexity/toolkit/gcml"
)

// spectralNormType is the metric type of singular values, so that plots give them a separate axis.
const spectralNormType = "jacobian-spectral-norm"

// Of returns the points of one measurement on the named data set: the GC; if the standard error is
// known, the GC plus and minus one standard error; and with WithSpectralNorm the mean and the
// maximum over the examples of the largest singular value.
func Of(r gcml.StepResult, dataset string) []plot.Point {
	point := func(name, short, metricType string, value float64) plot.Point {
		return plot.Point{MetricName: name + " on " + dataset, Short: short + "(" + dataset + ")", MetricType: metricType,
			Step: float64(r.Step), Value: value}
	}
	points := []plot.Point{point("GC", "gc", gcml.MetricType, r.GC)}
	if r.StdErr.IsKnown() {
		points = append(points,
			point("GC - stderr", "gc-", gcml.MetricType, r.GC-float64(r.StdErr)),
			point("GC + stderr", "gc+", gcml.MetricType, r.GC+float64(r.StdErr)))
	}
	if s := r.Spectrum; s != nil {
		points = append(points,
			point("Mean largest singular value", "sv", spectralNormType, s.Norm),
			point("Lipschitz constant", "lip", spectralNormType, s.Largest))
	}
	return points
}

// To returns a function for gcml.WithReport that adds the measurements to a plot, with the name of
// the data set in the legend:
//
//	plots := margaid.New(1024, 400).DynamicUpdates()
//	gcml.Watch(loop, gcml.EveryNSteps(100), modelFn, testData,
//		gcml.WithReport(plotpoints.To(plots, "test")))
func To(plotter plot.Plotter, dataset string) func(gcml.StepResult) error {
	return func(r gcml.StepResult) error {
		for _, p := range Of(r, dataset) {
			plotter.AddPoint(p)
		}
		plotter.DynamicSampleDone(false)
		return nil
	}
}

// ToFile returns a function for gcml.WithReport that appends to a file of GoMLX's plot points, such
// as plot.TrainingPlotFileName in the folder of the checkpoints. Other writers may append to it
// too. A point whose metric and step are in the file already is not added again, so that a run
// continued from a checkpoint writes no duplicates.
func ToFile(path, dataset string) func(gcml.StepResult) error {
	type key struct {
		metric string
		step   float64
	}
	var known map[key]bool
	return func(r gcml.StepResult) error {
		if known == nil {
			known = make(map[key]bool)
			old, err := plot.LoadPoints(path)
			if err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
			for _, p := range old {
				known[key{p.MetricName, p.Step}] = true
			}
		}
		var lines []byte
		for _, p := range Of(r, dataset) {
			if k := (key{p.MetricName, p.Step}); !known[k] {
				line, err := json.Marshal(p)
				if err != nil {
					return errors.WithStack(err)
				}
				lines, known[k] = append(append(lines, line...), '\n'), true
			}
		}
		return appendTo(path, lines)
	}
}

func appendTo(path string, data []byte) error {
	file, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o664)
	if err != nil {
		return errors.WithStack(err)
	}
	_, err = file.Write(data)
	if closeErr := file.Close(); err == nil {
		err = closeErr
	}
	return errors.WithStack(err)
}
