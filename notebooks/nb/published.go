package nb

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/janpfeifer/gonb/gonbui"

	"github.com/geometric-complexity/toolkit/experiments/evidence"
	"github.com/geometric-complexity/toolkit/experiments/experiment"
	"github.com/geometric-complexity/toolkit/experiments/report"
	"github.com/geometric-complexity/toolkit/experiments/runs"
	"github.com/geometric-complexity/toolkit/internal/repository"
)

// PublishedOutcome is the published result of an experiment, at the largest scale there is.
type PublishedOutcome[C any] struct {
	*Outcome[C]
	judged report.Judged
	next   string // the command for the next larger scale; empty at the largest
}

// Published reads the published result of an experiment, at the largest scale that has one, from
// the repository's folder results. If there is none, it says so and ends the cell without an error.
func Published[C any](e *experiment.Definition[C]) *PublishedOutcome[C] {
	judged, err := allPublished()
	Check(err)
	p, err := published(e, judged)
	var none *unpublishedError
	if errors.As(err, &none) {
		gonbui.DisplayHTML("<p><i>" + html.EscapeString(none.Error()) + "</i></p>")
		gonbui.Sync()
		os.Exit(0)
	}
	Check(err)
	return p
}

// unpublishedError says that an experiment has no published result.
type unpublishedError struct{ number string }

func (e *unpublishedError) Error() string {
	return fmt.Sprintf("No result of experiment %s is published yet. The command gcml run %s --scale laptop makes one of your own.",
		e.number, e.number)
}

// allPublished judges all published results together.
func allPublished() ([]report.Judged, error) {
	root, ok := repository.Root()
	if !ok {
		return nil, errors.New("the published results are in the repository, and this notebook is not: open it by make lab")
	}
	folders, _, err := report.LoadAll(filepath.Join(root, "results"))
	return report.Judge(folders), err
}

// largest returns the result of an experiment at its largest scale.
func largest(judged []report.Judged, name string) (found report.Judged, ok bool) {
	rank := func(s experiment.Scale) int { return slices.Index(experiment.Scales(), s) }
	for _, j := range judged {
		if j.Name == name && (!ok || rank(j.Scale) > rank(found.Scale)) {
			found, ok = j, true
		}
	}
	return found, ok
}

func published[C any](e *experiment.Definition[C], judged []report.Judged) (*PublishedOutcome[C], error) {
	j, ok := largest(judged, e.About.Name)
	if !ok {
		return nil, &unpublishedError{e.About.Number}
	}
	o := &Outcome[C]{Result: j.Result, folder: j.Dir, scale: j.Scale}
	if err := json.Unmarshal(j.Config, &o.Settings); err != nil {
		return nil, err
	}
	o.size = fmt.Sprintf("The published run, of %s scale: %s.", j.Scale, e.About.Scales[j.Scale])
	if !same(o.Settings, e.Config(j.Scale)) {
		o.size = fmt.Sprintf("The published run, of %s scale as it was on %s.", j.Scale,
			j.Provenance.Finished.Format("2006-01-02"))
	}
	o.design = e.Design(o.Settings, j.Seeds)
	// An older result lacks sweeps that were added to the experiment since.
	o.design.Axes = slices.DeleteFunc(o.design.Axes, func(a evidence.Axis) bool { return len(a.Values) == 0 })
	var err error
	if o.records, err = readRecords(j.Dir, o.design); err != nil {
		return nil, err
	}
	p := &PublishedOutcome[C]{Outcome: o, judged: j}
	scales := experiment.Scales()
	if i := slices.Index(scales, j.Scale); i+1 < len(scales) {
		p.next = fmt.Sprintf("gcml run %s --scale %s", e.About.Number, scales[i+1])
	}
	return p, nil
}

// same reports whether two configurations are equal as JSON in a result.
func same(a, b any) bool {
	textA, errA := json.Marshal(a)
	textB, errB := json.Marshal(b)
	return errA == nil && errB == nil && bytes.Equal(textA, textB)
}

