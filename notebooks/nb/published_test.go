package nb

import (
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/geometric-complexity/toolkit/experiments"
	"github.com/geometric-complexity/toolkit/experiments/evidence"
	"github.com/geometric-complexity/toolkit/experiments/experiment"
	"github.com/geometric-complexity/toolkit/experiments/report"
	"github.com/geometric-complexity/toolkit/experiments/runs"
	"github.com/geometric-complexity/toolkit/internal/stats"
)

func result(name string, scale experiment.Scale, claims ...evidence.Claim) *experiment.Result {
	return &experiment.Result{Name: name, Number: "04", Title: "Noise", Scale: scale, Seeds: []int64{0, 1, 2},
		Claims: claims}
}

func claim(id string, verdict evidence.Verdict) evidence.Claim {
	return evidence.Claim{ClaimText: evidence.ClaimText{ID: id, Text: "more <" + id + ">: lower GC"},
		Effect: "GC falls by half", PerSeed: []runs.Number{1, 2, 3}, Criterion: "interval below 1", Verdict: verdict}
}

// The verdicts are those of the largest scale, each with what was written about it and with what
// would change it.
func TestVerdicts(t *testing.T) {
	judged := report.Judge([]*report.Folder{
		{Dir: "04-noise", Result: result("noise", experiment.Laptop, claim("a", evidence.Holds))},
		{Dir: "04-noise-desk", Result: result("noise", experiment.Desk, claim("a", evidence.DoesNotHold),
			claim("b", evidence.Holds)),
			Discussion: map[string]string{"a": "Not as in the <paper>."}},
		{Dir: "05-other", Result: result("other", experiment.Paper, claim("c", evidence.Holds))},
	})
	j, ok := largest(judged, "noise")
	if !ok || j.Dir != "04-noise-desk" {
		t.Fatalf("the largest scale is that of %s", j.Dir)
	}
	p := &PublishedOutcome[int]{Outcome: &Outcome[int]{Result: j.Result}, judged: j, next: "gcml run 04 --scale paper"}
	text := p.verdicts()
	for _, want := range []string{"Published at desk scale, seeds 0, 1, 2.", "✘&nbsp;does not hold",
		"more &lt;a&gt;: lower GC", "GC falls by half.", "<i>Why:</i> Not as in the &lt;paper&gt;.",
		"reaches into the region of the criterion (interval below 1)",
		"✔&nbsp;holds", "leaves the region"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in %s", want, text)
		}
	}
	for _, unwanted := range []string{"<c>", "a first look", "gcml run"} {
		if strings.Contains(text, unwanted) {
			t.Errorf("%q is in %s", unwanted, text)
		}
	}
	j, _ = largest(judged[:1], "noise")
	p = &PublishedOutcome[int]{Outcome: &Outcome[int]{Result: j.Result}, judged: j, next: "gcml run 04 --scale desk"}
	text = p.verdicts()
	if !strings.Contains(text, "a first look") || !strings.Contains(text, "gcml run 04 --scale desk") {
		t.Errorf("a first look says %s", text)
	}
}

// An undecided claim says what it lacks: another interval, more seeds, or a value in every seed.
func TestChangeOfUndecided(t *testing.T) {
	none := runs.Number(math.NaN())
	for want, change := range map[string]func(c *evidence.Claim){
		"crosses the edge of the criterion": func(*evidence.Claim) {},
		"there are 2, and 3 are needed":     func(c *evidence.Claim) { c.PerSeed = c.PerSeed[:2] },
		"a value in every seed":             func(c *evidence.Claim) { c.Value, c.PerSeed[0] = none, none },
		"all give the same value": func(c *evidence.Claim) {
			c.Interval = &stats.Interval{Lo: math.NaN(), Hi: math.NaN(), Method: stats.SignTest}
		},
	} {
		c := claim("a", evidence.Undecided)
		change(&c)
		p := &PublishedOutcome[int]{Outcome: &Outcome[int]{Result: result("noise", experiment.Desk, c)}}
		if got := p.change(report.JudgedClaim{Claim: c, Final: evidence.Undecided}); !strings.Contains(got, want) {
			t.Errorf("no %q in %q", want, got)
		}
	}
}

