package plotpoints_test

import (
	"math"
	"path/filepath"
	"slices"
	"testing"

	"github.com/gomlx/gomlx/ui/plot"

	"github.com/geometric-complexity/toolkit/gcml"
	"github.com/geometric-complexity/toolkit/gcml/plotpoints"
)

func stepResult(step int64, gc, stdErr float64) gcml.StepResult {
	return gcml.StepResult{Step: step, Result: gcml.Result{GC: gc, StdErr: gcml.StandardError(stdErr)}}
}

// plotter keeps what it is given.
type plotter struct {
	points []plot.Point
	drawn  int
}

func (p *plotter) AddPoint(pt plot.Point)   { p.points = append(p.points, pt) }
func (p *plotter) DynamicSampleDone(_ bool) { p.drawn++ }

func TestTo(t *testing.T) {
	var p plotter
	report := plotpoints.To(&p, "test")
	withSpectrum := stepResult(20, 2, math.NaN())
	withSpectrum.Spectrum = &gcml.SpectrumResult{Norm: 1, Largest: 1.5}
	for _, r := range []gcml.StepResult{stepResult(10, 3, 0.5), withSpectrum} {
		if err := report(r); err != nil {
			t.Fatal(err)
		}
	}
	want := []plot.Point{
		{MetricName: "GC on test", Short: "gc(test)", MetricType: "geometric-complexity", Step: 10, Value: 3},
		{MetricName: "GC - stderr on test", Short: "gc-(test)", MetricType: "geometric-complexity", Step: 10, Value: 2.5},
		{MetricName: "GC + stderr on test", Short: "gc+(test)", MetricType: "geometric-complexity", Step: 10, Value: 3.5},
		{MetricName: "GC on test", Short: "gc(test)", MetricType: "geometric-complexity", Step: 20, Value: 2},
		// The standard error is not known.
		{MetricName: "Mean largest singular value on test", Short: "sv(test)", MetricType: "jacobian-spectral-norm", Step: 20,
			Value: 1},
		{MetricName: "Lipschitz constant on test", Short: "lip(test)", MetricType: "jacobian-spectral-norm", Step: 20,
			Value: 1.5},
	}
	if !slices.Equal(p.points, want) || p.drawn != 2 {
		t.Errorf("drawn %d times: %+v, want %+v", p.drawn, p.points, want)
	}
}

// GoMLX reads the file, and a run that goes on doubles no point.
func TestToFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), plot.TrainingPlotFileName)
	for _, steps := range [][]int64{{10, 20}, {20, 30}} {
		report := plotpoints.ToFile(path, "test")
		for _, step := range steps {
			if err := report(stepResult(step, float64(step), 1)); err != nil {
				t.Fatal(err)
			}
		}
	}
	points, err := plot.LoadPoints(path)
	if err != nil {
		t.Fatal(err)
	}
	var values []float64
	for _, p := range points {
		if p.MetricName == "GC on test" {
			values = append(values, p.Value)
		}
	}
	if len(points) != 9 || !slices.Equal(values, []float64{10, 20, 30}) {
		t.Errorf("the file has %+v", points)
	}
	if err := plotpoints.ToFile(filepath.Join(path, "below"), "test")(stepResult(1, 1, 1)); err == nil {
		t.Error("no error for a path below a file")
	}
}
