package ranking

import (
	"fmt"
	"slices"
	"strings"

	"github.com/geometric-complexity/toolkit/experiments/evidence"
	"github.com/geometric-complexity/toolkit/experiments/runs"
)

// Result is the ranking of an experiment's runs.
type Result struct {
	// Experiment is the name of the folder of the runs.
	Experiment string `json:"experiment"`
	// Command repeats the ranking.
	Command  string   `json:"command"`
	Backend  string   `json:"backend"`
	Settings Settings `json:"settings"`
	Seeds    []int64  `json:"seeds"`
	Runs     int      `json:"runs"`
	// LeftOut is the number of runs that diverged or ended no better than chance, Unfinished that
	// of runs without a record, and Outdated that of runs of another revision of the training.
	LeftOut    int `json:"left_out"`
	Unfinished int `json:"unfinished"`
	Outdated   int `json:"outdated,omitempty"`
	// Level is the training loss at which runs are compared at equal training loss.
	Level runs.Number `json:"level"`
	// Commits are those of the programs that trained the networks.
	Commits      []string      `json:"commits"`
	Correlations []Correlation `json:"correlations"`
	Axes         []string      `json:"axes"`
	// Provenance is that of the program that computed the correlations, which may have found
	// measures of an earlier call.
	Provenance runs.Provenance `json:"provenance"`
}

// tabulate computes the correlations of runs, and fills in what follows from the runs.
func (r *Result) tabulate(all []*Measured) {
	r.Runs, r.Seeds, r.Correlations = len(all), seedsOf(all), correlationsOf(all)
	r.Axes = nil
	for _, a := range axesOf(all) {
		r.Axes = append(r.Axes, a.name)
	}
}

// Tables returns one table for each error, and one with the correlations of the test error by
// setting.
func (r *Result) Tables() []evidence.Table {
	notes := fmt.Sprintf("Kendall's τ-b: mean over %d seeds, with Student's t interval of 95 %% over them.", len(r.Seeds))
	errors := []struct{ id, title string }{{TestError, "test error"}, {Gap, "test error minus training error"}}
	var tables []evidence.Table
	for _, e := range errors {
		t := evidence.Table{Title: fmt.Sprintf("Rank correlation with the %s, %d runs", e.title, r.Runs), Notes: notes,
			Header: []string{"measure", "all pairs of runs", "given the training loss", "one setting changed"}}
		for _, c := range r.of(e.id) {
			t.Rows = append(t.Rows, []string{nameOf(c, r.Runs), c.All.String(), c.GivenLoss.String(), c.Granulated.String()})
		}
		tables = append(tables, t)
	}
	t := evidence.Table{Title: "Rank correlation with the test error where one setting alone changes",
		Header: []string{"measure"}, Notes: notes}
	for _, axis := range r.Axes {
		t.Header = append(t.Header, display(axis))
	}
	for _, c := range r.of(TestError) {
		row := []string{nameOf(c, r.Runs)}
		for _, axis := range r.Axes {
			row = append(row, short(c.ByAxis[axis].Mean))
		}
		t.Rows = append(t.Rows, row)
	}
	if len(r.Axes) > 0 {
		tables = append(tables, t)
	}
	return tables
}

func (r *Result) of(target string) (correlations []Correlation) {
	for _, c := range r.Correlations {
		if c.Error == target {
			correlations = append(correlations, c)
		}
	}
	return correlations
}

// nameOf returns the name of a measure, with the number of runs that have a value if some lack it.
func nameOf(c Correlation, all int) string {
	i := slices.IndexFunc(Measures(), func(m Measure) bool { return m.ID == c.Measure })
	name := Measures()[i].Name
	if c.Runs < all {
		name += fmt.Sprintf(" (%d runs)", c.Runs)
	}
	return name
}

// String writes the mean with its interval; "–" for none.
func (s Statistic) String() string {
	if len(s.PerSeed) == 0 {
		return "–"
	}
	if s.Interval == nil {
		return short(s.Mean)
	}
	return fmt.Sprintf("%s [%s, %s]", short(s.Mean), short(runs.Number(s.Interval.Lo)), short(runs.Number(s.Interval.Hi)))
}

// short writes a correlation with two decimals.
func short(v runs.Number) string {
	if v != v {
		return "–"
	}
	text := fmt.Sprintf("%.2f", float64(v))
	if text == "-0.00" {
		text = "0.00"
	}
	return strings.Replace(text, "-", "−", 1)
}

// Markdown writes the tables, and where they come from.
func (r *Result) Markdown() string {
	var b strings.Builder
	for _, t := range r.Tables() {
		fmt.Fprintf(&b, "%s:\n\n| %s |\n|---|%s\n", t.Title, strings.Join(t.Header, " | "),
			strings.Repeat("--:|", len(t.Header)-1))
		for _, row := range t.Rows {
			fmt.Fprintf(&b, "| %s |\n", strings.Join(row, " | "))
		}
		b.WriteString("\n")
	}
	fmt.Fprintf(&b, "%s\n", r.Source())
	return b.String()
}

// Source says in a sentence or two what the numbers come from.
func (r *Result) Source() string {
	text := fmt.Sprintf("`%s`: %d runs of %s with seeds %s, measured on %s", r.Command, r.Runs, r.Experiment,
		evidence.JoinInts(r.Seeds), r.Backend)
	for i, commit := range r.Commits {
		text += fmt.Sprintf("%s %.12s", []string{"; trained by commit", ","}[min(i, 1)], commit)
	}
	text += fmt.Sprintf(". Means over the seeds, with Student's t interval. Equal training loss is %.3g.",
		float64(r.Level))
	if r.LeftOut+r.Unfinished > 0 {
		text += fmt.Sprintf(" Left out: %d runs that diverged or ended no better than chance, and %d that have not ended.",
			r.LeftOut, r.Unfinished)
	}
	if r.Outdated > 0 {
		text += fmt.Sprintf(" Left out as well: %d runs of another revision of the training.", r.Outdated)
	}
	return text
}
