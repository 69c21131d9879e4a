package report

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/geometric-complexity/toolkit/experiments/evidence"
	"github.com/geometric-complexity/toolkit/experiments/experiment"
	"github.com/geometric-complexity/toolkit/internal/stats"
)

// The verdicts that a report has beside those of the evidence: on theorems and identities, which
// runs can only fail to refute, and at a scale that decides nothing.
const (
	NotRefuted evidence.Verdict = "not refuted"
	Refuted    evidence.Verdict = "refuted"
	NoVerdict                   = evidence.NoVerdict
)

// verdicts lists all in the order in which they are shown: failures first.
var verdicts = []evidence.Verdict{Refuted, evidence.DoesNotHold, evidence.Undecided, evidence.Holds, NotRefuted,
	NoVerdict}

// marks go before the verdicts, for those who do not see their colour.
var marks = map[evidence.Verdict]string{evidence.Holds: "✔", evidence.DoesNotHold: "✘", evidence.Undecided: "?",
	NotRefuted: "∎", Refuted: "✘", NoVerdict: "–"}

// Mark is a sign for a verdict.
func Mark(v evidence.Verdict) string { return marks[v] }

// Judged is a folder with its claims as they stand beside those of the other folders.
type Judged struct {
	*Folder
	// Decided are the claims with their verdicts, failures first.
	Decided []JudgedClaim
	// Superseded says that another folder has the experiment at a scale that decides more. Its
	// claims are corrected among the superseded ones, and are not counted.
	Superseded bool
}

// JudgedClaim is a claim with the verdict that it has among all claims shown.
type JudgedClaim struct {
	evidence.Claim
	// Final is the verdict after Holm's correction; without one where the claim has no p-value.
	Final evidence.Verdict
	// Corrected is the corrected p-value; NaN where there is none.
	Corrected float64
	statistic int // The claims of one statistic count once: it is the head's number among all claims.
	head      bool
}

// Judge corrects the verdicts of empirical claims for their number. Claims that share a statistic
// count once, and theorems not at all.
func Judge(folders []*Folder) []Judged {
	judged := make([]Judged, len(folders))
	number := 0
	for i, f := range folders {
		judged[i] = Judged{Folder: f, Superseded: f.superseded(folders)}
		for _, c := range f.Claims {
			j := JudgedClaim{Claim: c, Final: f.verdict(c), Corrected: math.NaN(), head: true,
				statistic: number + len(judged[i].Decided)}
			shared := func(other evidence.Claim) bool { return c.Shares != "" && other.ID == c.Shares }
			if head := slices.IndexFunc(f.Claims, shared); head >= 0 {
				j.statistic, j.head = number+head, false
			}
			judged[i].Decided = append(judged[i].Decided, j)
		}
		number += len(f.Claims)
	}
	for _, superseded := range []bool{false, true} {
		var family []*JudgedClaim
		for i := range judged {
			for k := range judged[i].Decided {
				if c := &judged[i].Decided[k]; judged[i].Superseded == superseded && c.tested() {
					family = append(family, c)
				}
			}
		}
		correct(family)
	}
	for i := range judged {
		slices.SortStableFunc(judged[i].Decided, func(a, b JudgedClaim) int {
			return cmp.Compare(slices.Index(verdicts, a.Final), slices.Index(verdicts, b.Final))
		})
	}
	return judged
}

// superseded says whether the result is a first look at what another folder has at a larger scale.
func (f *Folder) superseded(folders []*Folder) bool {
	return f.Scale == experiment.Laptop && slices.ContainsFunc(folders, func(other *Folder) bool {
		return other.Name == f.Name && other.Scale != experiment.Laptop && other.Scale.Decides()
	})
}

// verdict is a claim's own, in the words of a report.
func (f *Folder) verdict(c evidence.Claim) evidence.Verdict {
	switch {
	case !f.Scale.Decides():
		return NoVerdict
	case c.Proven && c.Verdict == evidence.Holds:
		return NotRefuted
	case c.Proven && c.Verdict == evidence.DoesNotHold:
		return Refuted
	}
	return c.Verdict
}

