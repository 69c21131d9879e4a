package evidence

import (
	"errors"
	"fmt"
	"strings"

	"github.com/geometric-complexity/toolkit/experiments/runs"
	"github.com/geometric-complexity/toolkit/internal/plots"
	"github.com/geometric-complexity/toolkit/internal/stats"
)

// Sweep is a swept quantity with the records of its runs.
type Sweep struct {
	Axis
	Records [][]*runs.Record // [value][seed]
}

// Seeds is the number of seeds.
func (s Sweep) Seeds() int { return len(s.Records[0]) }

// Quantity computes a number from a run's record; NaN if the run does not have it.
type Quantity func(*runs.Record) float64

// AtEnd returns the quantity that reads a measured value at the last step.
func AtEnd(name string) Quantity { return lastStep.Of(name) }

// AtBest returns the quantity that reads a measured value at the step of the best test accuracy,
// the first of equal ones.
func AtBest(name string) Quantity { return bestStep.Of(name) }

// Rows returns a row for each seed: the quantity at each value of the axis.
func (s Sweep) Rows(of Quantity) [][]float64 {
	rows := make([][]float64, s.Seeds())
	for _, records := range s.Records {
		for i, r := range records {
			rows[i] = append(rows[i], of(r))
		}
	}
	return rows
}

// Difference compares, seed by seed, the mean of a quantity over the axis values at the indices
// under with the quantity at the index base.
func (s Sweep) Difference(of Quantity, base int, under []int) stats.Difference {
	rows := s.Rows(of)
	reference, changed := make([]float64, len(rows)), make([]float64, len(rows))
	for i, row := range rows {
		reference[i] = row[base]
		for _, j := range under {
			changed[i] += row[j] / float64(len(under))
		}
	}
	return stats.Paired(changed, reference)
}

// Column is a measured value with its title in tables and figures.
type Column struct{ Title, Name string }

// endColumns are the columns that describe a classifier at the last step.
var endColumns = []Column{{"train loss", "train_loss"}, {"test loss", "test_loss"}, {"test accuracy", "test_accuracy"},
	{"GC train", "train_gc"}, {"GC test", "test_gc"}}

// Table has a row for each value of the axis, with the mean and standard deviation of the columns
// at the last step, and GC at the best test accuracy.
func (s Sweep) Table(title string) Table {
	t := Table{Title: title, Header: []string{s.Name},
		Notes: s.notes("; the last column is at each run's best test accuracy. " +
			"Losses are without penalties; GC is of the logits, exact, the mean over examples.")}
	for _, c := range endColumns {
		t.Header = append(t.Header, c.Title)
	}
	t.Header = append(t.Header, "GC train, best")
	for i, value := range s.Values {
		row := []string{fmt.Sprintf("%g", value)}
		records := s.Records[i]
		for _, c := range endColumns {
			row = append(row, MeanAndDeviation(records, AtEnd(c.Name)))
		}
		t.Rows = append(t.Rows, append(row, MeanAndDeviation(records, AtBest("train_gc"))))
	}
	return t
}

// TableOf has a row for each value of the axis, with the mean and standard deviation of the columns
// at the last step.
func (s Sweep) TableOf(title string, columns ...Column) Table {
	t := Table{Title: title, Header: []string{s.Name},
		Notes: s.notes(".")}
	for _, c := range columns {
		t.Header = append(t.Header, c.Title)
	}
	for i, value := range s.Values {
		row := []string{fmt.Sprintf("%g", value)}
		for _, c := range columns {
			row = append(row, MeanAndDeviation(s.Records[i], AtEnd(c.Name)))
		}
		t.Rows = append(t.Rows, row)
	}
	return t
}

// notes says what the cells of a table are, and which runs are not in them.
func (s Sweep) notes(more string) string {
	text := fmt.Sprintf("Mean ± standard deviation over %d seeds at the last step%s", s.Seeds(), more)
	return NotesOn(text, s.Records...)
}

// NotesOn adds to a table's notes which of the records, those of all its rows, are not in its
// cells.
func NotesOn(notes string, all ...[]*runs.Record) string {
	if left := leftOut(all); left != "" {
		notes += fmt.Sprintf(" %s%s.", strings.ToUpper(left[:1]), left[1:])
	}
	return notes
}

// MeanAndDeviation writes a quantity's mean and standard deviation over records.
func MeanAndDeviation(records []*runs.Record, of Quantity) string {
	return PlusMinus(stats.MeanStd(Values(records, of)))
}

// curve is a quantity that a panel shows along an axis.
type curve struct {
	name string
	of   Quantity
}

// panel draws quantities against the axis, with its values evenly spaced.
func (s Sweep) panel(title, ylabel string, logY bool, curves ...curve) plots.Panel {
	p := plots.Panel{Title: title, XLabel: s.Name, YLabel: ylabel, LogY: logY}
	x := make([]float64, len(s.Values))
	for i, v := range s.Values {
		x[i] = float64(i)
		p.Categories = append(p.Categories, fmt.Sprintf("%g", v))
	}
	for _, c := range curves {
		band := BandOf(c.name, x, s.Rows(c.of))
		band.Points = true
		p.Series = append(p.Series, band)
	}
	return p
}

