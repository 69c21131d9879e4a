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

// Verdicts that only reports use: those of theorems and identities, which runs can only fail to
// refute, and that at a scale that decides nothing.
const (
	NotRefuted evidence.Verdict = "not refuted"
	Refuted    evidence.Verdict = "refuted"
	NoVerdict                   = evidence.NoVerdict
)

// verdicts has all verdicts in the order in which they are shown: failures first.
var verdicts = []evidence.Verdict{Refuted, evidence.DoesNotHold, evidence.Undecided, evidence.Holds, NotRefuted,
	NoVerdict}

// Judged is a folder with its claims, judged together with those of the other folders.
type Judged struct {
	*Folder
	// Decided are the claims with their verdicts, failures first.
	Decided []JudgedClaim
	// Superseded says that another folder has the same experiment at a larger scale that decides.
	// The claims of superseded folders are corrected apart from the others, and not counted.
	Superseded bool
}

// JudgedClaim is a claim with its verdict among all claims shown.
type JudgedClaim struct {
	evidence.Claim
	// Final is the verdict after Holm's correction, or the uncorrected one if there is no p-value.
	Final evidence.Verdict
	// Corrected is the corrected p-value, NaN if there is none.
	Corrected float64
	statistic int // Number of the head among all claims. Claims of one statistic have one head and count once.
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

// superseded returns whether the result is of laptop scale and another folder has the experiment at
// a larger scale.
func (f *Folder) superseded(folders []*Folder) bool {
	return f.Scale == experiment.Laptop && slices.ContainsFunc(folders, func(other *Folder) bool {
		return other.Name == f.Name && other.Scale != experiment.Laptop && other.Scale.Decides()
	})
}

// verdict returns the uncorrected verdict of a claim, in a report's words.
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

// tested returns whether the correction applies to the claim.
func (c JudgedClaim) tested() bool {
	return !c.Proven && c.P != nil && !math.IsNaN(float64(*c.P)) && c.Final != NoVerdict
}

// correct makes verdicts undecided whose corrected p-value is too large.
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

// Alone returns the verdict before the correction if it is another, otherwise "".
func (c JudgedClaim) Alone() evidence.Verdict {
	if c.tested() && c.Final != c.Verdict {
		return c.Verdict
	}
	return ""
}

// PValues returns the p-value and the corrected one as text.
func (c JudgedClaim) PValues() string {
	if math.IsNaN(c.Corrected) {
		return ""
	}
	return fmt.Sprintf("%.2g, corrected %.2g", float64(*c.P), c.Corrected)
}

// Finding describes the claim's effect, and at which point of the training the runs were compared.
func (c JudgedClaim) Finding() string {
	if c.Effect == "" || len(c.Matched) == 0 {
		return c.Summary()
	}
	// The reasons why the effect does not decide the claim come last.
	return c.Effect + ", " + c.Matched[0].Matching + strings.TrimPrefix(c.Summary(), c.Effect)
}

// RankText returns the rank correlation as text, "" if there is none.
func (c JudgedClaim) RankText() string {
	if c.Rank == nil || math.IsNaN(float64(*c.Rank)) {
		return ""
	}
	return fmt.Sprintf("%.2f", float64(*c.Rank))
}

// tally counts claims by their verdicts. Claims of one statistic count once.
type tally struct {
	counts      map[evidence.Verdict]int
	uncorrected map[evidence.Verdict]int // of the empirical ones
	total       int                      // of the empirical ones
	proven      int
	untested    int // that hold, and have no p-value to correct
	refutedToo  int // that do not hold and are not counted, where the counted one of the same statistic does not say so
}

func (t *tally) add(claims []JudgedClaim) {
	if t.counts == nil {
		t.counts, t.uncorrected = map[evidence.Verdict]int{}, map[evidence.Verdict]int{}
	}
	heads := map[int]evidence.Verdict{}
	for _, c := range claims {
		if c.head {
			heads[c.statistic] = c.Final
		}
	}
	for _, c := range claims {
		switch {
		case !c.head && c.Final == evidence.DoesNotHold && heads[c.statistic] != evidence.DoesNotHold:
			t.refutedToo++
		case !c.head || c.Final == NoVerdict:
		case c.Proven:
			t.proven++
			t.counts[provenVerdict(c.Final)]++
		default:
			t.total++
			if c.Final == evidence.Holds && !c.tested() {
				t.untested++
			}
			t.counts[c.Final]++
			t.uncorrected[c.Verdict]++
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

// summary returns the counts of the verdicts in sentences.
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
		sentences = append(sentences, fmt.Sprintf("Of %d empirical claims, after Holm's correction for their number: %s.",
			corrected.total, verdictCounts(corrected.counts)))
		if without := verdictCounts(corrected.uncorrected); without != verdictCounts(corrected.counts) {
			sentences = append(sentences, fmt.Sprintf("Without the correction: %s.", without))
		}
	}
	switch n := corrected.untested; {
	case n == 1:
		sentences = append(sentences, "One that holds has no test to correct: it says that a limit is never exceeded, "+
			"and no run exceeds it.")
	case n > 1:
		sentences = append(sentences, fmt.Sprintf("%d that hold have no test to correct: each says that a limit is never "+
			"exceeded, and no run exceeds it.", n))
	}
	switch n := corrected.refutedToo; {
	case n == 1:
		sentences = append(sentences, "One more does not hold, and is not counted: it shares the statistic of a counted one.")
	case n > 1:
		sentences = append(sentences, fmt.Sprintf("%d more do not hold, and are not counted: they share the statistics of "+
			"counted ones.", n))
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
		sentences = append(sentences, fmt.Sprintf("Of %d claims in results of an older form, whose verdicts are not corrected: %s.",
			older.total, verdictCounts(older.counts)))
	}
	if superseded > 0 {
		sentences = append(sentences, "Laptop-scale results of experiments that a larger scale decides are not counted.")
	}
	if len(sentences) == 0 {
		return "No claim has a verdict yet."
	}
	return strings.Join(sentences, " ")
}

// verdictCounts is a text such as "3 hold, 1 does not hold, 0 undecided".
func verdictCounts(counts map[evidence.Verdict]int) string {
	hold, not := "hold", "do not hold"
	if counts[evidence.Holds] == 1 {
		hold = "holds"
	}
	if counts[evidence.DoesNotHold] == 1 {
		not = "does not hold"
	}
	return fmt.Sprintf("%d %s, %d %s, %d undecided", counts[evidence.Holds], hold, counts[evidence.DoesNotHold], not,
		counts[evidence.Undecided])
}
