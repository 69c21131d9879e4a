package report

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/geometric-complexity/toolkit/experiments/evidence"
	"github.com/geometric-complexity/toolkit/experiments/experiment"
	"github.com/geometric-complexity/toolkit/experiments/runs"
)

// claim returns a claim with a p-value, without one if p is negative.
func claim(id string, verdict evidence.Verdict, p float64) evidence.Claim {
	c := evidence.Claim{ClaimText: evidence.ClaimText{ID: id, Text: "the claim " + id}, Statistic: "value",
		Verdict: verdict, PerSeed: make([]runs.Number, 3),
		Evidence: "value 0", Criterion: "interval above 1"}
	if p >= 0 {
		n := runs.Number(p)
		c.P = &n
	}
	return c
}

func proven(c evidence.Claim) evidence.Claim { c.Proven = true; return c }

func sharing(c evidence.Claim, with string) evidence.Claim { c.Shares = with; return c }

// folder returns a result in memory.
func folder(number string, scale experiment.Scale, claims ...evidence.Claim) *Folder {
	r := sample()
	r.Number, r.Name, r.Title, r.Scale, r.Claims, r.Tables, r.Figures = number, "exp-"+number, "Experiment "+number, scale,
		claims, nil, nil
	return &Folder{Dir: number + "-" + string(scale), Result: r, Records: []Record{{Provenance: r.Provenance}}}
}

func old(f *Folder) *Folder { f.Criteria = nil; return f }

const desk = experiment.Desk

// TestJudge checks the verdicts after the correction, the corrected p-values, and the summary.
func TestJudge(t *testing.T) {
	type v = evidence.Verdict
	const holds, fails, open = evidence.Holds, evidence.DoesNotHold, evidence.Undecided
	for _, tc := range []struct {
		name    string
		folders []*Folder
		want    map[string]v
		p       map[string]float64
		summary string
	}{
		{"the correction is for the claims of all folders",
			[]*Folder{folder("01", desk, claim("a", holds, 0.01), claim("b", fails, 0.02)),
				folder("02", desk, claim("c", holds, 0.03), claim("d", open, 0.5))},
			// 4·0.01, 3·0.02, the 2·0.03 that is not below it, and 0.5.
			map[string]v{"a": holds, "b": open, "c": open, "d": open},
			map[string]float64{"a": 0.04, "b": 0.06, "c": 0.06, "d": 0.5},
			"Of 4 empirical claims, after Holm's correction for their number: 1 holds, 0 do not hold, 3 undecided. " +
				"Without the correction: 2 hold, 1 does not hold, 1 undecided."},
		{"theorems are apart",
			[]*Folder{folder("01", desk, claim("a", holds, 0.04), proven(claim("t", holds, 0.04)), proven(claim("u", fails, -1)),
				proven(claim("w", open, -1)))},
			map[string]v{"a": holds, "t": NotRefuted, "u": Refuted, "w": open}, map[string]float64{"a": 0.04, "t": math.NaN()},
			"Of 1 empirical claims, after Holm's correction for their number: 1 holds, 0 do not hold, 0 undecided. " +
				"The runs refute 1 of 3 theorems and identities."},
		{"claims of one statistic count once, and are corrected as one",
			[]*Folder{folder("01", desk, claim("keeps", holds, 0.02), sharing(claim("improves", fails, 0.03), "keeps"),
				claim("other", holds, 0.04))},
			map[string]v{"keeps": holds, "improves": open, "other": open},
			map[string]float64{"keeps": 0.04, "improves": 0.06, "other": 0.06},
			"Of 2 empirical claims, after Holm's correction for their number: 1 holds, 0 do not hold, 1 undecided. " +
				"Without the correction: 2 hold, 0 do not hold, 0 undecided."},
		{"a claim that does not hold is mentioned where the counted one of its statistic says otherwise",
			[]*Folder{folder("01", desk, claim("keeps", open, 0.5), sharing(claim("improves", fails, 0.001), "keeps"))},
			map[string]v{"keeps": open, "improves": fails}, map[string]float64{"keeps": 0.5, "improves": 0.001},
			"Of 1 empirical claims, after Holm's correction for their number: 0 hold, 0 do not hold, 1 undecided. " +
				"One more does not hold, and is not counted: it shares the statistic of a counted one."},
		{"claims share within an experiment only",
			[]*Folder{folder("01", desk, claim("keeps", holds, 0.03)),
				folder("02", desk, sharing(claim("improves", holds, 0.02), "keeps"))},
			map[string]v{"keeps": holds, "improves": holds}, map[string]float64{"keeps": 0.04, "improves": 0.04},
			"Of 2 empirical claims, after Holm's correction for their number: 2 hold, 0 do not hold, 0 undecided."},
		{"what no test decides stands as it is",
			[]*Folder{folder("01", desk, claim("a", holds, -1), claim("b", fails, 0.05))},
			map[string]v{"a": holds, "b": fails}, map[string]float64{"a": math.NaN(), "b": 0.05},
			"Of 2 empirical claims, after Holm's correction for their number: 1 holds, 1 does not hold, 0 undecided. " +
				"One that holds has no test to correct: it says that a limit is never exceeded, and no run exceeds it."},
		{"several that no test decides",
			[]*Folder{folder("01", desk, claim("a", holds, -1), claim("b", holds, 0.04), claim("c", fails, -1),
				proven(claim("t", holds, -1))), folder("02", desk, claim("d", holds, -1))},
			map[string]v{"a": holds, "b": holds, "c": fails, "t": NotRefuted, "d": holds}, map[string]float64{"b": 0.04},
			"Of 4 empirical claims, after Holm's correction for their number: 3 hold, 1 does not hold, 0 undecided. " +
				"2 that hold have no test to correct: each says that a limit is never exceeded, and no run exceeds it. " +
				"The runs refute none of 1 theorems and identities."},
		{"smoke decides nothing",
			[]*Folder{folder("01", experiment.Smoke, claim("a", holds, 0.04), proven(claim("t", fails, -1))),
				folder("02", desk, claim("b", holds, 0.04))},
			map[string]v{"a": NoVerdict, "t": NoVerdict, "b": holds}, map[string]float64{"a": math.NaN(), "b": 0.04},
			"Of 1 empirical claims, after Holm's correction for their number: 1 holds, 0 do not hold, 0 undecided."},
		{"a first look gives way to a larger scale",
			[]*Folder{folder("01", experiment.Laptop, claim("a", holds, 0.04)), folder("01", desk, claim("b", fails, 0.04)),
				folder("01", experiment.Smoke, claim("c", holds, 0))},
			map[string]v{"a": holds, "b": fails, "c": NoVerdict}, map[string]float64{"a": 0.04, "b": 0.04},
			"Of 1 empirical claims, after Holm's correction for their number: 0 hold, 1 does not hold, 0 undecided. " +
				"Laptop-scale results of experiments that a larger scale decides are not counted."},
		{"results of an older form are not corrected",
			[]*Folder{old(folder("01", desk, claim("a", holds, -1), claim("b", open, -1))),
				folder("02", desk, claim("c", fails, 0.04))},
			map[string]v{"a": holds, "b": open, "c": fails}, map[string]float64{"a": math.NaN(), "c": 0.04},
			"Of 1 empirical claims, after Holm's correction for their number: 0 hold, 1 does not hold, 0 undecided. " +
				"Of 2 claims in results of an older form, whose verdicts are not corrected: 1 holds, 0 do not hold, 1 undecided."},
		{"nothing", []*Folder{folder("01", desk)}, nil, nil, "No claim has a verdict yet."},
	} {
		t.Run(tc.name, func(t *testing.T) {
			judged := Judge(tc.folders)
			claims := 0
			for _, j := range judged {
				for _, c := range j.Decided {
					claims++
					if c.Final != tc.want[c.ID] {
						t.Errorf("%s: %s; want %s", c.ID, c.Final, tc.want[c.ID])
					}
					if want, ok := tc.p[c.ID]; ok && math.Abs(c.Corrected-want) > 1e-12 ||
						math.IsNaN(want) != math.IsNaN(c.Corrected) && ok {
						t.Errorf("%s: corrected p-value %g; want %g", c.ID, c.Corrected, want)
					}
				}
			}
			if claims != len(tc.want) {
				t.Errorf("%d claims; want %d", claims, len(tc.want))
			}
			if got := summary(judged); got != tc.summary {
				t.Errorf("summary\n%s\nwant\n%s", got, tc.summary)
			}
		})
	}
}

