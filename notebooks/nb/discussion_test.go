package nb

import (
	"strings"
	"testing"

	"github.com/geometric-complexity/toolkit/experiments/evidence"
	"github.com/geometric-complexity/toolkit/experiments/experiment"
	"github.com/geometric-complexity/toolkit/experiments/report"
)

func result(name string, scale experiment.Scale, verdict evidence.Verdict) *experiment.Result {
	return &experiment.Result{Name: name, Scale: scale, Seeds: []int64{0, 1}, Claims: []evidence.Claim{{
		ClaimText: evidence.ClaimText{ID: "a", Text: "more <noise>: lower GC"}, Effect: "GC falls by half",
		Evidence:  "all of the evidence",
		Criterion: "interval below 1", Verdict: verdict, PerSeed: nil}}}
}

// The published discussion is that of the experiment alone, also of a claim that holds.
func TestDiscussion(t *testing.T) {
	judged := report.Judge([]*report.Folder{
		{Dir: "04-noise", Result: result("noise", experiment.Desk, evidence.Holds),
			Discussion: map[string]string{"a": "As in the <paper>."}},
		{Dir: "05-other", Result: result("other", experiment.Desk, evidence.DoesNotHold),
			Discussion: map[string]string{"a": "Unwanted."}},
	})
	text := discussion(judged, "noise")
	for _, want := range []string{"Published at desk scale, seeds 0, 1", "✔&nbsp;holds", "more &lt;noise&gt;: lower GC",
		"GC falls by half<p>As in the &lt;paper&gt;.</p>"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in %s", want, text)
		}
	}
	if strings.Contains(text, "Unwanted") {
		t.Errorf("another experiment's discussion is in %s", text)
	}
	if got := discussion(judged, "none"); got != "" {
		t.Errorf("of an experiment without results: %s", got)
	}
}

// A verdict is shown with what it is worth, and none at smoke scale.
func TestVerdicts(t *testing.T) {
	for scale, wants := range map[experiment.Scale][]string{
		experiment.Smoke: {"<p>smoke: too small for a verdict</p>", "GC falls by half", "interval below 1"},
		experiment.Laptop: {"<p>laptop: a first look</p>", "all of the evidence", "✘&nbsp;does&nbsp;not&nbsp;hold",
			"interval below 1"},
		experiment.Desk: {"all of the evidence", "✘&nbsp;does&nbsp;not&nbsp;hold"},
	} {
		text := (&Outcome{Result: result("noise", scale, evidence.DoesNotHold)}).verdicts()
		for _, want := range wants {
			if !strings.Contains(text, want) {
				t.Errorf("%s: no %q in %s", scale, want, text)
			}
		}
		if scale == experiment.Smoke &&
			(strings.Contains(text, "does&nbsp;not") || strings.Contains(text, "all of the evidence")) {
			t.Errorf("a verdict of smoke scale is in %s", text)
		}
		if scale == experiment.Desk && strings.Contains(text, "desk:") {
			t.Errorf("a caveat is in %s", text)
		}
	}
}
