package evidence

import (
	"fmt"
	"strings"

	"github.com/geometric-complexity/toolkit/experiments/runs"
	"github.com/geometric-complexity/toolkit/internal/stats"
)

// Pool returns the settings of several sweeps as one sweep, each setting once. Its axis only
// numbers them.
func Pool(sweeps ...Sweep) Sweep {
	pool := Sweep{Axis: Axis{Name: "setting"}}
	listed := make(map[*runs.Record]bool)
	for _, s := range sweeps {
		for i, records := range s.Records {
			if first := records[0]; !listed[first] {
				listed[first] = true
				pool.Values = append(pool.Values, float64(len(pool.Values)))
				pool.Cells = append(pool.Cells, s.Cells[i])
				pool.Records = append(pool.Records, records)
			}
		}
	}
	return pool
}

// Association claims that y rises with x over the settings of the sweep, or falls. The statistic is
// Spearman's rank correlation, one for each seed, so that the claim does not depend on the units
// and not on the differences between seeds. Equal training loss decides the claim; the results
// under the other matchings are reported with it.
func (s Sweep) Association(text ClaimText, x, y Column, d Direction) Claim {
	c := Above(0)
	if d == Falls {
		c = Below(0)
	}
	statistic := fmt.Sprintf("%s with %s", y.Title, x.Title)
	var claim Claim
	var others, matched = []string(nil), []Matched(nil)
	for i, m := range s.Matchings() {
		xs, ys := s.Rows(m.Of(x.Name)), s.Rows(m.Of(y.Name))
		var perSeed []float64
		for k := range xs {
			if rank := stats.Spearman(xs[k], ys[k]); stats.Finite(rank) {
				perSeed = append(perSeed, rank)
			}
		}
		at := RankClaim(text, statistic, perSeed, c, "")
		effect := fmt.Sprintf("%.2f %s", float64(at.Value), stats.TInterval(perSeed, stats.Level))
		matched = append(matched, Matched{Matching: m.Name, Effect: effect, Value: at.Value, Interval: at.Interval,
			Verdict: at.Verdict})
		if i == 0 {
			claim = at
			claim.Effect = fmt.Sprintf("rank correlation of %s: %s over %d settings", statistic, effect, len(s.Records))
			claim.Rank = &matched[0].Value
			claim.Evidence = claim.Effect + ", " + m.Name
		} else {
			others = append(others, fmt.Sprintf("%s: %s (%s)", m.Name, effect, at.Verdict))
		}
	}
	claim.Matched = matched
	claim.Evidence += "; " + strings.Join(others, "; ")
	if left := s.LeftOut(); left != "" {
		claim.Evidence += "; " + left
	}
	if len(claim.PerSeed) < MinSeeds {
		claim.Evidence += "; " + tooFewSeeds(len(claim.PerSeed))
	}
	return claim
}
