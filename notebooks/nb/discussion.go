package nb

import (
	"fmt"
	"html"
	"path/filepath"
	"strings"

	"github.com/janpfeifer/gonb/gonbui"

	"github.com/geometric-complexity/toolkit/backend"
	"github.com/geometric-complexity/toolkit/experiments/evidence"
	"github.com/geometric-complexity/toolkit/experiments/experiment"
	"github.com/geometric-complexity/toolkit/experiments/report"
)

// ShowDiscussion shows the verdicts on an experiment's claims that the repository publishes, and
// what was written about them. They are corrected for the number of all claims that are published.
func ShowDiscussion(e experiment.Experiment) {
	root, ok := backend.RepositoryRoot()
	if !ok {
		gonbui.DisplayHTML("<p>Published results are in the repository, which this notebook is not in.</p>")
		return
	}
	folders, _, err := report.LoadAll(filepath.Join(root, "results"))
	Check(err)
	text := discussion(report.Judge(folders), e.Info().Name)
	if text == "" {
		text = "<p>No result of this experiment is published.</p>"
	}
	gonbui.DisplayHTML(text)
}

// discussion is one table for each published scale of the experiment.
func discussion(judged []report.Judged, name string) string {
	var b strings.Builder
	for _, j := range judged {
		if j.Name != name || len(j.Decided) == 0 {
			continue
		}
		caveat := ""
		if j.Scale.Caveat() != "" {
			caveat = " (" + j.Scale.Caveat() + ")"
		}
		fmt.Fprintf(&b, "<p>Published at %s scale%s, seeds %s</p>", html.EscapeString(string(j.Scale)), caveat,
			evidence.JoinInts(j.Seeds))
		var rows [][]string
		for _, c := range j.Decided {
			rows = append(rows, []string{verdictCell(c.Final), html.EscapeString(c.Text),
				html.EscapeString(c.Finding()) + paragraph(j.Discussion[c.ID])})
		}
		b.WriteString(table([]string{"verdict", "claim", "what was found, and what it may mean"}, rows))
	}
	return b.String()
}

func paragraph(text string) string {
	if text == "" {
		return ""
	}
	return "<p>" + html.EscapeString(text) + "</p>"
}

// verdictCell marks a verdict for those who do not see its colour, and keeps it on one line.
func verdictCell(v evidence.Verdict) string {
	return "<b>" + report.Mark(v) + "&nbsp;" + strings.ReplaceAll(html.EscapeString(string(v)), " ", "&nbsp;") + "</b>"
}
