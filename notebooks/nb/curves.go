package nb

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/geometric-complexity/toolkit/internal/atomicfile"
	"github.com/geometric-complexity/toolkit/internal/plots"
)

// curvesFolder is the folder of the curves of trainings, which later cells compare with.
const curvesFolder = "notebook-curves"

// drawEvery is the shortest time between two drawings of growing curves.
const drawEvery = 2 * time.Second

// Curves draws what a training reports while it runs: a panel for each quantity, over the steps.
type Curves struct {
	name    string
	earlier []curve
	own     []curve
	slot    figureSlot
	drawn   time.Time
}

// curve is one quantity of one training.
type curve struct {
	Name     string    `json:"name"`     // of the training
	Quantity string    `json:"quantity"` // with its unit
	Steps    []float64 `json:"steps"`
	Values   []float64 `json:"values"`
}

// NewCurves begins the curves of a training. They are drawn beside the curves of earlier trainings
// with the given names, if there are any.
func NewCurves(name string, earlier ...string) *Curves {
	c := &Curves{name: name, slot: newFigureSlot()}
	for _, other := range earlier {
		path, err := curvesPath(other)
		Check(err)
		raw, err := os.ReadFile(path)
		if err != nil {
			fmt.Fprintf(os.Stderr, "no curves of %q yet: run its cell first to compare with them\n", other)
			continue
		}
		var curves []curve
		Check(json.Unmarshal(raw, &curves))
		c.earlier = append(c.earlier, curves...)
	}
	return c
}

func curvesPath(name string) (string, error) {
	dir, err := outFolder(curvesFolder)
	return filepath.Join(dir, name+".json"), err
}

// Add adds a value, a scalar tensor or a float64, and draws the curves unless they were drawn just
// before. Values of a trainer's metrics can be passed unchanged.
func (c *Curves) Add(quantity string, step int, value any) {
	if t, ok := value.(*tensors.Tensor); ok {
		value = shapes.ConvertTo[float64](t.Value())
	}
	i := slices.IndexFunc(c.own, func(o curve) bool { return o.Quantity == quantity })
	if i < 0 {
		i, c.own = len(c.own), append(c.own, curve{Name: c.name, Quantity: quantity})
	}
	c.own[i].Steps = append(c.own[i].Steps, float64(step))
	c.own[i].Values = append(c.own[i].Values, value.(float64))
	if time.Since(c.drawn) >= drawEvery {
		Check(c.slot.show(c.figure()))
		c.drawn = time.Now()
	}
}

// Done draws the curves for the last time, and saves them.
func (c *Curves) Done() {
	Check(c.slot.show(c.figure()))
	path, err := curvesPath(c.name)
	Check(err)
	Check(atomicfile.WriteJSON(path, c.own))
}

// figure has a panel for each quantity, in the order they came.
func (c *Curves) figure() Figure {
	var f Figure
	for _, one := range slices.Concat(c.earlier, c.own) {
		i := slices.IndexFunc(f.Panels, func(p plots.Panel) bool { return p.YLabel == one.Quantity })
		if i < 0 {
			i, f.Panels = len(f.Panels), append(f.Panels, plots.Panel{YLabel: one.Quantity, XLabel: "step"})
		}
		f.Panels[i].Series = append(f.Panels[i].Series, plots.Series{Name: one.Name, X: one.Steps, Y: one.Values})
	}
	return f
}
