package nb

import (
	"fmt"
	"html"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/janpfeifer/gonb/gonbui"

	"github.com/geometric-complexity/toolkit/experiments/evidence"
	"github.com/geometric-complexity/toolkit/experiments/experiment"
	"github.com/geometric-complexity/toolkit/experiments/runs"
)

// Outcome is the result of an experiment, from a run or published.
type Outcome[C any] struct {
	*experiment.Result
	Settings C                // that it was run with
	folder   string           // with the figures
	size     string           // what was run, for captions
	scale    experiment.Scale // that was asked for: what the claims are worth
	design   evidence.Design
	records  *evidence.Records
}

// ShowFigures shows the named figures, by default all, below a line that says what was run.
func (o *Outcome[C]) ShowFigures(names ...string) {
	gonbui.DisplayHTML("<p><i>" + html.EscapeString(o.size) + "</i></p>")
	shown := 0
	for _, figure := range o.Figures {
		base := strings.TrimSuffix(path.Base(figure), ".png")
		if path.Ext(figure) != ".png" || len(names) > 0 && !slices.Contains(names, base) {
			continue
		}
		data, err := os.ReadFile(filepath.Join(o.folder, filepath.FromSlash(figure)))
		Check(err)
		words := o.InWords[base]
		if words == "" {
			words = o.Title + ": " + strings.ReplaceAll(base, "-", " ")
		}
		picture, err := pictureOf(data, words)
		Check(err)
		gonbui.DisplayHTML(picture)
		shown++
	}
	if shown == 0 {
		Check(fmt.Errorf("%s has no figures of the names %q", o.Name, names))
	}
	gonbui.Sync()
}

// Records returns the records of the runs with a label that is not part of a sweep, one for each
// seed.
func (o *Outcome[C]) Records(label string) []*runs.Record {
	for _, cell := range o.design.Cells {
		if cell.Label == label {
			return o.records.Of(cell)
		}
	}
	Check(fmt.Errorf("%s has no runs with the label %q", o.Name, label))
	return nil
}

// Sweeps is the number of quantities that the experiment sweeps.
func (o *Outcome[C]) Sweeps() int { return len(o.design.Axes) }

// View returns the i-th sweep of the experiment, counted from 0, for a slider.
func (o *Outcome[C]) View(i int) *View {
	if i < 0 || i >= len(o.design.Axes) {
		Check(fmt.Errorf("sweep %d: %s has %d", i, o.Name, len(o.design.Axes)))
	}
	return &View{o.records.Along(o.design.Axes[i])}
}

// ShowClaims shows the verdict on each claim, without a correction for their number. At a scale
// that decides nothing it shows the statistics instead.
func (o *Outcome[C]) ShowClaims() {
	gonbui.DisplayHTML(o.claims())
	gonbui.Sync()
}

func (o *Outcome[C]) claims() string {
	var b strings.Builder
	if caveat := o.scale.Caveat(); caveat != "" {
		fmt.Fprintf(&b, "<p>This run, of %s scale: %s.</p>", o.scale, caveat)
	}
	b.WriteString("<ul>")
	for _, c := range o.Claims {
		verdict := ""
		if o.scale.Decides() {
			verdict = mark(c.Verdict) + ": "
		}
		fmt.Fprintf(&b, "<li>%s%s<br>%s <i>(holds if: %s)</i></li>", verdict, html.EscapeString(c.Text),
			html.EscapeString(c.Summary()), html.EscapeString(c.Criterion))
	}
	b.WriteString("</ul>")
	if o.scale.Decides() {
		b.WriteString("<p>These verdicts are not corrected for the number of claims; the published ones are.</p>")
	}
	return b.String()
}

// ShowTables shows the tables whose titles contain one of the given texts, by default all, each
// folded below its title.
func (o *Outcome[C]) ShowTables(titled ...string) {
	for _, t := range o.Tables {
		contains := func(text string) bool { return strings.Contains(t.Title, text) }
		if len(titled) > 0 && !slices.ContainsFunc(titled, contains) {
			continue
		}
		gonbui.DisplayHTML(foldedTable(t))
	}
	gonbui.Sync()
}

func foldedTable(t evidence.Table) string {
	title := t.Title
	if title == "" {
		title = "The numbers"
	}
	var b strings.Builder
	fmt.Fprintf(&b, `<details><summary>%s</summary><div style="overflow-x: auto"><table><thead>`, html.EscapeString(title))
	line := func(tag string, cells []string) {
		b.WriteString("<tr>")
		for _, cell := range cells {
			fmt.Fprintf(&b, `<%s>%s</%s>`, tag, html.EscapeString(cell), tag)
		}
		b.WriteString("</tr>")
	}
	line("th", t.Header)
	b.WriteString("</thead><tbody>")
	for _, row := range t.Rows {
		line("td", row)
	}
	fmt.Fprintf(&b, "</tbody></table></div><p>%s</p></details>", html.EscapeString(t.Notes))
	return b.String()
}
