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
)

// Level is the coverage, 95 %, of the intervals of functions without a parameter for it.
const Level = 0.95

// resamples is the number of random orders that SpearmanTest draws if there are too many to
// enumerate. At 10,000 the standard error of a p-value of 0.05 is 0.002.
const resamples = 10000

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

// RankTrend returns the mean over the seeds of Spearman's correlation of x with each seed's row. It
// leaves out NaN values (diverged runs), and seeds whose correlation is NaN.
func RankTrend(x []float64, perSeed [][]float64) float64 {
	rhos := make([]float64, len(perSeed))
	for i, y := range perSeed {
		rhos[i] = Spearman(x, y)
	}
	mean, _ := MeanStd(rhos)
	return mean
}

// Difference is the evidence for a comparison of two treatments that share their seeds.
type Difference struct {
	Mean     float64   // mean over seeds of a - b
	PerSeed  []float64 // a - b of each seed
	Interval Interval  // SeedInterval of PerSeed
}

// Paired compares a with b seed by seed. It leaves out pairs with a NaN, and panics if the lengths
// differ.
func Paired(a, b []float64) Difference {
	if len(a) != len(b) {
		panic(fmt.Sprintf("stats: Paired needs a and b of one length, got %d and %d", len(a), len(b)))
	}
	var d Difference
	for i := range a {
		if diff := a[i] - b[i]; !math.IsNaN(diff) {
			d.PerSeed = append(d.PerSeed, diff)
		}
	}
	d.Mean, _ = MeanStd(d.PerSeed)
	d.Interval = SeedInterval(d.PerSeed, Level)
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
