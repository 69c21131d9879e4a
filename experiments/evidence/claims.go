package evidence

import (
	"fmt"
	"math"
	"slices"

	"github.com/geometric-complexity/toolkit/experiments/runs"
	"github.com/geometric-complexity/toolkit/internal/stats"
)

// ClaimText is a claim as stated before any run: its ID and its text.
type ClaimText struct {
	ID   string `json:"id"`
	Text string `json:"claim"`
	// Proven is set for theorems and identities, which the runs can only fail to refute.
	Proven bool `json:"proven,omitempty"`
	// Shares is the ID of another claim of the experiment that the same statistic decides with
	// another limit: corrections for multiple tests count the two once.
	Shares string `json:"shares,omitempty"`
}

// Verdict is the decision on a claim.
type Verdict string

const (
	Holds       Verdict = "holds"
	DoesNotHold Verdict = "does not hold"
	Undecided   Verdict = "undecided"
	// NoVerdict stands for every claim at a scale that is too small to decide claims.
	NoVerdict Verdict = "no verdict"
)

// predicate returns the verdict as it follows "it".
func (v Verdict) predicate() string {
	if v == Undecided {
		return "is undecided"
	}
	return string(v)
}

// MinSeeds is the smallest number of seeds that can decide a claim.
const MinSeeds = 3

// Claim is one statement of the paper with the evidence for or against it.
type Claim struct {
	ClaimText
	Evidence  string          `json:"evidence"`  // one line, for people
	Statistic string          `json:"statistic"` // what Value is
	Value     runs.Number     `json:"value"`
	Interval  *stats.Interval `json:"interval,omitempty"` // of Value, over seeds
	PerSeed   []runs.Number   `json:"per_seed,omitempty"`
	Criterion string          `json:"criterion"` // when the claim holds
	Verdict   Verdict         `json:"verdict"`
	// P is the two-sided p-value of the null hypothesis that the statistic equals the criterion's
	// limit, or the nearer of two limits; nil if there is no test, as for a theorem.
	P *runs.Number `json:"p,omitempty"`
	// Effect describes a trend in words; Rank is its mean rank correlation over the seeds.
	Effect string       `json:"effect,omitempty"`
	Rank   *runs.Number `json:"rank_correlation,omitempty"`
	// Matched has the trend under each matching of the runs; the first one decides the claim.
	Matched []Matched `json:"matchings,omitempty"`
}

// Matched is a trend under one matching of the runs.
type Matched struct {
	Matching string          `json:"matching"`
	Effect   string          `json:"effect"`
	Value    runs.Number     `json:"value"`
	Interval *stats.Interval `json:"interval,omitempty"`
	Verdict  Verdict         `json:"verdict"`
}

// Summary returns the statistic with its interval and, if there are too few seeds for a verdict,
// says so.
func (c Claim) Summary() string {
	if (c.Verdict == Undecided || c.Verdict == NoVerdict) && len(c.PerSeed) < MinSeeds {
		return c.finding() + "; " + tooFewSeeds(len(c.PerSeed))
	}
	return c.finding()
}

// WithoutVerdicts returns the claims as a scale that decides nothing shows them: with their
// statistics, and without a verdict.
func WithoutVerdicts(claims []Claim) []Claim {
	shown := slices.Clone(claims)
	for i, c := range shown {
		shown[i].Evidence, shown[i].Verdict, shown[i].Matched = c.Summary(), NoVerdict, slices.Clone(c.Matched)
		for k := range shown[i].Matched {
			shown[i].Matched[k].Verdict = NoVerdict
		}
	}
	return shown
}

// finding describes the statistic with its interval in words.
func (c Claim) finding() string {
	if c.Effect != "" {
		return c.Effect
	}
	text := fmt.Sprintf("%s %.3g", c.Statistic, float64(c.Value))
	if c.Interval != nil {
		text += fmt.Sprintf(", %.0f %% %s interval %s", 100*c.Interval.Level, c.Interval.Method, c.Interval)
	}
	return text
}

func tooFewSeeds(n int) string {
	return fmt.Sprintf("%d seed(s) cannot decide it, at least %d are needed", n, MinSeeds)
}

// lacking says in words why so many seeds with this interval cannot decide a claim; empty if they
// can.
func lacking(seeds int, interval stats.Interval) string {
	switch {
	case seeds < MinSeeds:
		return "; " + tooFewSeeds(seeds)
	case interval.Method == stats.SignTest && math.IsNaN(interval.Lo):
		return fmt.Sprintf("; %d seeds that all give the same value cannot decide it", seeds)
	}
	return ""
}

// Criterion is the region that a statistic must lie in for a claim to hold.
type Criterion struct {
	lo, hi float64
	text   string
}

// Below requires an interval below a limit.
func Below(limit float64) Criterion {
	return Criterion{math.Inf(-1), limit, fmt.Sprintf("interval below %.4g", limit)}
}

// Above requires an interval above a limit.
func Above(limit float64) Criterion {
	return Criterion{limit, math.Inf(1), fmt.Sprintf("interval above %.4g", limit)}
}

// Between requires an interval between two limits.
func Between(lo, hi float64) Criterion {
	return Criterion{lo, hi, fmt.Sprintf("interval within [%g, %g]", lo, hi)}
}