// tested says whether the claim is one of those that the correction is for.
func (c JudgedClaim) tested() bool {
	return !c.Proven && c.P != nil && !math.IsNaN(float64(*c.P)) && c.Final != NoVerdict
}

// correct makes verdicts undecided that the corrected p-values do not bear.
func correct(family []*JudgedClaim) {
	p, statistics := make([]float64, len(family)), make([]int, len(family))
	for i, c := range family {
		p[i], statistics[i] = float64(*c.P), c.statistic
	}
	for i, corrected := range stats.HolmOf(p, statistics) {
		c := family[i]
		if c.Corrected = corrected; corrected > 1-stats.Level {
			c.Final = evidence.Undecided
		}
	}
}

// Alone is the verdict before the correction, where that is another.
func (c JudgedClaim) Alone() evidence.Verdict {
	if c.tested() && c.Final != c.Verdict {
		return c.Verdict
	}
	return ""
}

// PValues says the p-value and the corrected one.
func (c JudgedClaim) PValues() string {
	if math.IsNaN(c.Corrected) {
		return ""
	}
	return fmt.Sprintf("%.2g, corrected %.2g", float64(*c.P), c.Corrected)
}

// Finding is the claim's effect in words, with where the runs were compared.
func (c JudgedClaim) Finding() string {
	if c.Effect == "" || len(c.Matched) == 0 {
		return c.Summary()
	}
	// What keeps it from deciding the claim comes last.
	return c.Effect + ", " + c.Matched[0].Matching + strings.TrimPrefix(c.Summary(), c.Effect)
}

// RankText is the rank correlation; empty where there is none.
func (c JudgedClaim) RankText() string {
	if c.Rank == nil || math.IsNaN(float64(*c.Rank)) {
		return ""
	}
	return fmt.Sprintf("%.2f", float64(*c.Rank))
}

// tally counts claims by their verdicts, those of one statistic once.
type tally struct {
	counts map[evidence.Verdict]int
	total  int // of the empirical ones
	proven int
}

func (t *tally) add(claims []JudgedClaim) {
	if t.counts == nil {
		t.counts = map[evidence.Verdict]int{}
	}
	for _, c := range claims {
		switch {
		case !c.head || c.Final == NoVerdict:
		case c.Proven:
			t.proven++
			t.counts[provenVerdict(c.Final)]++
		default:
			t.total++
			t.counts[c.Final]++
		}
	}
}

// provenVerdict keeps theorems that too few seeds tested out of the undecided claims.
func provenVerdict(v evidence.Verdict) evidence.Verdict {
	if v == Refuted {
		return Refuted
	}
	return NotRefuted
}

// summary counts the verdicts.
func summary(judged []Judged) string {
	var corrected, older tally
	superseded := 0
	for _, j := range judged {
		switch {
		case j.Superseded:
			superseded++
		case j.older():
			older.add(j.Decided)
		default:
			corrected.add(j.Decided)
		}
	}
	var sentences []string
	if corrected.total > 0 {
		sentences = append(sentences, fmt.Sprintf("Of %s, after Holm's correction for their number.",
			corrected.of("empirical claims")))
	}
	if corrected.proven > 0 {
		refuted := "none"
		if n := corrected.counts[Refuted]; n > 0 {
			refuted = fmt.Sprint(n)
		}
		sentences = append(sentences, fmt.Sprintf("The runs refute %s of %d theorems and identities.",
			refuted, corrected.proven))
	}
	if older.total > 0 {
		sentences = append(sentences, "Of "+older.of("claims")+
			"; these are of results of an older form, whose verdicts are not corrected.")
	}
	if superseded > 0 {
		sentences = append(sentences, "First looks at experiments that a larger scale decides are not counted.")
	}
	if len(sentences) == 0 {
		return "No claim is decided here."
	}
	return strings.Join(sentences, " ")
}

func (t tally) of(what string) string {
	return fmt.Sprintf("%d %s %d hold, %d do not hold, and %d are undecided", t.total, what,
		t.counts[evidence.Holds], t.counts[evidence.DoesNotHold], t.counts[evidence.Undecided])
}