// A run shows what its scale is worth, and no verdict at smoke scale.
func TestClaimsOfARun(t *testing.T) {
	for scale, wants := range map[experiment.Scale][]string{
		experiment.Smoke:  {"smoke scale: too small for a verdict", "GC falls by half"},
		experiment.Laptop: {"laptop scale: a first look", "✘&nbsp;does not hold"},
		experiment.Desk:   {"✘&nbsp;does not hold"},
	} {
		o := &Outcome[int]{scale: scale, Result: result("noise", experiment.Desk, claim("a", evidence.DoesNotHold))}
		text := o.claims()
		for _, want := range append(wants, "holds if: interval below 1") {
			if !strings.Contains(text, want) {
				t.Errorf("%s: no %q in %s", scale, want, text)
			}
		}
		if scale == experiment.Smoke && strings.Contains(text, "does not hold") {
			t.Errorf("a verdict of smoke scale is in %s", text)
		}
	}
}

// Every published result that a notebook shows can be read by it, with the records of its sweeps.
func TestPublishedResults(t *testing.T) {
	folders, _, err := report.LoadAll(filepath.Join("..", "..", "results"))
	if err != nil {
		t.Fatal(err)
	}
	judged := report.Judge(folders)
	checkPublished(t, experiments.TheMeasure, judged)
	checkPublished(t, experiments.SimplicityBias, judged)
	checkPublished(t, experiments.Initialization, judged)
	checkPublished(t, experiments.ExplicitRegularization, judged)
	checkPublished(t, experiments.Noise, judged)
	checkPublished(t, experiments.GCRegularizer, judged)
	checkPublished(t, experiments.ImplicitRegularization, judged)
	checkPublished(t, experiments.Transfer, judged)
	checkPublished(t, experiments.DoubleDescent, judged)
	checkPublished(t, experiments.Optimizers, judged)
	checkPublished(t, experiments.OccamsRazor, judged)
	checkPublished(t, experiments.Lipschitz, judged)
	if _, ok := largest(judged, experiments.NeuralCollapse.About.Name); ok {
		checkPublished(t, experiments.NeuralCollapse, judged)
	}
	if _, ok := largest(judged, experiments.MarginBound.About.Name); ok {
		checkPublished(t, experiments.MarginBound, judged)
	}
	_, err = published(experiments.NeuralCollapse, nil)
	var none *unpublishedError
	if !errors.As(err, &none) || !strings.Contains(err.Error(), "gcml run 10 --scale laptop") {
		t.Errorf("an experiment without a published result gives %v", err)
	}
}

func checkPublished[C any](t *testing.T, e *experiment.Definition[C], judged []report.Judged) {
	t.Helper()
	p, err := published(e, judged)
	if err != nil {
		t.Errorf("%s: %v", e.About.Name, err)
		return
	}
	for i := range p.Sweeps() {
		if p.View(i).Values() == 0 {
			t.Errorf("%s: sweep %d has no values", e.About.Name, i)
		}
	}
}

// The summary has a mark for each claim, in the column of its experiment.
func TestSummary(t *testing.T) {
	judged := report.Judge([]*report.Folder{
		{Dir: "a", Result: result("a", experiment.Desk, claim("a", evidence.Holds), claim("b", evidence.Holds))},
		{Dir: "b", Result: result("b", experiment.Desk, claim("c", evidence.Undecided))},
	})
	series := summary(judged).Panels[0].Series
	if len(series) != 2 || series[0].Name != "holds" || !slices.Equal(series[0].X, []float64{0, 0}) ||
		!slices.Equal(series[0].Y, []float64{2, 1}) || !slices.Equal(series[1].X, []float64{1}) {
		t.Errorf("the summary draws %+v", series)
	}
	for i, verdict := range []evidence.Verdict{evidence.Holds, evidence.Undecided} {
		if want := report.LookOf(verdict).Color(); series[i].Color != want {
			t.Errorf("the summary draws %s in %v, want %v as everywhere", verdict, series[i].Color, want)
		}
	}
	if text := summaryList(judged); !strings.Contains(text, "holds 2") || !strings.Contains(text, "undecided 1") {
		t.Errorf("the list says %s", text)
	}
}

