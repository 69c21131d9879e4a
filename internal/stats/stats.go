// Package stats holds the statistics that decide the experiments' claims: rank correlation over a
// sweep, paired differences, and their confidence intervals over a few seeds. The distributions and
// quantiles are gonum's.
package stats

import (
	"cmp"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"gonum.org/v1/gonum/stat"
	"gonum.org/v1/gonum/stat/distuv"
)

// Level is the coverage, 95 %, of the intervals of functions without a parameter for it.
const Level = 0.95

// resamples is the number of random bootstrap samples if there are too many to enumerate. At 10,000
// the noise of the quantiles is about 1 % of the interval's width.
const resamples = 10000

// maxListed is the largest number of values whose resamples are all enumerated (5^5 = 3,125)
// instead of drawn, so that the interval has no Monte Carlo noise.
const maxListed = 5

// Interval is a confidence interval of a mean over seeds.
type Interval struct {
	Lo     float64 `json:"lo"`
	Hi     float64 `json:"hi"`
	Level  float64 `json:"level"`  // coverage, such as 0.95
	Method string  `json:"method"` // "t", SignTest or "bootstrap"
}

// SignTest is the method of the intervals of equal values.
const SignTest = "sign test"

// String formats the interval as [lo, hi] with three significant digits, or says that there is
// none.
func (i Interval) String() string {
	if math.IsNaN(i.Lo) || math.IsNaN(i.Hi) {
		return "[no interval]"
	}
	return fmt.Sprintf("[%.3g, %.3g]", i.Lo, i.Hi)
}

// Ranks returns the rank of each value, 1 for the smallest; equal values share the mean of their
// ranks.
func Ranks(values []float64) []float64 {
	order := make([]int, len(values))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int {
		switch {
		case values[a] < values[b]:
			return -1
		case values[a] > values[b]:
			return 1
		}
		return 0
	})
	ranks := make([]float64, len(values))
	for i := 0; i < len(order); {
		j := i
		for j < len(order) && values[order[j]] == values[order[i]] {
			j++
		}
		for _, k := range order[i:j] {
			ranks[k] = float64(i+j+1) / 2
		}
		i = j
	}
	return ranks
}

// Spearman returns Spearman's rank correlation of x and y: Pearson's correlation of their ranks;
// equal values share the mean of their ranks. It leaves out pairs with a NaN. The result is NaN for
// fewer than two pairs, and if all x or all y are equal. It panics if the lengths differ.
func Spearman(x, y []float64) float64 {
	if len(x) != len(y) {
		panic(fmt.Sprintf("stats: Spearman needs x and y of one length, got %d and %d", len(x), len(y)))
	}
	var a, b []float64
	for i := range x {
		if !math.IsNaN(x[i]) && !math.IsNaN(y[i]) {
			a, b = append(a, x[i]), append(b, y[i])
		}
	}
	if len(a) < 2 {
		return math.NaN()
	}
	rho := stat.Correlation(Ranks(a), Ranks(b), nil)
	// Rounding can put the correlation of equal ranks a few ulps beyond 1.
	return max(-1, min(1, rho))
}

// Kendall returns Kendall's rank correlation τ-b of x and y: the pairs of positions that x and y
// order alike minus those that they order differently, over the root of the pairs that x orders
// times those that y orders. It leaves out positions with a NaN. The result is NaN if all x or all
// y are equal. It panics if the lengths differ.
//
// gonum's Kendall is τ-a, and counts pairs of equal values as ordered.
func Kendall(x, y []float64) float64 {
	if len(x) != len(y) {
		panic(fmt.Sprintf("stats: Kendall needs x and y of one length, got %d and %d", len(x), len(y)))
	}
	var both, byX, byY float64
	for i := range x {
		for j := range i {
			a, b := cmp.Compare(x[i], x[j]), cmp.Compare(y[i], y[j])
			if math.IsNaN(x[i]+x[j]) || math.IsNaN(y[i]+y[j]) {
				continue
			}
			both += float64(a * b)
			byX, byY = byX+float64(a*a), byY+float64(b*b)
		}
	}
	return both / math.Sqrt(byX*byY)
}