// decide compares the interval with the region: the claim holds if the interval lies inside, does
// not hold if it lies outside, and is undecided if it crosses the edge or if there are fewer than
// MinSeeds seeds.
func (c Criterion) decide(interval stats.Interval, seeds int) Verdict {
	switch {
	case seeds < MinSeeds || math.IsNaN(interval.Lo) || math.IsNaN(interval.Hi):
		return Undecided
	case interval.Lo > c.lo && interval.Hi < c.hi:
		return Holds
	case interval.Hi < c.lo || interval.Lo > c.hi:
		return DoesNotHold
	default:
		return Undecided
	}
}

// p returns the two-sided p-value of the null hypothesis that the values' mean equals the limit, or
// the nearer of two limits.
func (c Criterion) p(perSeed []float64) float64 {
	largest := math.NaN()
	for _, limit := range []float64{c.lo, c.hi} {
		if !math.IsInf(limit, 0) {
			largest = maxNaN(largest, stats.SeedTest(perSeed, limit))
		}
	}
	return largest
}

func pValue(p float64) *runs.Number {
	if math.IsNaN(p) {
		return nil
	}
	n := runs.Number(p)
	return &n
}

// newClaim decides a claim whose statistic has one value per seed and an interval over seeds. The
// evidence is the statistic with its interval, followed by more if that is not empty.
func newClaim(text ClaimText, statistic string, value float64, perSeed []float64, interval stats.Interval, c Criterion,
	more string) Claim {
	claim := Claim{ClaimText: text, Statistic: statistic, P: pValue(c.p(perSeed)), Value: runs.Number(value),
		PerSeed:   runs.Numbers(perSeed),
		Criterion: c.text, Verdict: c.decide(interval, len(perSeed))}
	if !math.IsNaN(interval.Lo) && !math.IsNaN(interval.Hi) {
		claim.Interval = &interval
	}
	claim.Evidence = claim.finding()
	if more != "" {
		claim.Evidence += "; " + more
	}
	claim.Evidence += lacking(len(perSeed), interval)
	return claim
}

// RankClaim decides a claim on the rank correlation of two quantities, one for each seed.
func RankClaim(text ClaimText, of string, perSeed []float64, c Criterion, more string) Claim {
	return meanClaim(text, "rank correlation of "+of, perSeed, rankInterval(perSeed), c, more)
}

// seedInterval is the interval of the mean over the seeds.
func seedInterval(perSeed []float64) stats.Interval { return stats.SeedInterval(perSeed, stats.Level) }

// rankInterval is that of rank correlations. Student's t knows no bounds, a correlation has those
// of -1 and 1.
func rankInterval(perSeed []float64) stats.Interval {
	i := seedInterval(perSeed)
	i.Lo, i.Hi = max(i.Lo, -1), min(i.Hi, 1) // NaN stays.
	return i
}

// meanClaim decides a claim on the mean of a quantity with one value for each seed.
func meanClaim(text ClaimText, statistic string, perSeed []float64, interval stats.Interval, c Criterion,
	more string) Claim {
	mean, _ := stats.MeanStd(perSeed)
	return newClaim(text, statistic, mean, perSeed, interval, c, more)
}

// counted returns the values without NaN, those of seeds whose runs do not count.
func counted(perSeed []float64) []float64 {
	return slices.DeleteFunc(slices.Clone(perSeed), math.IsNaN)
}

// FactorClaim decides a claim on a factor, one for each seed; seeds with NaN do not count. The mean
// and interval are computed on the logarithms.
func FactorClaim(text ClaimText, statistic string, perSeed []float64, c Criterion, more string) Claim {
	perSeed = counted(perSeed)
	logs := make([]float64, len(perSeed))
	for i, v := range perSeed {
		logs[i] = math.Log(v)
	}
	mean, _ := stats.MeanStd(logs)
	interval := seedInterval(logs)
	interval.Lo, interval.Hi = math.Exp(interval.Lo), math.Exp(interval.Hi)
	claim := newClaim(text, statistic, math.Exp(mean), perSeed, interval, c, more)
	claim.P = pValue(Criterion{lo: math.Log(max(0, c.lo)), hi: math.Log(c.hi)}.p(logs))
	return claim
}

// RatioClaim decides a claim on a quantity with one value per seed; seeds with NaN do not count.
func RatioClaim(text ClaimText, statistic string, perSeed []float64, c Criterion, more string) Claim {
	perSeed = counted(perSeed)
	return meanClaim(text, statistic, perSeed, seedInterval(perSeed), c, more)
}

// DifferenceClaim decides a claim on a paired difference.
func DifferenceClaim(text ClaimText, statistic string, d stats.Difference, c Criterion, more string) Claim {
	return newClaim(text, statistic, d.Mean, d.PerSeed, d.Interval, c, more)
}

// LimitClaim decides a claim that a quantity never exceeds a limit, from each seed's largest value.
// A single value above the limit refutes the claim, so there is no interval. A seed with NaN leaves
// it undecided, unless another one refutes it.
func LimitClaim(text ClaimText, statistic string, perSeed []float64, limit float64, more string) Claim {
	largest, c := math.Inf(-1), Criterion{text: fmt.Sprintf("no value above %.10g", limit)}
	for _, v := range perSeed {
		if !math.IsNaN(v) {
			largest = max(largest, v)
		}
	}
	if largest <= limit && slices.ContainsFunc(perSeed, math.IsNaN) {
		largest = math.NaN()
	}
	none := stats.Interval{Lo: math.NaN(), Hi: math.NaN()}
	claim := newClaim(text, statistic, largest, perSeed, none, c, more)
	claim.P = nil
	switch {
	case largest > limit:
		claim.Verdict = DoesNotHold
	case largest <= limit && len(perSeed) >= MinSeeds:
		claim.Verdict = Holds
	}
	return claim
}