// TestJudgeLeavesFoldersAlone checks that the correction does not change the claims of the folders.
func TestJudgeLeavesFoldersAlone(t *testing.T) {
	f := folder("01", desk, claim("a", evidence.Holds, 0.04), claim("b", evidence.DoesNotHold, 0.04))
	Judge([]*Folder{f})
	if f.Claims[0].Verdict != evidence.Holds || f.Claims[1].ID != "b" {
		t.Errorf("claims are %+v", f.Claims)
	}
}

// TestDoubt checks the doubts about criteria, which could have been chosen to fit runs that began
// before them.
func TestDoubt(t *testing.T) {
	ended := time.Date(2030, 1, 2, 12, 0, 0, 0, time.UTC)
	run := func(end time.Time, seconds float64) Record {
		return Record{Provenance: runs.Provenance{Finished: end, Seconds: seconds}}
	}
	records := []Record{run(ended, 60), run(ended.Add(-time.Hour), 7200),
		run(time.Time{}, 5)} // The second began first, at 9.
	fixed := func(at time.Time) *experiment.Criteria { return &experiment.Criteria{Commit: commit, Fixed: at} }
	at := func(hour, minute int) time.Time { return time.Date(2030, 1, 2, hour, minute, 0, 0, time.UTC) }
	for _, tc := range []struct {
		name     string
		criteria *experiment.Criteria
		records  []Record
		short    string
		why      string
	}{
		{"before", fixed(at(8, 59)), records, "", ""},
		{"after the first run began", fixed(at(9, 1)), records, "The criteria are younger than the runs.",
			"Commit 0123456789ab fixed them on 2030-01-02 09:01 UTC, and the first run began on 2030-01-02 09:00 UTC."},
		{"no commit", &experiment.Criteria{SHA256: "ab"}, records, "The criteria are not committed.",
			"They may be younger than the runs."},
		{"no date", &experiment.Criteria{Commit: commit}, records, "The criteria are not committed.",
			"They may be younger than the runs."},
		{"no records", fixed(at(8, 59)), nil, "The criteria may be younger than the runs.",
			"It is unknown when the runs began."},
		{"older form", nil, records, "This result has an older form.",
			"Its verdicts are not corrected, and it does not say when its criteria were fixed."},
	} {
		t.Run(tc.name, func(t *testing.T) {
			f := folder("01", desk, claim("a", evidence.Holds, 0.01))
			f.Criteria, f.Records = tc.criteria, tc.records
			if short, why := f.Doubt(); short != tc.short || why != tc.why {
				t.Errorf("%q, %q; want %q, %q", short, why, tc.short, tc.why)
			}
			page, err := HTML([]*Folder{f})
			if err != nil {
				t.Fatal(err)
			}
			_, text := parse(t, page)
			long := strings.TrimSpace(tc.short + " " + tc.why)
			for _, in := range []struct{ what, text, want string }{{"page", text, long},
				{"table of experiments", experimentsTable([]*Folder{f}, ".", "all"), tc.short},
				{"list of claims", claimsList([]*Folder{f}, "."), long}} {
				if !strings.Contains(in.text, in.want) || in.want == "" &&
					(strings.Contains(in.text, "younger") || strings.Contains(in.text, "older form")) {
					t.Errorf("the %s does not say %q:\n%s", in.what, in.want, in.text)
				}
			}
		})
	}
	if none := folder("01", desk); none.doubtText() != "" {
		t.Error("a result without claims has doubtful criteria")
	}
}

