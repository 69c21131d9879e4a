package nb

import (
	"fmt"

	"github.com/geometric-complexity/toolkit/experiments"
	"github.com/geometric-complexity/toolkit/experiments/runs"
	"github.com/geometric-complexity/toolkit/experiments/training"
	"github.com/geometric-complexity/toolkit/internal/plots"
)

// AtDepth draws the i-th depth of experiment 02: the first seed's functions along the diagonal of
// the cube, and GC up to this depth.
func AtDepth(o *Outcome[experiments.InitializationConfig], i int) (plots.Figure, error) {
	c := o.Settings
	if i < 0 || i >= len(c.Depths) {
		return plots.Figure{}, fmt.Errorf("depth number %d: there are %d", i, len(c.Depths))
	}
	largest := plots.Panel{Title: "along the diagonal of the cube", XLabel: "position", YLabel: "largest |output|"}
	gc := plots.Panel{Title: "geometric complexity", XLabel: "hidden layers", YLabel: "GC of the outputs", LogX: true,
		LogY: true}
	position := training.DiagonalPositions(c.Points)
	for _, axis := range o.design.Axes { // one for each scheme
		means, err := c.Formula(axis.Group)
		if err != nil {
			return plots.Figure{}, err
		}
		depths, sweep := axis.Values[:i+1], o.records.Along(axis)
		measured := plots.Series{Name: axis.Group, X: depths, Points: true}
		formula := plots.Series{Name: "formula", X: depths, Y: means[:i+1], Dashed: true, Reference: true}
		for _, records := range sweep.Records[:i+1] {
			measured.Y = append(measured.Y, records[0].FinalValue("gc"))
		}
		last := sweep.Records[i][0].Final()
		largest.Series = append(largest.Series,
			plots.Series{Name: axis.Group, X: position, Y: runs.Floats(last.Arrays["max_abs"])})
		gc.Series = append(gc.Series, measured, formula)
	}
	return plots.Figure{Title: fmt.Sprintf("%d hidden layers", c.Depths[i]), Panels: []plots.Panel{largest, gc},
		Caption: fmt.Sprintf("Seed %d, before training. Formula: the mean over all weights.", o.Seeds[0])}, nil
}
