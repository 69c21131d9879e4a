package experiments

import (
	"fmt"
	"math"
	"slices"

	"example.com/geometric-complexity/internal/plots"
	"example.com/geometric-complexity/internal/stats"
)

// axis is the runs of an experiment along one swept quantity.
type axis struct {
	name   string // of the quantity, with its unit
	values []float64
	labels []string // of the runs, one for each value
	done   []Done
	seeds  []int64
}

// quantity gives what is looked at of a run; NaN where the run has none.
type quantity func(*Record) float64

// atEnd is a value at the last step.
func atEnd(name string) quantity {
	return func(r *Record) float64 { return r.FinalValue(name) }
}

// atBest is a value at the measured step of the best test accuracy, the first of
// several.
func atBest(name string) quantity {
	return func(r *Record) float64 {
		best, value := math.NaN(), math.NaN()
		if r.Status != Complete {
			return value
		}
		for _, p := range r.Points {
			if accuracy := p.Value("test_accuracy"); !(accuracy <= best) && !math.IsNaN(accuracy) {
				best, value = accuracy, p.Value(name)
			}
		}
		return value
	}
}

// rows gives, for each seed, a quantity of its runs along the axis.
func (a axis) rows(of quantity) [][]float64 {
	rows := make([][]float64, len(a.seeds))
	for _, label := range a.labels {
		for i, r := range pick(a.done, label, a.seeds) {
			rows[i] = append(rows[i], of(r))
		}
	}
	return rows
}

// trend is the rank correlation of the axis with a quantity.
func (a axis) trend(of quantity) stats.Monotone { return stats.RankTrend(a.values, a.rows(of)) }

// trendOf is the claim that a value moves along the axis as c says, decided at
// the last step. The evidence gives it at the best test accuracy, too.
func (a axis) trendOf(text ClaimText, what, name string, c criterion) Claim {
	best := a.trend(atBest(name))
	more := fmt.Sprintf("%.3g %s at each run's best test accuracy", best.Rho, best.Interval)
	if diverged := a.diverged(); diverged > 0 {
		more += fmt.Sprintf("; %d diverged run(s) left out", diverged)
	}
	return trendClaim(text, fmt.Sprintf("%s with the %s", what, a.name), a.trend(atEnd(name)), c, more)
}

func (a axis) diverged() (n int) {
	for _, label := range a.labels {
		for _, r := range pick(a.done, label, a.seeds) {
			if r.Status == Diverged {
				n++
			}
		}
	}
	return n
}

// difference compares a quantity under some values of the axis, their mean, with
// that under the value at base, seed by seed.
func (a axis) difference(of quantity, base int, under []int) stats.Difference {
	rows := a.rows(of)
	reference, changed := make([]float64, len(rows)), make([]float64, len(rows))
	for i, row := range rows {
		reference[i] = row[base]
		for _, j := range under {
			changed[i] += row[j] / float64(len(under))
		}
	}
	return stats.Paired(changed, reference)
}

// column is a value of the records, as tables and figures name it.
type column struct{ title, name string }

// endColumns are what is worth knowing of a classifier at the last step.
var endColumns = []column{{"train loss", "train_loss"}, {"test loss", "test_loss"}, {"test accuracy", "test_accuracy"},
	{"GC train", "train_gc"}, {"GC test", "test_gc"}}

// table gives the mean and deviation of the columns at the last step, and the GC
// at the best test accuracy, for each value.
func (a axis) table(title string) Table {
	t := Table{Title: title, Header: []string{a.name},
		Notes: fmt.Sprintf("Mean ± standard deviation over %d seeds at the last step; the last column is at each run's best test accuracy. "+
			"Losses are without penalties; GC is of the logits, exact, the mean over examples.", len(a.seeds))}
	for _, c := range endColumns {
		t.Header = append(t.Header, c.title)
	}
	t.Header = append(t.Header, "GC train, best")
	for i, value := range a.values {
		row := []string{fmt.Sprintf("%g", value)}
		records := pick(a.done, a.labels[i], a.seeds)
		for _, c := range endColumns {
			row = append(row, meanAndDeviation(records, atEnd(c.name)))
		}
		t.Rows = append(t.Rows, append(row, meanAndDeviation(records, atBest("train_gc"))))
	}
	return t
}

