package evidence

import (
	"fmt"
	"math"
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

// relation describes a claim on two values of the same networks over the settings of a sweep.
type relation struct {
	name        string // of the number, such as "rank correlation"
	statistic   string
	c           Criterion
	matchings   []Matching // the first one decides the claim
	coefficient func(x, y []float64) float64
	interval    func(perSeed []float64) stats.Interval
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
	claim := s.relate(text, x, y, relation{"rank correlation", fmt.Sprintf("%s with %s", y.Title, x.Title), c,
		s.Matchings(), stats.Spearman, rankInterval})
	claim.Rank = &claim.Matched[0].Value
	return claim
}

// PowerLaw claims that y follows a power of x over the settings of the sweep, with an exponent that
// meets the criterion. The statistic is the slope of log y in log x by least squares, one for each
// seed. Both values are of the same network, so the last step decides the claim; the results under
// the other matchings are reported with it.
func (s Sweep) PowerLaw(text ClaimText, x, y Column, c Criterion) Claim {
	return s.relate(text, x, y, relation{"exponent", fmt.Sprintf("%s in %s", y.Title, x.Title), c,
		[]Matching{lastStep, s.EqualLoss(), bestStep}, exponent, seedInterval})
}

// exponent returns the slope of log y in log x by least squares. Values that are NaN, or not
// positive, are left out; it is NaN if fewer than two points are left.
func exponent(x, y []float64) float64 {
	var u, v []float64
	for i := range x {
		if x[i] > 0 && y[i] > 0 {
			u, v = append(u, math.Log(x[i])), append(v, math.Log(y[i]))
		}
	}
	return stats.Slope(u, v)
}

// relate decides a claim on a relation.
func (s Sweep) relate(text ClaimText, x, y Column, r relation) Claim {
	var claim Claim
	var others, matched, without = []string(nil), []Matched(nil), ""
	for i, m := range r.matchings {
		xs, ys := s.Rows(m.Of(x.Name)), s.Rows(m.Of(y.Name))
		var perSeed []float64
		for k := range xs {
			if v := r.coefficient(xs[k], ys[k]); stats.Finite(v) {
				perSeed = append(perSeed, v)
			}
		}
		interval := r.interval(perSeed)
		at := meanClaim(text, r.name+" of "+r.statistic, perSeed, interval, r.c, "")
		effect := fmt.Sprintf("%.2f %s", float64(at.Value), interval)
		matched = append(matched, Matched{Matching: m.Name, Effect: effect, Value: at.Value, Interval: at.Interval,
			Verdict: at.Verdict})
		if i == 0 {
			claim, without = at, lacking(len(perSeed), interval)
			claim.Effect = fmt.Sprintf("%s of %s: %s over %d settings", r.name, r.statistic, effect, len(s.Records))
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
	claim.Evidence += without
	return claim
}
