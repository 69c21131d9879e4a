package gcml_test

import (
	"math"
	"testing"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
	"gonum.org/v1/gonum/stat"

	"github.com/geometric-complexity/toolkit/gcml"
	"github.com/geometric-complexity/toolkit/internal/gctest"
)

// TestEstimatedColumnsAreUnbiased gives one example to the model many times, each copy with its own
// directions, and compares the mean of every column with central differences.
func TestEstimatedColumnsAreUnbiased(t *testing.T) {
	p := problems[2]
	gctest.ForEachBackend(t, func(t *testing.T, b compute.Backend) {
		store := newStore(t, 5)
		x := inputsFor(t, dtypes.Float64, p.inputs)
		_, want := oracleRowsAndColumns(t, store, p, x)
		const copies = 2000
		inputs := p.inputs[1]
		for _, e := range []gcml.Estimator{gcml.Projection(2), gcml.Hutchinson(1, gcml.Gaussian)} {
			got := gctest.Flat(run(t, b, store, func(scope *model.Scope, x *Node) *Node {
				many := BroadcastToDims(Slice(x, AxisRange(0, 1)), copies, inputs)
				return gcml.SquaredJacobianColumnNorms(p.model(scope, many), many, gcml.WithEstimator(e))
			}, x))
			for i := range inputs {
				column := make([]float64, copies)
				for c := range column {
					column[c] = got[c*inputs+i]
				}
				mean, deviation := stat.MeanStdDev(column, nil)
				if z := (mean - want[i]) / stat.StdErr(deviation, copies); !(deviation > 0 && math.Abs(z) < 4.5) {
					t.Errorf("%s: column %d has the mean %g ± %g, want %g", e, i, mean, stat.StdErr(deviation, copies), want[i])
				}
			}
		}
	})
}
