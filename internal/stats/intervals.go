package stats

import (
	"fmt"
	"math"

	"gonum.org/v1/gonum/stat"
	"gonum.org/v1/gonum/stat/distuv"
)

// Interval is a confidence interval of a mean over seeds.
type Interval struct {
	Lo     float64 `json:"lo"`
	Hi     float64 `json:"hi"`
	Level  float64 `json:"level"`  // coverage, such as 0.95
	Method string  `json:"method"` // "t" or SignTest
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
// this mean: tTest's, unless all values are equal. Then it is that of the sign test, as in
// SeedInterval: 1 if the values equal the mean, and 2^(1-n) otherwise.
func SeedTest(perSeed []float64, mean float64) float64 {
	v, equal := equalValue(perSeed)
	switch {
	case !equal:
		return tTest(perSeed, mean)
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

// tTest returns the two-sided p-value of Student's t test of the hypothesis that the values come
// from a normal distribution with this mean. It assumes that the values are independent. It is NaN
// for fewer than two values. If all values are equal it is 1 if they equal the mean, and 0
// otherwise.
func tTest(values []float64, mean float64) float64 {
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