func meanAndDeviation(records []*Record, of quantity) string {
	values := make([]float64, len(records))
	for i, r := range records {
		values[i] = of(r)
	}
	return plusMinus(stats.MeanStd(values))
}

// curve is a quantity that a panel shows along an axis.
type curve struct {
	name string
	of   quantity
}

// panel draws quantities along the axis, whose values stand side by side.
func (a axis) panel(title, ylabel string, logY bool, curves ...curve) plots.Panel {
	p := plots.Panel{Title: title, XLabel: a.name, YLabel: ylabel, LogY: logY}
	x := make([]float64, len(a.values))
	for i, v := range a.values {
		x[i] = float64(i)
		p.Categories = append(p.Categories, fmt.Sprintf("%g", v))
	}
	for _, c := range curves {
		s := bandOf(c.name, x, a.rows(c.of))
		s.Points = true
		p.Series = append(p.Series, s)
	}
	return p
}

// gcPanel shows GC along the axis, at the end and at the best test accuracy.
func (a axis) gcPanel(title string) plots.Panel {
	return a.panel(title, "GC of the logits", true, curve{"training data", atEnd("train_gc")}, curve{"test data", atEnd("test_gc")},
		curve{"training data, best step", atBest("train_gc")})
}

// accuracyPanel shows the accuracy along the axis.
func (a axis) accuracyPanel(title string) plots.Panel {
	return a.panel(title, "fraction right", false, curve{"training data", atEnd("train_accuracy")}, curve{"test data", atEnd("test_accuracy")})
}

// lossPanel shows the losses along the axis.
func (a axis) lossPanel(title string) plots.Panel {
	return a.panel(title, "cross-entropy (nats)", true, curve{"training data", atEnd("train_loss")}, curve{"test data", atEnd("test_loss")})
}

// training is the figure of the training curves, a line for each value of the axis.
func (a axis) training(title, caption string) plots.Figure {
	f := plots.Figure{Title: title, Ordered: true, Caption: bandCaption(len(a.seeds)) + " " + caption, Panels: []plots.Panel{
		{Title: "GC on training data", YLabel: "GC of the logits", LogY: true},
		{Title: "training loss", YLabel: "cross-entropy (nats)", LogY: true},
		{Title: "test accuracy", YLabel: "fraction right"}}}
	for i, name := range []string{"train_gc", "train_loss", "test_accuracy"} {
		f.Panels[i].XLabel = "step"
		for j, label := range a.labels {
			line := alongTraining(fmt.Sprintf("%s %g", a.name, a.values[j]), pick(a.done, label, a.seeds), name)
			f.Panels[i].Series = append(f.Panels[i].Series, line)
		}
	}
	return f
}

// positions gives where values stand on the axis.
func (a axis) positions(keep func(value float64) bool) (at []int) {
	for i, v := range a.values {
		if keep(v) {
			at = append(at, i)
		}
	}
	return at
}

// labelled makes the labels of an axis.
func labelled[T any](values []T, label func(T) string) []string {
	labels := make([]string, len(values))
	for i, v := range values {
		labels[i] = label(v)
	}
	return labels
}

// asFloats converts the values of a sweep.
func asFloats(values []int) []float64 {
	out := make([]float64, len(values))
	for i, v := range values {
		out[i] = float64(v)
	}
	return out
}

// distinct leaves out runs that are there already, with the same label and seed:
// sweeps that share a configuration share its runs.
func distinct(runs []Run) []Run {
	var out []Run
	for _, run := range runs {
		if !slices.ContainsFunc(out, func(o Run) bool { return o.Label == run.Label && o.Seed == run.Seed }) {
			out = append(out, run)
		}
	}
	return out
}
