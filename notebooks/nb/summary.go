package nb

import (
	"fmt"
	"html"
	"strings"

	"github.com/janpfeifer/gonb/gonbui"

	"github.com/geometric-complexity/toolkit/experiments"
	"github.com/geometric-complexity/toolkit/experiments/evidence"
	"github.com/geometric-complexity/toolkit/experiments/report"
	"github.com/geometric-complexity/toolkit/internal/plots"
)

// ShowSummary shows the published verdicts on the claims of all experiments: a figure with a mark
// for each claim, and below it a line for each experiment.
func ShowSummary() {
	judged, err := allPublished()
	Check(err)
	var shown []report.Judged
	for _, e := range experiments.All() {
		if j, ok := largest(judged, e.Info().Name); ok {
			shown = append(shown, j)
		}
	}
	Show(summary(shown))
	gonbui.DisplayHTML(summaryList(shown))
	gonbui.Sync()
}

// verdictNames are the names of the verdicts in the summary's legend, in its order.
var verdictNames = []struct {
	verdict evidence.Verdict
	name    string
}{
	{evidence.Holds, "holds"}, {evidence.DoesNotHold, "does not hold"}, {evidence.Undecided, "undecided"},
	{report.NotRefuted, "proven, not refuted"}, {report.Refuted, "proven, refuted"}, {report.NoVerdict, "no verdict"},
}

// summary has a column for each experiment and in it a mark for each claim.
func summary(judged []report.Judged) Figure {
	panel := plots.Panel{XLabel: "experiment", YLabel: "claims"}
	for _, v := range verdictNames {
		s := plots.Series{Name: v.name, NoLine: true, Color: report.LookOf(v.verdict).Color()}
		for i, j := range judged {
			for k, c := range j.Decided {
				if c.Final == v.verdict {
					s.X, s.Y = append(s.X, float64(i)), append(s.Y, float64(len(j.Decided)-k))
				}
			}
		}
		if len(s.X) > 0 {
			panel.Series = append(panel.Series, s)
		}
	}
	for _, j := range judged {
		panel.Categories = append(panel.Categories, j.Number)
	}
	return Figure{Title: "The verdicts on all claims", Panels: []plots.Panel{panel},
		Caption: "A mark for each claim of an experiment, corrected for their number."}
}

// summaryList has a line for each experiment: how many of its claims have which verdict.
func summaryList(judged []report.Judged) string {
	var b strings.Builder
	b.WriteString("<ul>")
	for _, j := range judged {
		var counts []string
		for _, v := range verdictNames {
			n := 0
			for _, c := range j.Decided {
				if c.Final == v.verdict {
					n++
				}
			}
			if n > 0 {
				counts = append(counts, fmt.Sprintf("%s %d", v.name, n))
			}
		}
		fmt.Fprintf(&b, "<li><b>%s</b> %s: %s <i>(%s scale)</i></li>", j.Number, html.EscapeString(j.Title),
			strings.Join(counts, "; "), j.Scale)
	}
	b.WriteString("</ul>")
	return b.String()
}