// TestCriteriaInNotebooks checks that a notebook says that criteria were set before the first run
// exactly where the published result shows it.
func TestCriteriaInNotebooks(t *testing.T) {
	judged, err := allPublished()
	if err != nil {
		t.Fatal(err)
	}
	checked := 0
	for _, e := range experiments.All() {
		j, ok := largest(judged, e.Info().Name)
		if !ok {
			continue
		}
		path, page := savedNotebook(t, e.Info().Number)
		doubt, why := j.Doubt()
		text := jsonLineBreak.ReplaceAllString(string(page), " ")
		if says := strings.Contains(text, "The criteria were set before the first run"); says != (doubt == "") {
			t.Errorf("%s: it says that the criteria were set before the first run: %t, but: %s %s", path, says, doubt, why)
		}
		checked++
	}
	if checked < 16 {
		t.Errorf("%d notebooks were checked", checked)
	}
}

// savedNotebook returns the notebook of an experiment, its path and its JSON.
func savedNotebook(t *testing.T, number string) (path string, page []byte) {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join("..", number+"_*.ipynb"))
	paths = slices.DeleteFunc(paths, func(path string) bool { return strings.HasSuffix(path, "00_start_here.ipynb") })
	if err != nil || len(paths) != 1 {
		t.Fatalf("notebooks %v, %v", paths, err)
	}
	page, err = os.ReadFile(paths[0])
	if err != nil {
		t.Fatal(err)
	}
	return paths[0], page
}

// TestVerdictsInNotebooks checks that the saved notebooks show the published verdicts and p-values.
// A new result of any experiment changes the corrected p-values of all.
func TestVerdictsInNotebooks(t *testing.T) {
	judged, err := allPublished()
	if err != nil {
		t.Fatal(err)
	}
	const save = "save the notebook again, by scripts/notebooks/execute.py --save"
	var summarized []report.Judged // In the summary of 00_start_here.ipynb.
	for _, e := range experiments.All() {
		j, ok := largest(judged, e.Info().Name)
		if !ok {
			continue
		}
		summarized = append(summarized, j)
		path, page := savedNotebook(t, e.Info().Number)
		shown := outputHTML(t, page)
		if !strings.Contains(shown, "Published at "+string(j.Scale)+" scale") {
			t.Errorf("%s does not show the published result of %s scale: %s", path, j.Scale, save)
			continue
		}
		p := &PublishedOutcome[int]{Outcome: &Outcome[int]{Result: j.Result}, judged: j}
		for _, c := range j.Decided {
			_, after, ok := strings.Cut(shown, mark(c.Final)+": <b>"+html.EscapeString(c.Text)+"</b>")
			after, _, _ = strings.Cut(after, "</p>")
			if !ok || !strings.HasSuffix(after, html.EscapeString(p.change(c))) {
				t.Errorf("%s: the claim %q is published as %s %s: %s", path, c.Text, c.Final, c.PValues(), save)
			}
		}
	}
	page, err := os.ReadFile(filepath.Join("..", "00_start_here.ipynb"))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(outputHTML(t, page), summaryList(summarized)) {
		t.Errorf("00_start_here.ipynb does not show the published numbers of verdicts: %s", save)
	}
}

// outputHTML returns the HTML that the cells of a saved notebook show.
func outputHTML(t *testing.T, page []byte) string {
	t.Helper()
	var notebook struct {
		Cells []struct {
			Outputs []struct {
				Data map[string]any
			}
		}
	}
	if err := json.Unmarshal(page, &notebook); err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for _, cell := range notebook.Cells {
		for _, output := range cell.Outputs {
			switch text := output.Data["text/html"].(type) {
			case string:
				b.WriteString(text)
			case []any: // Lines.
				for _, line := range text {
					fmt.Fprint(&b, line)
				}
			}
		}
	}
	return b.String()
}

// jsonLineBreak matches the end of a line of a cell and the beginning of the next one.
var jsonLineBreak = regexp.MustCompile(`\\n",\s+"`)