// TestSmokeShowsNoVerdict checks that no verdict of the smoke scale is shown in any form.
func TestSmokeShowsNoVerdict(t *testing.T) {
	c := claim("a", evidence.Holds, 0.001)
	c.Effect, c.Evidence = "GC falls by half", "GC falls by half; at the last step: falls (does not hold)"
	c.Matched = []evidence.Matched{{Matching: "at the last step", Effect: "falls", Verdict: evidence.DoesNotHold}}
	folders := []*Folder{folder("01", experiment.Smoke, c)}
	page, err := HTML(folders)
	if err != nil {
		t.Fatal(err)
	}
	_, text, _ := strings.Cut(string(page), `<section id="01-smoke"`)
	for what, shown := range map[string]string{"page": text, "README": experimentsTable(folders, ".", "all"),
		"list": claimsList(folders, ".")} {
		for _, word := range []string{"does not hold", "✔", "✘", "**holds**", "refute"} {
			if strings.Contains(shown, word) {
				t.Errorf("the %s has %q:\n%s", what, word, shown)
			}
		}
		if !strings.Contains(shown, "too small for a verdict") || !strings.Contains(shown, "GC falls by half") {
			t.Errorf("the %s is\n%s", what, shown)
		}
	}
}

// TestFound checks that the sentence on an experiment is on its first empirical claim that a test
// decides, or else on the first one with an effect.
func TestFound(t *testing.T) {
	effect := func(c evidence.Claim, text, matching string) evidence.Claim {
		c.Effect, c.Matched = text, []evidence.Matched{{Matching: matching}}
		return c
	}
	theorem, plain := proven(claim("t", evidence.Holds, -1)), claim("a", evidence.Holds, 0.01)
	first, second := effect(claim("b", evidence.Holds, 0.01), "accuracy rises by 2", "at equal training loss (0.3)"),
		effect(claim("c", evidence.Holds, 0), "other", "x")
	open := effect(claim("e", evidence.Undecided, 0.3), "GC changes", "at the last step")
	untested := claim("f", evidence.Holds, -1)
	for i, tc := range []struct {
		claims []evidence.Claim
		want   string
	}{
		{[]evidence.Claim{theorem, untested, open, first, second, plain},
			"Accuracy rises by 2, at equal training loss (0.3)."},
		{[]evidence.Claim{untested, open, plain}, "The claim a. Holds: value 0."},
		{[]evidence.Claim{untested, open}, "GC changes, at the last step."},
		{[]evidence.Claim{effect(evidence.Claim{ClaimText: evidence.ClaimText{ID: "d"}, Verdict: evidence.Undecided},
			"GC falls", "at the last step")},
			"GC falls, at the last step; 0 seed(s) cannot decide it, at least 3 are needed."},
		{[]evidence.Claim{theorem, plain}, "The claim a. Holds: value 0."},
		{[]evidence.Claim{theorem}, ""},
	} {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			judged := Judge([]*Folder{folder("01", desk, tc.claims...)})
			if got := judged[0].found(); got != tc.want {
				t.Errorf("%q; want %q", got, tc.want)
			}
		})
	}
}
