package evidence

import (
	"fmt"

	"github.com/geometric-complexity/toolkit/experiments/runs"
)

// Cell is one setting of an experiment: its runs differ only in their seeds.
type Cell struct {
	Label string
	Runs  []runs.Run // one for each seed, in the order of the seeds
}

// NewCell lists the runs of a setting. It calls task once for each seed.
func NewCell(label string, seeds []int64, task func() runs.Task) Cell {
	c := Cell{Label: label}
	for _, seed := range seeds {
		c.Runs = append(c.Runs, runs.Run{Label: label, Seed: seed, Task: task()})
	}
	return c
}

// Axis is a swept quantity: its values and the setting for each value. Runs, claims, tables,
// figures and notebook views derive from it.
type Axis struct {
	Name   string // of the quantity, with its unit
	Group  string // distinguishes several sweeps over the same quantity; empty if there is only one
	Values []float64
	Cells  []Cell // one for each value
}

// NewAxis sweeps a quantity over its values: label names the setting at a value, and task returns a
// new task with it.
func NewAxis[V int | float64, T runs.Task](name string, values []V, seeds []int64, label func(V) string,
	task func(V) T) Axis {
	a := Axis{Name: name}
	for _, v := range values {
		a.Values = append(a.Values, float64(v))
		a.Cells = append(a.Cells, NewCell(label(v), seeds, func() runs.Task { return task(v) }))
	}
	return a
}

// Design lists everything that an experiment runs: its sweeps, and the settings outside of any
// sweep.
type Design struct {
	Axes  []Axis
	Cells []Cell
}

// Runs lists the runs of the design: those of the cells, then those of the axes. Settings with
// equal tasks share their runs.
func (d Design) Runs() ([]runs.Run, error) {
	cells := d.Cells
	for _, a := range d.Axes {
		cells = append(cells, a.Cells...)
	}
	var all []runs.Run
	listed := make(map[string]bool)
	for _, cell := range cells {
		for _, run := range cell.Runs {
			key, err := run.Key()
			if err != nil {
				return nil, fmt.Errorf("%s: %w", cell.Label, err)
			}
			if !listed[key] {
				listed[key] = true
				all = append(all, run)
			}
		}
	}
	return all, nil
}

// Records are the records of an experiment's runs.
type Records struct{ byKey map[string]*runs.Record }

// Add adds the record of a run.
func (r *Records) Add(run runs.Run, record *runs.Record) error {
	key, err := run.Key()
	if err != nil {
		return err
	}
	if r.byKey == nil {
		r.byKey = make(map[string]*runs.Record)
	}
	r.byKey[key] = record
	return nil
}

// Of returns the records of a setting, one for each seed. It panics if one is missing, because
// reports are made only after all runs are complete.
func (r *Records) Of(c Cell) []*runs.Record {
	records := make([]*runs.Record, len(c.Runs))
	for i, run := range c.Runs {
		key, err := run.Key()
		if err != nil {
			panic(fmt.Sprintf("%s: %v", c.Label, err))
		}
		if records[i] = r.byKey[key]; records[i] == nil {
			panic(fmt.Sprintf("missing record of %q with seed %d: complete all runs before the report", c.Label, run.Seed))
		}
	}
	return records
}

// Along returns the sweep of an axis. It panics if a record is missing, as Of does.
func (r *Records) Along(a Axis) Sweep {
	s := Sweep{Axis: a}
	for _, cell := range a.Cells {
		s.Records = append(s.Records, r.Of(cell))
	}
	return s
}
