package nb

import (
	"errors"
	"fmt"
	"html"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/gomlx/compute"
	"github.com/janpfeifer/gonb/gonbui"

	"github.com/geometric-complexity/toolkit/backend"
	"github.com/geometric-complexity/toolkit/experiments/evidence"
	"github.com/geometric-complexity/toolkit/experiments/experiment"
	"github.com/geometric-complexity/toolkit/experiments/runs"
)

// Outcome is an experiment's result and the folder it is in.
type Outcome struct {
	*experiment.Result
	Out     string
	design  evidence.Design
	records *evidence.Records
}

// Run runs an experiment at a scale, which its configuration may differ from, with its progress
// shown in place. It takes the fastest backend there is, and keeps its runs where `gcml run` does:
// those that are complete there are not done again, so that a cell may run again, or a later one
// ask for the same, at no cost; after an interruption running the cell again goes on.
func Run[C any](e *experiment.Definition[C], cfg C, scale experiment.Scale) *Outcome {
	b, info, err := backend.Open()
	Check(err)
	defer b.Finalize()
	return run(e, cfg, scale, b, info)
}

// Look runs a small configuration with the seeds of the smallest scale, in that scale's folder. It
// takes the pure Go backend, which starts at once: XLA would compile for longer than such networks
// train.
func Look[C any](e *experiment.Definition[C], cfg C) *Outcome {
	b, info, err := backend.OpenConfig("go")
	Check(err)
	defer b.Finalize()
	return run(e, cfg, experiment.Smoke, b, info)
}

func run[C any](e *experiment.Definition[C], cfg C, scale experiment.Scale, b compute.Backend,
	info backend.Info) *Outcome {
	out, err := outFolder(e.About.Folder(scale))
	Check(err)
	p := newProgress()
	begin := time.Now()
	env := runs.Env{Backend: b, BackendName: info.ResultName(), Out: out, Progress: p}
	result, err := e.Run(Context(), env, cfg, e.Seeds(scale))
	var interrupted *runs.InterruptedError
	if errors.As(err, &interrupted) {
		p.end("%s; run the cell again to go on", interrupted.Error())
	}
	Check(err)
	if done := len(result.Runs) - result.Reused; done == 0 {
		p.end("%d runs, all complete from before &middot; results in %s", len(result.Runs), shorten(out))
	} else {
		p.end("%d runs, %d of them done now in %s &middot; %s &middot; results in %s", len(result.Runs), done,
			time.Since(begin).Round(100*time.Millisecond).String(), describe(info), shorten(out))
	}
	outcome, err := newOutcome(e, cfg, result, out)
	Check(err)
	return outcome
}

// newOutcome reads the records of a result from its folder.
func newOutcome[C any](e *experiment.Definition[C], cfg C, result *experiment.Result, out string) (*Outcome, error) {
	records, err := e.Records(out, result.Backend, cfg, result.Seeds)
	return &Outcome{Result: result, Out: out, design: e.Design(cfg, result.Seeds), records: records}, err
}

// ShowFigures shows the figures of the names given, or all.
func (o *Outcome) ShowFigures(names ...string) {
	for _, figure := range o.Figures {
		base := strings.TrimSuffix(filepath.Base(figure), ".png")
		if filepath.Ext(figure) != ".png" || len(names) > 0 && !slices.Contains(names, base) {
			continue
		}
		png, err := os.ReadFile(filepath.Join(o.Out, filepath.FromSlash(figure)))
		Check(err)
		png, err = compact(png)
		Check(err)
		gonbui.DisplayPNG(png)
	}
}

// Records are the records of the runs of a label that lies on no sweep, one for each seed.
func (o *Outcome) Records(label string) []*runs.Record {
	for _, cell := range o.design.Cells {
		if cell.Label == label {
			return o.records.Of(cell)
		}
	}
	Check(fmt.Errorf("%s has no runs with the label %q", o.Name, label))
	return nil
}

// Sweeps is how many quantities the experiment sweeps.
func (o *Outcome) Sweeps() int { return len(o.design.Axes) }

// View is the i-th sweep of the experiment, counted from 0, for a slider to step through.
func (o *Outcome) View(i int) *View {
	if i < 0 || i >= len(o.design.Axes) {
		Check(fmt.Errorf("sweep %d: %s has %d", i, o.Name, len(o.design.Axes)))
	}
	return &View{o.records.Along(o.design.Axes[i])}
}

// ShowVerdicts shows the table of claims, each with its evidence and verdict. At a scale that
// decides nothing it shows what the statistics came to.
func (o *Outcome) ShowVerdicts() {
	gonbui.DisplayHTML(o.verdicts())
	seeds := strings.Trim(fmt.Sprint(o.Seeds), "[]")
	gonbui.DisplayHTML(fmt.Sprintf("<p>backend %s, seeds %s, configuration <code style=\"white-space: normal; overflow-wrap: anywhere\">%s</code></p>",
		html.EscapeString(o.Backend), seeds, html.EscapeString(string(o.Config))))
}

func (o *Outcome) verdicts() string {
	header := []string{"claim", "evidence", "verdict"}
	if !o.Scale.Decides() {
		header = header[:2]
	}
	rows := make([][]string, len(o.Claims))
	for i, c := range o.Claims {
		found := c.Evidence
		if !o.Scale.Decides() {
			found = c.Summary()
		}
		rows[i] = []string{html.EscapeString(c.Text),
			html.EscapeString(found) + "<br><i>holds if: " + html.EscapeString(c.Criterion) + "</i>",
			verdictCell(c.Verdict)}[:len(header)]
	}
	text := table(header, rows)
	if caveat := o.Scale.Caveat(); caveat != "" {
		text = fmt.Sprintf("<p>%s: %s</p>", o.Scale, caveat) + text
	}
	if o.Scale.Decides() {
		text += "<p>These verdicts are not corrected for the number of claims; the published ones are.</p>"
	}
	return text
}

// ShowTables shows the tables of numbers.
func (o *Outcome) ShowTables() {
	for _, t := range o.Tables {
		var rows [][]string
		for _, row := range t.Rows {
			rows = append(rows, escapeAll(row))
		}
		gonbui.DisplayHTML(table(escapeAll(t.Header), rows))
		gonbui.DisplayHTML("<p>" + html.EscapeString(t.Notes) + "</p>")
	}
}

func escapeAll(texts []string) []string {
	out := make([]string, len(texts))
	for i, text := range texts {
		out[i] = html.EscapeString(text)
	}
	return out
}

// table makes a table of cells of HTML.
func table(header []string, rows [][]string) string {
	var b strings.Builder
	line := func(tag string, cells []string) {
		b.WriteString("<tr>")
		for _, cell := range cells {
			fmt.Fprintf(&b, `<%s style="text-align: left; vertical-align: top">%s</%s>`, tag, cell, tag)
		}
		b.WriteString("</tr>")
	}
	b.WriteString("<table><thead>")
	line("th", header)
	b.WriteString("</thead><tbody>")
	for _, row := range rows {
		line("td", row)
	}
	b.WriteString("</tbody></table>")
	return b.String()
}
