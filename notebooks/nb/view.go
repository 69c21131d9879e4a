package nb

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/geometric-complexity/toolkit/experiments/evidence"
	"github.com/geometric-complexity/toolkit/internal/nearest"
	"github.com/geometric-complexity/toolkit/internal/plots"
)

// View draws the parts of a sweep that a notebook's slider selects.
type View struct{ sweep evidence.Sweep }

// Values is the number of values.
func (v *View) Values() int { return len(v.sweep.Records) }

// Measurements is the number of measurements of a run. Runs that ended early have fewer.
func (v *View) Measurements() int {
	n := 0
	for _, records := range v.sweep.Records {
		for _, r := range records {
			n = max(n, len(r.Points))
		}
	}
	return n
}

func (v *View) name(i int) string {
	name := fmt.Sprintf("%s %g", v.sweep.Name, v.sweep.Values[i])
	if v.sweep.Group != "" {
		return v.sweep.Group + ": " + name
	}
	return name
}

// Along draws measured quantities over the steps of the training with the i-th value, counted from
// 0, and for comparison with the first value, in black (grey in a notebook).
func (v *View) Along(i int, measured ...string) (plots.Figure, error) {
	if i < 0 || i >= v.Values() {
		return plots.Figure{}, fmt.Errorf("value %d of the sweep: there are %d", i, v.Values())
	}
	f := plots.Figure{Title: v.name(i), Caption: evidence.BandCaption(len(v.sweep.Records[i]))}
	for _, m := range measured {
		p, err := v.panel(m)
		if err != nil {
			return plots.Figure{}, err
		}
		first := evidence.AlongTraining(v.name(0), v.sweep.Records[0], m)
		first.Reference = true
		p.XLabel, p.Series = "step", []plots.Series{first}
		if i > 0 {
			p.Series = append(p.Series, evidence.AlongTraining(v.name(i), v.sweep.Records[i], m))
		}
		f.Panels = append(f.Panels, p)
	}
	return f, nil
}

// Across draws measured quantities over the values of the sweep, at the k-th measurement, counted
// from 0.
func (v *View) Across(k int, measured ...string) (plots.Figure, error) {
	if err := v.checkMeasurement(k); err != nil {
		return plots.Figure{}, err
	}
	f := plots.Figure{Title: v.when(k), Caption: evidence.BandCaption(len(v.sweep.Records[0]))}
	for _, m := range measured {
		p, err := v.panel(m)
		if err != nil {
			return plots.Figure{}, err
		}
		x := make([]float64, v.Values())
		rows := make([][]float64, len(v.sweep.Records[0]))
		for i, records := range v.sweep.Records {
			x[i] = float64(i)
			p.Categories = append(p.Categories, fmt.Sprintf("%g", v.sweep.Values[i]))
			for seed, r := range records {
				_, values := evidence.Series(r, m)
				rows[seed] = append(rows[seed], evidence.Pad(values, k+1)[k])
			}
		}
		line := evidence.BandOf("", x, rows)
		line.Points = true
		p.XLabel, p.Series = v.sweep.Name, []plots.Series{line}
		f.Panels = append(f.Panels, p)
	}
	return f, nil
}

// Against draws the paths of the trainings up to the k-th measurement, one measured quantity over
// another: a line for each value, through the means over the seeds.
func (v *View) Against(k int, x, y string) (plots.Figure, error) {
	if err := v.checkMeasurement(k); err != nil {
		return plots.Figure{}, err
	}
	across, err := v.panel(x)
	if err != nil {
		return plots.Figure{}, err
	}
	p, err := v.panel(y)
	if err != nil {
		return plots.Figure{}, err
	}
	p.XLabel, p.LogX = across.YLabel, across.LogY
	for i, records := range v.sweep.Records {
		at, way := evidence.AlongTraining(v.name(i), records, x), evidence.AlongTraining(v.name(i), records, y)
		n := min(k+1, len(way.Y))
		p.Series = append(p.Series, plots.Series{Name: v.name(i), X: at.Y[:n], Y: way.Y[:n], Points: true})
	}
	return plots.Figure{Title: v.when(k), Ordered: len(v.sweep.Records) > 2, Panels: []plots.Panel{p},
		Caption: fmt.Sprintf("Means over %d seeds, a mark for each measurement so far.", len(v.sweep.Records[0]))}, nil
}

func (v *View) checkMeasurement(k int) error {
	if n := v.Measurements(); k < 0 || k >= n {
		return fmt.Errorf("measurement %d: there are %d", k, n)
	}
	return nil
}

// when returns the step of the k-th measurement, if it is the same in all runs.
func (v *View) when(k int) string {
	text := fmt.Sprintf("Measurement %d of %d", k, v.Measurements()-1)
	step := int64(-1)
	for _, records := range v.sweep.Records {
		for _, r := range records {
			if k >= len(r.Points) {
				continue
			}
			if step >= 0 && r.Points[k].Step != step {
				return text
			}
			step = r.Points[k].Step
		}
	}
	return fmt.Sprintf("%s, step %d", text, step)
}

// panel returns an empty panel for a measured quantity such as "train_gc", with a logarithmic axis
// if it spans orders of magnitude. It returns an error if the runs did not measure it.
func (v *View) panel(measured string) (plots.Panel, error) {
	p := v.sweep.Records[0][0].Final()
	if _, ok := p.Values[measured]; !ok {
		return plots.Panel{}, nearest.Unknown("measured value", measured, slices.Sorted(maps.Keys(p.Values)))
	}
	for _, many := range []string{"gc", "loss", "gradient"} {
		if strings.HasSuffix(measured, many) {
			return plots.Panel{YLabel: axisLabel(measured), LogY: true}, nil
		}
	}
	return plots.Panel{YLabel: axisLabel(measured)}, nil
}

// axisLabel spells the name of a measured value: "train_gc" is "train GC".
func axisLabel(measured string) string {
	if shots, ok := strings.CutPrefix(measured, "few_shot_accuracy_"); ok {
		return shots + "-shot accuracy"
	}
	words := strings.Split(measured, "_")
	for i, word := range words {
		if word == "gc" || word == "cdnv" {
			words[i] = strings.ToUpper(word)
		}
	}
	return strings.Join(words, " ")
}