// PartialKendall returns Kendall's partial rank correlation of x and y given z: what is left of τ-b
// if the part that their correlations with z explain is taken away,
//
//	(τ_xy - τ_xz·τ_yz) / √((1 - τ_xz²)·(1 - τ_yz²)).
//
// It leaves out positions with a NaN in any of the three. The result is NaN where one of the
// correlations is, and if z orders the positions exactly as x or y does. It panics if the lengths
// differ.
func PartialKendall(x, y, z []float64) float64 {
	if len(x) != len(y) || len(x) != len(z) {
		panic(fmt.Sprintf("stats: PartialKendall needs x, y and z of one length, got %d, %d and %d", len(x), len(y), len(z)))
	}
	var a, b, c []float64
	for i := range x {
		if !math.IsNaN(x[i]) && !math.IsNaN(y[i]) && !math.IsNaN(z[i]) {
			a, b, c = append(a, x[i]), append(b, y[i]), append(c, z[i])
		}
	}
	xy, xz, yz := Kendall(a, b), Kendall(a, c), Kendall(b, c)
	rest := (1 - xz*xz) * (1 - yz*yz)
	if rest < 1e-12 { // But for rounding, 0.
		return math.NaN()
	}
	return (xy - xz*yz) / math.Sqrt(rest)
}

// maxPermuted is the largest number of pairs of which SpearmanTest enumerates all orders (8! is
// 40,320).
const maxPermuted = 8

// SpearmanTest returns the two-sided p-value of Spearman's rank correlation by permutation: the
// fraction of the orders of y whose correlation with x is at least as far from 0. It enumerates all
// orders of up to eight pairs; of more it draws 10,000 from a fixed seed, and counts the order of
// the data as one more, so that the value is not 0. It leaves out pairs with a NaN, and is NaN
// where Spearman is.
func SpearmanTest(x, y []float64) float64 {
	rho := Spearman(x, y)
	if math.IsNaN(rho) {
		return rho
	}
	var a, b []float64
	for i := range x {
		if !math.IsNaN(x[i]) && !math.IsNaN(y[i]) {
			a, b = append(a, x[i]), append(b, y[i])
		}
	}
	ranks, permuted := Ranks(a), Ranks(b)
	as, all := 0, 0
	count := func() {
		all++
		if math.Abs(stat.Correlation(ranks, permuted, nil)) >= math.Abs(rho)-1e-9 { // But for rounding.
			as++
		}
	}
	if len(a) <= maxPermuted {
		permute(permuted, 0, count)
		return float64(as) / float64(all)
	}
	rng := rand.New(rand.NewPCG(1, 0x9e3779b97f4a7c15))
	count()
	for range resamples {
		rng.Shuffle(len(permuted), func(i, j int) { permuted[i], permuted[j] = permuted[j], permuted[i] })
		count()
	}
	return float64(as) / float64(all)
}

// permute calls visit for every order of the values from first on, and restores their order.
func permute(values []float64, first int, visit func()) {
	if first == len(values) {
		visit()
		return
	}
	for i := first; i < len(values); i++ {
		values[first], values[i] = values[i], values[first]
		permute(values, first+1, visit)
		values[first], values[i] = values[i], values[first]
	}
}

// SeedInterval returns the interval of the mean of values, one for each seed: TInterval's, unless
// all values are equal. Rank correlations of a few settings take few values and may agree by
// chance, so that their spread is not 0. The interval of equal values is that of the sign test,
// both ends being their value, where there are enough of them for the level (six for 0.95). For
// fewer both ends are NaN.
func SeedInterval(perSeed []float64, level float64) Interval {
	v, equal := equalValue(perSeed)
	if !equal {
		return TInterval(perSeed, level)
	}
	if signTest(len(perSeed)) > 1-level {
		v = math.NaN()
	}
	return Interval{Lo: v, Hi: v, Level: level, Method: SignTest}
}

// SeedTest returns the two-sided p-value of the hypothesis that values, one for each seed, have
// this mean: TTest's, unless all values are equal. Then it is that of the sign test, as in
// SeedInterval: 1 if the values equal the mean, and 2^(1-n) otherwise.
func SeedTest(perSeed []float64, mean float64) float64 {
	v, equal := equalValue(perSeed)
	switch {
	case !equal:
		return TTest(perSeed, mean)
	case v == mean:
		return 1
	}
	return signTest(len(perSeed))
}

// TInterval returns Student's t interval of the values' mean. It assumes that the values are
// independent and normal. Both ends are NaN for fewer than two values.
func TInterval(values []float64, level float64) Interval {
	mean, sd := stat.MeanStdDev(values, nil)
	half := TFactor(len(values), level) * sd / math.Sqrt(float64(len(values)))
	return Interval{Lo: mean - half, Hi: mean + half, Level: level, Method: "t"}
}

// rounding is the largest relative difference of values that count as equal: the same correlation
// of other ranks differs by that much.
const rounding = 1e-12

// equalValue returns the first value, and whether there are two or more and all equal it but for
// rounding.
func equalValue(values []float64) (v float64, ok bool) {
	if len(values) < 2 {
		return math.NaN(), false
	}
	v = values[0]
	for _, other := range values {
		if !(math.Abs(other-v) <= rounding*math.Abs(v)) {
			return v, false
		}
	}
	return v, true
}

