package experiments

import (
	"fmt"

	"example.com/geometric-complexity/internal/plots"
)

// AtDepth draws what a result of experiment 02 has of its i-th depth: the first
// seed's functions along the diagonal of the cube, and their GC up to there.
func (c InitializationConfig) AtDepth(r *Result, out string, i int) (plots.Figure, error) {
	if i < 0 || i >= len(c.Depths) {
		return plots.Figure{}, fmt.Errorf("depth number %d: there are %d", i, len(c.Depths))
	}
	largest := plots.Panel{Title: "along the diagonal of the cube", XLabel: "position", YLabel: "largest |output|"}
	gc := plots.Panel{Title: "geometric complexity", XLabel: "hidden layers", YLabel: "GC of the outputs", LogX: true, LogY: true}
	position := diagonal(c.Points)
	for k := range position {
		position[k] = (position[k] + 1) / 2
	}
	depths := c.depths()[:i+1]
	for _, scheme := range schemes {
		measured := plots.Series{Name: scheme.name, X: depths, Points: true}
		formula := plots.Series{Name: "formula", X: depths, Dashed: true, Reference: true}
		var last *Record
		for _, depth := range c.Depths[:i+1] {
			records, err := r.Records(out, depthLabel(scheme.name, depth))
			if err != nil {
				return plots.Figure{}, err
			}
			last = records[0]
			measured.Y = append(measured.Y, last.FinalValue("gc"))
			formula.Y = append(formula.Y, expectedGC(c.Inputs, c.Outputs, c.Width, depth, scheme.init.Variance))
		}
		largest.Series = append(largest.Series, plots.Series{Name: scheme.name, X: position, Y: floats(last.Final().Arrays["max_abs"])})
		gc.Series = append(gc.Series, measured, formula)
	}
	return plots.Figure{Title: fmt.Sprintf("%d hidden layers", c.Depths[i]), Panels: []plots.Panel{largest, gc},
		Caption: fmt.Sprintf("Seed %d, before training. Formula: the mean over all weights.", r.Seeds[0])}, nil
}
