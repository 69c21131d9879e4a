package evidence

import (
	"fmt"
	"math"
	"strings"

	"github.com/geometric-complexity/toolkit/experiments/runs"
	"github.com/geometric-complexity/toolkit/internal/stats"
)

// Direction is the claimed direction of a trend along an axis.
type Direction int

// The directions.
const (
	Falls Direction = iota
	Rises
)

// scale says how values are compared: GC spans orders of magnitude, accuracy does not.
type scale int

const (
	factors     scale = iota // by their logarithms, so that effects are factors
	differences              // directly
)

// Places maps the axis values to positions from 0 for the first to 1 for the last: linearly in
// their logarithm or, if the axis starts at 0, linearly in their index.
func (a Axis) Places() []float64 {
	n := len(a.Values)
	places := make([]float64, n)
	for i, v := range a.Values {
		if a.Values[0] > 0 {
			places[i] = math.Log(v/a.Values[0]) / math.Log(a.Values[n-1]/a.Values[0])
		} else {
			places[i] = float64(i) / float64(n-1)
		}
	}
	return places
}

// GCTrend claims that GC moves along the axis. The effect for each seed is the factor from the
// first value to the last, by least squares on log GC. Equal training loss decides the claim; the
// results under the other matchings are reported with it.
func (s Sweep) GCTrend(text ClaimText, name string, d Direction) Claim {
	return s.trendClaim(text, "GC", name, d, factors)
}

// AccuracyTrend claims that the test accuracy moves along the axis. The effect for each seed is the
// difference from the first value to the last, by least squares. It is decided as GCTrend is.
func (s Sweep) AccuracyTrend(text ClaimText, d Direction) Claim {
	return s.trendClaim(text, "test accuracy", "test_accuracy", d, differences)
}

func (s Sweep) trendClaim(text ClaimText, what, name string, d Direction, sc scale) Claim {
	var claim Claim
	var others, disagreeing []string
	for i, m := range s.Matchings() {
		rows := s.Rows(m.Of(name))
		c := RowsTrend(text, what, s.Axis, rows, d, sc == factors, m.Name)
		if i == 0 {
			claim = c
		} else {
			others = append(others, fmt.Sprintf("%s: %s (%s)", m.Name, c.Matched[0].Effect, c.Verdict))
			claim.Matched = append(claim.Matched, c.Matched...)
		}
		if c.Verdict != claim.Verdict {
			disagreeing = append(disagreeing, fmt.Sprintf("%s %s", c.Verdict.predicate(), m.Name))
		}
	}
	if len(disagreeing) > 0 {
		claim.Evidence += "; the matchings disagree: it " + strings.Join(disagreeing, ", and ")
	}
	claim.Evidence += "; " + strings.Join(others, "; ")
	if left := s.LeftOut(); left != "" {
		claim.Evidence += "; " + left
	}
	return claim
}

// LeftOut counts in words the runs that the statistics exclude.
func (s Sweep) LeftOut() string { return leftOut(s.Records) }

func leftOut(all [][]*runs.Record) string {
	diverged, dead := 0, 0
	seen := make(map[*runs.Record]bool) // A run may be in several rows.
	for _, records := range all {
		for _, r := range records {
			if seen[r] {
				continue
			}
			seen[r] = true
			switch {
			case r.Status == runs.Diverged:
				diverged++
			case r.Dead:
				dead++
			}
		}
	}
	var texts []string
	if diverged > 0 {
		texts = append(texts, fmt.Sprintf("%d diverged run(s)", diverged))
	}
	if dead > 0 {
		texts = append(texts, fmt.Sprintf("%d run(s) that ended at chance", dead))
	}
	if len(texts) == 0 {
		return ""
	}
	return "left out: " + strings.Join(texts, " and ")
}

// RowsTrend claims that values, a row for each seed, move along the axis. With inFactors their
// logarithms are compared. The argument where names the matching of the values.
func RowsTrend(text ClaimText, what string, a Axis, rows [][]float64, d Direction, inFactors bool, where string) Claim {
	var slopes, ranks []float64
	for _, row := range rows {
		y := row
		if inFactors {
			y = make([]float64, len(row))
			for i, v := range row {
				if y[i] = math.Log(v); !stats.Finite(y[i]) {
					y[i] = math.NaN()
				}
			}
		}
		if slope := stats.Slope(a.Places(), y); !math.IsNaN(slope) {
			slopes = append(slopes, slope)
			ranks = append(ranks, stats.Spearman(a.Values, y))
		}
	}
	interval := seedInterval(slopes)
	mean, _ := stats.MeanStd(slopes)
	rank, _ := stats.MeanStd(ranks)
	e := effect{what: what, axis: a, d: d}
	value, perSeed := mean, slopes
	neutral, statistic := 0.0, "change of "+what+" from the first to the last "+a.Name
	p := stats.SeedTest(slopes, 0)
	if inFactors {
		neutral, statistic = 1, "factor of "+what+" from the first to the last "+a.Name
		value, perSeed = math.Exp(mean), make([]float64, len(slopes))
		for i, v := range slopes {
			perSeed[i] = math.Exp(v)
		}
		interval.Lo, interval.Hi = math.Exp(interval.Lo), math.Exp(interval.Hi)
	}
	e.value, e.interval, e.inFactors = value, interval, inFactors
	c := Below(neutral)
	if d == Rises {
		c = Above(neutral)
	}
	claim := newClaim(text, statistic, value, perSeed, interval, c, "")
	claim.P = pValue(p)
	rankCorrelation := runs.Number(rank)
	claim.Rank = &rankCorrelation
	claim.Effect = e.String()
	claim.Matched = []Matched{{Matching: where, Effect: e.short(), Value: claim.Value, Interval: claim.Interval,
		Verdict: claim.Verdict}}
	claim.Evidence = fmt.Sprintf("%s, %s; rank correlation %.2f", claim.Effect, where, rank)
	claim.Evidence += lacking(len(perSeed), interval)
	return claim
}

// effect describes the size of a trend in words.
type effect struct {
	what      string
	axis      Axis
	d         Direction
	value     float64
	interval  stats.Interval
	inFactors bool
}

// String is a sentence, such as "GC falls by a factor of 2.3 [1.9, 2.8] from learning rate 0.02 to
// 0.2".
func (e effect) String() string {
	ends := fmt.Sprintf("from %s %g to %g", e.axis.Name, e.axis.Values[0], e.axis.Values[len(e.axis.Values)-1])
	return fmt.Sprintf("%s %s %s", e.what, e.short(), ends)
}

// short omits the quantity and the ends of the axis.
func (e effect) short() string {
	if math.IsNaN(e.value) {
		return "has no measured change"
	}
	if !e.inFactors {
		if e.interval.Hi < 0 {
			return fmt.Sprintf("falls by %.3g %s", -e.value, stats.Interval{Lo: -e.interval.Hi, Hi: -e.interval.Lo})
		}
		if e.interval.Lo > 0 {
			return fmt.Sprintf("rises by %.3g %s", e.value, e.interval)
		}
		return fmt.Sprintf("changes by %+.3g %s", e.value, e.interval)
	}
	if e.interval.Hi < 1 {
		return fmt.Sprintf("falls by a factor of %.3g %s", 1/e.value,
			stats.Interval{Lo: 1 / e.interval.Hi, Hi: 1 / e.interval.Lo})
	}
	if e.interval.Lo > 1 {
		return fmt.Sprintf("rises by a factor of %.3g %s", e.value, e.interval)
	}
	return fmt.Sprintf("changes by a factor of %.3g %s", e.value, e.interval)
}