// signTest is the two-sided p-value of the hypothesis that n values lie on either side of a number
// with equal probability, if all of them lie on one side.
func signTest(n int) float64 { return math.Pow(2, float64(1-n)) }

// TFactor returns the half-width, in standard errors, of Student's t interval of the mean of n
// values. It is NaN for fewer than two values and for a level that is not between 0 and 1.
func TFactor(n int, level float64) float64 {
	if n < 2 || !(level > 0 && level < 1) {
		return math.NaN()
	}
	return distuv.StudentsT{Mu: 0, Sigma: 1, Nu: float64(n - 1)}.Quantile((1 + level) / 2)
}

// Bootstrap returns the percentile bootstrap interval of the values' mean. For up to five values it
// enumerates all resamples; for more it draws 10,000 from the seed. The interval is never wider
// than the range of the values, so that it is optimistic for three seeds; TInterval is the cautious
// choice. Both ends are NaN without values.
func Bootstrap(values []float64, level float64, seed uint64) Interval {
	out := Interval{Lo: math.NaN(), Hi: math.NaN(), Level: level, Method: "bootstrap"}
	n := len(values)
	if n == 0 {
		return out
	}
	var means []float64
	if n <= maxListed {
		means = allResampledMeans(values)
	} else {
		rng := rand.New(rand.NewPCG(seed, 0x9e3779b97f4a7c15))
		means = make([]float64, resamples)
		for i := range means {
			var sum float64
			for range n {
				sum += values[rng.IntN(n)]
			}
			means[i] = sum / float64(n)
		}
	}
	slices.Sort(means)
	out.Lo = stat.Quantile((1-level)/2, stat.Empirical, means, nil)
	out.Hi = stat.Quantile((1+level)/2, stat.Empirical, means, nil)
	return out
}

// allResampledMeans returns the means of all n^n ordered resamples of n values.
func allResampledMeans(values []float64) []float64 {
	n := len(values)
	total := 1
	for range n {
		total *= n
	}
	means := make([]float64, total)
	for i := range means {
		var sum float64
		for k, digits := 0, i; k < n; k, digits = k+1, digits/n {
			sum += values[digits%n]
		}
		means[i] = sum / float64(n)
	}
	return means
}

// Monotone is the evidence over seeds that y rises or falls with x.
type Monotone struct {
	Rho      float64   `json:"rho"`      // mean of PerSeed
	PerSeed  []float64 `json:"per_seed"` // Spearman's correlation of each seed's sweep
	Interval Interval  `json:"interval"` // bootstrap over seeds
}

// RankTrend computes Spearman's correlation of x with each seed's row of perSeed, the mean of the
// correlations, and its bootstrap interval over seeds. It leaves out NaN values (diverged runs),
// and seeds whose correlation is NaN.
func RankTrend(x []float64, perSeed [][]float64) Monotone {
	var m Monotone
	for _, y := range perSeed {
		if rho := Spearman(x, y); !math.IsNaN(rho) {
			m.PerSeed = append(m.PerSeed, rho)
		}
	}
	m.Interval = Bootstrap(m.PerSeed, Level, 1)
	m.Rho = math.NaN()
	if len(m.PerSeed) > 0 {
		m.Rho = stat.Mean(m.PerSeed, nil)
	}
	return m
}

// Difference is the evidence for a comparison of two treatments that share their seeds.
type Difference struct {
	Mean      float64   `json:"mean"`     // mean over seeds of a - b
	PerSeed   []float64 `json:"per_seed"` // a - b of each seed
	T         Interval  `json:"t"`
	Bootstrap Interval  `json:"bootstrap"`
}

// Paired compares a with b seed by seed. It leaves out pairs with a NaN, and panics if the lengths
// differ.
func Paired(a, b []float64) Difference {
	if len(a) != len(b) {
		panic(fmt.Sprintf("stats: Paired needs a and b of one length, got %d and %d", len(a), len(b)))
	}
	d := Difference{Mean: math.NaN()}
	for i := range a {
		if diff := a[i] - b[i]; !math.IsNaN(diff) {
			d.PerSeed = append(d.PerSeed, diff)
		}
	}
	if len(d.PerSeed) > 0 {
		d.Mean = stat.Mean(d.PerSeed, nil)
	}
	d.T = TInterval(d.PerSeed, Level)
	d.Bootstrap = Bootstrap(d.PerSeed, Level, 1)
	return d
}

// MeanStd returns the mean and the sample standard deviation (divisor n-1) of the values that are
// not NaN. The deviation is NaN for one value; both are NaN for none.
func MeanStd(values []float64) (mean, std float64) {
	finite := slices.DeleteFunc(slices.Clone(values), math.IsNaN)
	switch len(finite) {
	case 0:
		return math.NaN(), math.NaN()
	case 1:
		return finite[0], math.NaN()
	}
	return stat.MeanStdDev(finite, nil)
}