// readRecords reads the records of a design's runs from a published folder, by their labels and
// seeds: the hash of a run may have changed since.
func readRecords(dir string, design evidence.Design) (*evidence.Records, error) {
	f, err := os.Open(filepath.Join(dir, experiment.RecordsFile))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	type name struct {
		label string
		seed  int64
	}
	byName := make(map[name]*runs.Record)
	for lines := json.NewDecoder(f); lines.More(); {
		line := struct {
			Label string `json:"label"`
			runs.Record
		}{}
		if err := lines.Decode(&line); err != nil {
			return nil, fmt.Errorf("%s: %w", f.Name(), err)
		}
		byName[name{line.Label, line.Seed}] = &line.Record
	}
	all, err := design.Runs()
	if err != nil {
		return nil, err
	}
	records := &evidence.Records{}
	for _, run := range all {
		record := byName[name{run.Label, run.Seed}]
		if record == nil {
			return nil, fmt.Errorf("%s has no run %q with seed %d", f.Name(), run.Label, run.Seed)
		}
		if err := records.Add(run, record); err != nil {
			return nil, err
		}
	}
	return records, nil
}

// ShowVerdicts shows for each claim the verdict of the published run, the discussion if there is
// one, and what would change the verdict. The verdicts are corrected for the number of all claims
// that are published.
func (p *PublishedOutcome[C]) ShowVerdicts() {
	gonbui.DisplayHTML(p.verdicts())
	gonbui.Sync()
}

func (p *PublishedOutcome[C]) verdicts() string {
	var b strings.Builder
	caveat := ""
	if text := p.Scale.Caveat(); text != "" {
		caveat = ", " + text
	}
	fmt.Fprintf(&b, "<p>Published at %s scale%s, seeds %s.</p>", html.EscapeString(string(p.Scale)), caveat,
		evidence.JoinInts(p.Seeds))
	for _, c := range p.judged.Decided {
		fmt.Fprintf(&b, "<p>%s: <b>%s</b><br>", mark(c.Final), html.EscapeString(c.Text))
		fmt.Fprintf(&b, "<i>What you see:</i> %s.", html.EscapeString(strings.TrimSuffix(c.Finding(), ".")))
		if text := p.judged.Discussion[c.ID]; text != "" {
			fmt.Fprintf(&b, "<br><i>Why:</i> %s", html.EscapeString(text))
		}
		fmt.Fprintf(&b, "<br><i>What would change it:</i> %s</p>", html.EscapeString(p.change(c)))
	}
	return b.String()
}

// change says which result would lead to another verdict.
func (p *PublishedOutcome[C]) change(c report.JudgedClaim) string {
	text := ""
	switch {
	case c.Final == report.NotRefuted:
		other := "one value"
		if strings.HasPrefix(c.Criterion, "interval") {
			other = "an interval"
		}
		return other + " outside of the criterion (" + c.Criterion + "). It is proven, so that this would be a fault of " +
			"the program."
	case c.Final == evidence.Holds:
		text = "an interval that leaves the region of the criterion (" + c.Criterion + ")."
	case c.Final == evidence.DoesNotHold || c.Final == report.Refuted:
		text = "an interval that reaches into the region of the criterion (" + c.Criterion + ")."
	case c.Alone() != "":
		text = fmt.Sprintf("alone it %s (%s), but the correction for the number of claims leaves it undecided (p-value %s). "+
			"More seeds would decide it.", c.Alone(), c.Criterion, c.PValues())
	case len(c.PerSeed) < evidence.MinSeeds:
		text = fmt.Sprintf("more seeds in which it can be computed: there are %d, and %d are needed.", len(c.PerSeed),
			evidence.MinSeeds)
	case math.IsNaN(float64(c.Value)):
		text = "a value in every seed: in some it could not be computed."
	case c.Interval != nil && math.IsNaN(c.Interval.Lo):
		text = "more seeds: so few cannot decide it where all give the same value."
	default:
		text = "the interval crosses the edge of the criterion (" + c.Criterion + "); more seeds make it narrower."
	}
	if p.Scale == experiment.Laptop && p.next != "" {
		text += " Networks and data of the next scale may give another: " + p.next + "."
	}
	return text
}

// mark is a verdict with its sign, in its colour as a light and a dark page show it.
func mark(v evidence.Verdict) string {
	look := report.LookOf(v)
	c := forAnyPage(look.Color())
	return fmt.Sprintf(`<b style="color: #%02x%02x%02x">%s&nbsp;%s</b>`, c.R, c.G, c.B, look.Mark,
		html.EscapeString(string(v)))
}