// PanelOf shows measured values at the last step against the axis.
func (s Sweep) PanelOf(title, ylabel string, logY bool, columns ...Column) plots.Panel {
	var curves []curve
	for _, c := range columns {
		curves = append(curves, curve{c.Title, AtEnd(c.Name)})
	}
	return s.panel(title, ylabel, logY, curves...)
}

// GCPanel shows GC against the axis under each matching of the runs. GCCaption explains it.
func (s Sweep) GCPanel(title string) plots.Panel {
	return s.panel(title, "GC of the logits", true, curve{"training data", AtEnd("train_gc")},
		curve{"test data", AtEnd("test_gc")},
		curve{"training data, best step", AtBest("train_gc")},
		curve{"training data, equal loss", s.EqualLoss().Of("train_gc")})
}

// GCCaption explains the lines of GCPanel, and the bands of its figure.
func GCCaption(seeds int) string {
	return BandCaption(seeds) + " At the last step, except for GC at the best step, that of the best test accuracy, " +
		"and at equal loss: the training loss that all runs of a sweep reach, which decides the claims."
}

// AccuracyPanel shows the accuracy against the axis.
func (s Sweep) AccuracyPanel(title string) plots.Panel {
	return s.panel(title, "fraction right", false, curve{"training data", AtEnd("train_accuracy")},
		curve{"test data", AtEnd("test_accuracy")})
}

// LossPanel shows the losses against the axis.
func (s Sweep) LossPanel(title string) plots.Panel {
	return s.panel(title, "cross-entropy (nats)", true, curve{"training data", AtEnd("train_loss")},
		curve{"test data", AtEnd("test_loss")})
}

// Training is the figure of the training curves, a line for each value of the axis.
func (s Sweep) Training(title, caption string) plots.Figure {
	f := plots.Figure{Title: title, Ordered: true, Caption: BandCaption(s.Seeds()) + " " + caption, Panels: []plots.Panel{
		{Title: "GC on training data", YLabel: "GC of the logits", LogY: true},
		{Title: "training loss", YLabel: "cross-entropy (nats)", LogY: true},
		{Title: "test accuracy", YLabel: "fraction right"}}}
	for i, name := range []string{"train_gc", "train_loss", "test_accuracy"} {
		f.Panels[i].XLabel = "step"
		for j, records := range s.Records {
			line := AlongTraining(fmt.Sprintf("%s %g", s.Name, s.Values[j]), records, name)
			f.Panels[i].Series = append(f.Panels[i].Series, line)
		}
	}
	return f
}

// TrainingPanel shows a measured value along training against the logarithm of the step, a line for
// each value of the axis or, if positions are given, for those.
func (s Sweep) TrainingPanel(c Column, logY bool, positions ...int) plots.Panel {
	if len(positions) == 0 {
		positions = s.Positions(func(float64) bool { return true })
	}
	p := plots.Panel{Title: c.Title, XLabel: "step", YLabel: c.Title, LogX: true, ZeroX: true, LogY: logY}
	for _, i := range positions {
		p.Series = append(p.Series, AlongTraining(fmt.Sprintf("%s %g", s.Name, s.Values[i]), s.Records[i], c.Name))
	}
	return p
}

// Dead draws the runs that ended no better than chance, which other lines exclude, at their final
// training accuracy. The series is empty if there are none.
func (s Sweep) Dead() plots.Series {
	dead := plots.Series{Name: "ended at chance, left out", NoLine: true}
	for i, records := range s.Records {
		for _, r := range records {
			if r.Dead {
				dead.X = append(dead.X, s.Values[i])
				dead.Y = append(dead.Y, r.Final().Value("train_accuracy"))
			}
		}
	}
	return dead
}

// Positions returns the indices of the axis values that keep selects.
func (s Sweep) Positions(keep func(value float64) bool) (at []int) {
	for i, v := range s.Values {
		if keep(v) {
			at = append(at, i)
		}
	}
	return at
}

// FromZero checks the coefficients of a penalty: they must start with 0 and rise.
func FromZero(key string, coefficients []float64) error {
	if len(coefficients) < 2 || coefficients[0] != 0 {
		return fmt.Errorf("%s: they must start with 0, and there must be another", key)
	}
	return Rising(key, coefficients)
}

// Rising checks that a sweep has at least 2 values and that they rise.
func Rising[T int | float64](key string, values []T) error {
	if len(values) < 2 {
		return errors.New(key + ": at least 2 values are needed")
	}
	for i := 1; i < len(values); i++ {
		if !(values[i] > values[i-1]) {
			return fmt.Errorf("%s: %v does not rise from %v", key, values[i], values[i-1])
		}
	}
	return nil
}