// RelativeError returns |got-want| / |want|, and |got| where want is 0.
func RelativeError(got, want float64) float64 {
	if want == 0 {
		return math.Abs(got)
	}
	return math.Abs(got-want) / math.Abs(want)
}

// Finite reports whether a value is neither NaN nor infinite.
func Finite(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) }

// Slope returns the slope of the least-squares line through (x, y). It leaves out pairs with a NaN.
// The slope is NaN for fewer than two different values of x. Slope panics if the lengths differ.
func Slope(x, y []float64) float64 {
	if len(x) != len(y) {
		panic(fmt.Sprintf("stats: Slope needs x and y of one length, got %d and %d", len(x), len(y)))
	}
	var a, b []float64
	for i := range x {
		if !math.IsNaN(x[i]) && !math.IsNaN(y[i]) {
			a, b = append(a, x[i]), append(b, y[i])
		}
	}
	if len(a) < 2 || slices.Min(a) == slices.Max(a) {
		return math.NaN()
	}
	_, slope := stat.LinearRegression(a, b, nil, false)
	return slope
}

// TTest returns the two-sided p-value of Student's t test of the hypothesis that the values come
// from a normal distribution with this mean. It assumes that the values are independent. It is NaN
// for fewer than two values. If all values are equal it is 1 if they equal the mean, and 0
// otherwise.
func TTest(values []float64, mean float64) float64 {
	n := float64(len(values))
	if n < 2 {
		return math.NaN()
	}
	m, sd := stat.MeanStdDev(values, nil)
	return twoSidedT(m-mean, sd/math.Sqrt(n), n-1)
}

// twoSidedT is the two-sided p-value of a difference with a standard error, by Student's t
// distribution of some degrees of freedom.
func twoSidedT(difference, standardError, freedom float64) float64 {
	switch {
	case math.IsNaN(difference) || math.IsNaN(standardError):
		return math.NaN()
	case standardError == 0 && difference == 0:
		return 1
	case standardError == 0:
		return 0
	}
	return 2 * distuv.StudentsT{Mu: 0, Sigma: 1, Nu: freedom}.Survival(math.Abs(difference)/standardError)
}

// PooledTTests tests whether each sample has this mean, with one variance for all samples, pooled
// over them. Small samples of skewed values need that: one that lacks the rare large values has too
// small a mean and, in a test of its own, too small a variance. It returns each mean's distance in
// standard errors and its two-sided p-value. Both are NaN for an empty sample, and for all samples
// if none has two values.
func PooledTTests(samples [][]float64, mean float64) (deviations, p []float64) {
	var squares, freedom float64
	for _, values := range samples {
		if n := float64(len(values) - 1); n > 0 {
			squares += n * stat.Variance(values, nil)
			freedom += n
		}
	}
	for _, values := range samples {
		difference, standardError := math.NaN(), math.NaN()
		if len(values) > 0 && freedom > 0 {
			difference = stat.Mean(values, nil) - mean
			standardError = math.Sqrt(squares / freedom / float64(len(values)))
		}
		deviations = append(deviations, difference/standardError)
		p = append(p, twoSidedT(difference, standardError, freedom))
	}
	return deviations, p
}

// Holm returns the p-values corrected for multiple tests (Holm 1979): rejecting each hypothesis
// whose corrected value is at most α rejects a true one with a probability of at most α. A NaN
// stays NaN, and does not count as a test.
func Holm(p []float64) []float64 {
	each := make([]int, len(p))
	for i := range each {
		each[i] = i
	}
	return HolmOf(p, each)
}

// HolmOf is Holm for hypotheses some of which claim different values of one statistic;
// statistics[i] numbers the statistic of p[i]. At most one of the hypotheses on a statistic is
// true, so that they count as one test until the last of them is rejected (Shaffer 1986). It panics
// if the lengths differ.
func HolmOf(p []float64, statistics []int) []float64 {
	if len(p) != len(statistics) {
		panic(fmt.Sprintf("stats: HolmOf needs p and statistics of one length, got %d and %d", len(p), len(statistics)))
	}
	var order []int
	out := make([]float64, len(p))
	left := map[int]int{} // Hypotheses not yet rejected, by statistic.
	for i, v := range p {
		if out[i] = v; !math.IsNaN(v) {
			order = append(order, i)
			left[statistics[i]]++
		}
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(p[a], p[b]) })
	largest := 0.0
	for _, i := range order {
		largest = max(largest, p[i]*float64(len(left)))
		out[i] = min(1, largest)
		if left[statistics[i]]--; left[statistics[i]] == 0 {
			delete(left, statistics[i])
		}
	}
	return out
}
