package experiments

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"example.com/geometric-complexity/internal/plots"
)

// View holds the records of a part of a result's runs, such as one sweep, and
// draws what a slider in a notebook chooses of them.
type View struct {
	prefix  string
	labels  []string
	records [][]*Record // of each label, one per seed
}

// View reads, from the output folder that the experiment ran in, the records of
// the runs whose labels begin with a prefix and end in one of the values, or in
// any if there are none: "coefficient 0.1" has the prefix "coefficient".
func (r *Result) View(out, prefix string, values ...string) (*View, error) {
	v := &View{prefix: prefix}
	for _, run := range r.Runs {
		value, ok := strings.CutPrefix(run.Label, prefix)
		if ok = ok && (len(values) == 0 || slices.Contains(values, strings.TrimSpace(value))); ok && !slices.Contains(v.labels, run.Label) {
			v.labels = append(v.labels, run.Label)
		}
	}
	for _, label := range v.labels {
		records, err := r.Records(out, label)
		if err != nil {
			return nil, err
		}
		v.records = append(v.records, records)
	}
	if len(v.labels) == 0 {
		return nil, fmt.Errorf("%s: no run has a label that begins with %q", r.Name, prefix)
	}
	return v, nil
}

// Len is the number of labels.
func (v *View) Len() int { return len(v.labels) }

// Measurements is how many times the runs were measured; those that ended early
// were less often.
func (v *View) Measurements() int {
	n := 0
	for _, records := range v.records {
		for _, r := range records {
			n = max(n, len(r.Points))
		}
	}
	return n
}

// Along draws quantities along the training of the runs of the i-th label, and,
// as what they are compared with, of the first.
func (v *View) Along(i int, quantities ...string) (plots.Figure, error) {
	if i < 0 || i >= len(v.labels) {
		return plots.Figure{}, fmt.Errorf("label %d: there are %d", i, len(v.labels))
	}
	f := plots.Figure{Title: v.labels[i], Caption: bandCaption(len(v.records[i]))}
	for _, q := range quantities {
		if err := v.knows(q); err != nil {
			return plots.Figure{}, err
		}
		p := quantityPanel(q)
		p.XLabel = "step"
		first := alongTraining(v.labels[0], v.records[0], q)
		first.Reference = true
		p.Series = append(p.Series, first)
		if i > 0 {
			p.Series = append(p.Series, alongTraining(v.labels[i], v.records[i], q))
		}
		f.Panels = append(f.Panels, p)
	}
	return f, nil
}

// Across draws quantities over the labels, as they were at the m-th measurement,
// counted from 0.
func (v *View) Across(m int, quantities ...string) (plots.Figure, error) {
	last := v.Measurements() - 1
	if m < 0 || m > last {
		return plots.Figure{}, fmt.Errorf("measurement %d: there are %d", m, last+1)
	}
	f := plots.Figure{Title: v.when(m), Caption: bandCaption(len(v.records[0]))}
	values := make([]string, len(v.labels))
	x := make([]float64, len(v.labels))
	for i, label := range v.labels {
		values[i], x[i] = strings.TrimSpace(strings.TrimPrefix(label, v.prefix)), float64(i)
	}
	for _, q := range quantities {
		if err := v.knows(q); err != nil {
			return plots.Figure{}, err
		}
		p := quantityPanel(q)
		p.XLabel, p.Categories = v.prefix, values
		s := bandOf("", x, v.at(m, q))
		s.Points = true
		p.Series = []plots.Series{s}
		f.Panels = append(f.Panels, p)
	}
	return f, nil
}

// at gives, for each seed, the quantity at the m-th measurement along the labels;
// NaN where a run was not measured that often.
func (v *View) at(m int, quantity string) [][]float64 {
	rows := make([][]float64, len(v.records[0]))
	for _, records := range v.records {
		for i := range rows {
			_, values := series(records[i], quantity)
			rows[i] = append(rows[i], pad(values, m+1)[m])
		}
	}
	return rows
}

// when says at which step the m-th measurement was, if all runs agree on it.
func (v *View) when(m int) string {
	text := fmt.Sprintf("Measurement %d of %d", m, v.Measurements()-1)
	step := int64(-1)
	for _, records := range v.records {
		for _, r := range records {
			if m >= len(r.Points) {
				continue
			}
			if step >= 0 && r.Points[m].Step != step {
				return text
			}
			step = r.Points[m].Step
		}
	}
	return fmt.Sprintf("%s, step %d", text, step)
}

// knows returns an error for a quantity that the runs did not measure.
func (v *View) knows(quantity string) error {
	p := v.records[0][0].Final()
	if _, ok := p.Values[quantity]; ok {
		return nil
	}
	return unknown("quantity", quantity, slices.Sorted(maps.Keys(p.Values)))
}

// quantityPanel is an empty panel for a quantity: "train_gc" is "train GC", and
// a loss or a GC, which spans orders of magnitude, has a logarithmic axis.
func quantityPanel(quantity string) plots.Panel {
	words := strings.Split(quantity, "_")
	log := false
	for i, word := range words {
		switch word {
		case "gc":
			words[i], log = "GC", true
		case "loss":
			log = true
		}
	}
	return plots.Panel{YLabel: strings.Join(words, " "), LogY: log}
}
