package stats

import (
	"math"
	"slices"
	"testing"

	"gonum.org/v1/gonum/stat/distuv"
)

var nan = math.NaN()

func near(a, b, tol float64) bool {
	return (math.IsNaN(a) && math.IsNaN(b)) || math.Abs(a-b) <= tol
}

func TestRanks(t *testing.T) {
	got := Ranks([]float64{3, 1, 3, 2, 3})
	if want := []float64{4, 1, 4, 2, 4}; !slices.Equal(got, want) {
		t.Errorf("Ranks = %v; want %v", got, want)
	}
}

// correlationCase is a rank correlation of x and y.
type correlationCase struct {
	name string
	x, y []float64
	want float64
}

// checkCorrelation checks cases of one rank correlation, and those that are the same for all.
func checkCorrelation(t *testing.T, correlation func(x, y []float64) float64, own ...correlationCase) {
	t.Helper()
	for _, tc := range append([]correlationCase{
		{"rising", []float64{0, 1, 10, 100}, []float64{-5, 0, 0.1, 7}, 1},
		{"falling", []float64{0, 1, 10, 100}, []float64{9, 8, 3, 1}, -1},
		{"NaN left out", []float64{1, 2, 3}, []float64{1, nan, 3}, 1},
		{"one pair", []float64{1}, []float64{1}, nan},
		{"constant", []float64{1, 2, 3}, []float64{5, 5, 5}, nan},
	}, own...) {
		t.Run(tc.name, func(t *testing.T) {
			if got := correlation(tc.x, tc.y); !near(got, tc.want, 1e-12) {
				t.Errorf("the correlation is %v; want %v", got, tc.want)
			}
		})
	}
}

func TestSpearman(t *testing.T) {
	checkCorrelation(t, Spearman,
		// One swap of neighbours among n=4: 1 - 6·2/(4·15) = 0.8.
		correlationCase{"one swap", []float64{1, 2, 3, 4}, []float64{1, 3, 2, 4}, 0.8},
		// Ranks 1, 2.5, 2.5, 4 against 1, 2, 3, 4: 4.5 / sqrt(4.5·5) = 3/sqrt(10).
		correlationCase{"ties", []float64{1, 2, 2, 3}, []float64{1, 2, 3, 4}, 3 / math.Sqrt(10)})
}

func TestKendall(t *testing.T) {
	checkCorrelation(t, Kendall,
		correlationCase{"one swap", []float64{1, 2, 3, 4}, []float64{1, 3, 2, 4}, 4.0 / 6},
		// Of ten pairs x ties one and y another one; seven are ordered alike, and one differently.
		correlationCase{"ties", []float64{1, 2, 2, 3, 5}, []float64{1, 3, 2, 2, 9}, 6.0 / 9})
}

func TestPartialKendall(t *testing.T) {
	x, y, z := []float64{1, 2, 3, 4, 5, nan}, []float64{2, 1, 4, 3, 5, 0}, []float64{1, 3, 2, 5, 4, 9}
	// τ_xy = 6/10, τ_xz = 6/10, and τ_yz = 2/10.
	want := (0.6 - 0.6*0.2) / math.Sqrt((1-0.36)*(1-0.04))
	if got := PartialKendall(x, y, z); !near(got, want, 1e-12) {
		t.Errorf("PartialKendall = %v; want %v", got, want)
	}
	if got := PartialKendall(x, y, x); !math.IsNaN(got) {
		t.Errorf("PartialKendall given x itself = %v; want NaN", got)
	}
}

// The 97.5 % quantile of Student's t with 2 degrees of freedom is 4.30265 (any table); the mean of
// 1, 2, 3 is 2 and its standard error 1/sqrt(3).
func TestTInterval(t *testing.T) {
	got := TInterval([]float64{1, 2, 3}, 0.95)
	half := 4.302652729911275 / math.Sqrt(3)
	if !near(got.Lo, 2-half, 1e-9) || !near(got.Hi, 2+half, 1e-9) {
		t.Errorf("TInterval = %v; want 2 ± %v", got, half)
	}
	if one := TInterval([]float64{1}, 0.95); !math.IsNaN(one.Lo) || !math.IsNaN(one.Hi) {
		t.Errorf("TInterval of one value = %v; want NaN", one)
	}
}

// Three seeds that give the same rank correlation of a few settings say nothing of the spread. All
// n values lie on one side of a number with probability 2^(1-n), which is below 0.05 from six on.
func TestEqualValues(t *testing.T) {
	for n, want := range map[int]float64{2: 0.5, 3: 0.25, 5: 0.0625, 6: 0.03125, 10: 1. / 512} {
		values := make([]float64, n)
		for i := range values {
			values[i] = 0.7 + float64(i%2)*1e-16
		}
		if p := SeedTest(values, 0); p != want {
			t.Errorf("p of %d equal values is %g; want %g", n, p, want)
		}
		interval := SeedInterval(values, 0.95)
		if known := !math.IsNaN(interval.Lo) && !math.IsNaN(interval.Hi); known != (want < 0.05) {
			t.Errorf("the interval of %d equal values is %v", n, interval)
		}
		if n >= 6 && (interval.Lo != 0.7 || interval.Hi != 0.7) {
			t.Errorf("the interval of %d equal values is %v; want [0.7, 0.7]", n, interval)
		}
	}
	if p := SeedTest([]float64{1, 1, 1}, 1); p != 1 {
		t.Errorf("p is %g where the values equal the mean; want 1", p)
	}
	differing := []float64{1, 2, 4}
	if SeedInterval(differing, 0.95) != TInterval(differing, 0.95) || SeedTest(differing, 1) != tTest(differing, 1) {
		t.Error("values that differ are not decided by Student's t")
	}
}

func TestRankTrend(t *testing.T) {
	x := []float64{0, 1, 2, 3}
	// The correlations are -1, -0.8 and -1; the last row has a single value.
	got := RankTrend(x, [][]float64{{4, 3, 2, 1}, {4, 3, 1, 2}, {9, nan, 5, 1}, {nan, nan, nan, 1}})
	if !near(got, -2.8/3, 1e-12) {
		t.Errorf("mean correlation %v; want %v", got, -2.8/3)
	}
}

func TestPaired(t *testing.T) {
	d := Paired([]float64{3, 5, nan, 4}, []float64{1, 2, 0, 3})
	if !slices.Equal(d.PerSeed, []float64{2, 3, 1}) || d.Mean != 2 {
		t.Errorf("differences = %v, mean %v; want [2 3 1], 2", d.PerSeed, d.Mean)
	}
	half := 4.302652729911275 / math.Sqrt(3) // As in TestTInterval: the deviation is 1, too.
	if !near(d.Interval.Lo, 2-half, 1e-9) || !near(d.Interval.Hi, 2+half, 1e-9) {
		t.Errorf("interval %v; want 2 ± %v", d.Interval, half)
	}
	// Three equal differences, but for one that is left out.
	if d := Paired([]float64{3, 4, 5, nan}, []float64{2, 3, 4, 0}); d.Mean != 1 || !math.IsNaN(d.Interval.Lo) {
		t.Errorf("equal differences: %+v; want a mean of 1 without an interval", d)
	}
}

func TestMeanStd(t *testing.T) {
	if m, s := MeanStd([]float64{1, nan, 3}); m != 2 || !near(s, math.Sqrt2, 1e-12) {
		t.Errorf("MeanStd = %v, %v; want 2, sqrt(2)", m, s)
	}
	if m, s := MeanStd([]float64{5}); m != 5 || !math.IsNaN(s) {
		t.Errorf("MeanStd of one = %v, %v; want 5, NaN", m, s)
	}
	if m, _ := MeanStd(nil); !math.IsNaN(m) {
		t.Errorf("MeanStd of none = %v; want NaN", m)
	}
}

func TestRelativeError(t *testing.T) {
	if got := RelativeError(11, -10); !near(got, 2.1, 1e-12) {
		t.Errorf("RelativeError(11, -10) = %v; want 2.1", got)
	}
	if got := RelativeError(-3, 0); got != 3 {
		t.Errorf("RelativeError(-3, 0) = %v; want 3", got)
	}
}

func TestTFactor(t *testing.T) {
	for _, tc := range []struct { // From a printed table of Student's t.
		n     int
		level float64
		want  float64
	}{{2, 0.95, 12.706}, {10, 0.95, 2.262}, {31, 0.9, 1.697}, {100000, 0.95, 1.960}} {
		if got := TFactor(tc.n, tc.level); !near(got, tc.want, 5e-4) {
			t.Errorf("TFactor(%d, %g) = %g, want %g", tc.n, tc.level, got, tc.want)
		}
	}
	for _, level := range []float64{0, 1, -1, 2, math.NaN()} {
		if got := TFactor(10, level); !math.IsNaN(got) {
			t.Errorf("TFactor(10, %g) = %g, want NaN", level, got)
		}
	}
	if got := TFactor(1, 0.95); !math.IsNaN(got) {
		t.Errorf("TFactor of one value is %g, want NaN", got)
	}
}

// By hand: y = 1 + 2x with one point off by 3 at x = 2 of 0, 1, 2, 3.
func TestSlope(t *testing.T) {
	nan := math.NaN()
	for _, tc := range []struct {
		x, y []float64
		want float64
	}{
		{[]float64{0, 1, 2, 3}, []float64{1, 3, 8, 7}, 2.3},
		{[]float64{0, 1, nan, 3}, []float64{1, 3, 8, 7}, 2},
		{[]float64{0, 1, 2}, []float64{nan, 3, nan}, nan},
		{[]float64{1, 1}, []float64{3, 4}, nan},
	} {
		if got := Slope(tc.x, tc.y); math.Abs(got-tc.want) > 1e-12 || math.IsNaN(got) != math.IsNaN(tc.want) {
			t.Errorf("slope of %v against %v is %g; want %g", tc.y, tc.x, got, tc.want)
		}
	}
}

// The values of R's t.test(c(1, 2, 4), mu = 0): t = 2.6458, df = 2, p = 0.1181; and of a t of 2
// with one degree of freedom, where the distribution is Cauchy's: p = 1 - 2/π·atan(2).
func TestTTest(t *testing.T) {
	if got := tTest([]float64{1, 2, 4}, 0); math.Abs(got-0.1181) > 5e-5 {
		t.Errorf("p is %g; want 0.1181", got)
	}
	if got, want := tTest([]float64{1, 3}, 0), 1-2/math.Pi*math.Atan(2); math.Abs(got-want) > 1e-12 {
		t.Errorf("p is %g; want %g", got, want)
	}
	for _, tc := range []struct {
		values []float64
		mean   float64
		want   float64
	}{{[]float64{2, 2}, 2, 1}, {[]float64{2, 2}, 1, 0}, {[]float64{2}, 1, math.NaN()}, {nil, 0, math.NaN()}} {
		if got := tTest(tc.values, tc.mean); got != tc.want && !(math.IsNaN(got) && math.IsNaN(tc.want)) {
			t.Errorf("p of %v against %g is %g; want %g", tc.values, tc.mean, got, tc.want)
		}
	}
}

// The p-value at either end of the 95 % interval is 5 %.
func TestTTestAgreesWithTInterval(t *testing.T) {
	values := []float64{0.3, 1.1, 0.7, 0.2, 1.9}
	i := TInterval(values, Level)
	for _, edge := range []float64{i.Lo, i.Hi} {
		if p := tTest(values, edge); math.Abs(p-0.05) > 1e-9 {
			t.Errorf("p at the edge %g of the interval is %g; want 0.05", edge, p)
		}
	}
}

// Of one sample it is Student's t test; of two samples of one size the statistic of the difference
// of their means, at any common mean, is that of the two-sample test with equal variances.
func TestPooledTTests(t *testing.T) {
	a, b := []float64{1, 2, 4}, []float64{2, 3, 7}
	if _, p := PooledTTests([][]float64{a}, 0); math.Abs(p[0]-tTest(a, 0)) > 1e-15 {
		t.Errorf("p of one sample is %g; want %g", p[0], tTest(a, 0))
	}
	// The variances 7/3 and 7 pool to 14/3 with 4 degrees of freedom: (7/3 - 1)/√(14/9) is
	// 1.069045.
	deviations, p := PooledTTests([][]float64{a, b, nil}, 1)
	if want := 4 / math.Sqrt(14); math.Abs(deviations[0]-want) > 1e-12 {
		t.Errorf("the first mean is %g standard errors off; want %g", deviations[0], want)
	}
	// The closed form for 4 degrees of freedom.
	x := deviations[0] / math.Sqrt(4+deviations[0]*deviations[0])
	if want := 1 - 1.5*(x-x*x*x/3); math.Abs(p[0]-want) > 1e-12 {
		t.Errorf("p is %g; want %g", p[0], want)
	}
	if !math.IsNaN(deviations[2]) || !math.IsNaN(p[2]) {
		t.Errorf("an empty sample has deviation %g and p %g", deviations[2], p[2])
	}
	if _, p := PooledTTests([][]float64{{1}, {2}}, 1); !math.IsNaN(p[0]) {
		t.Errorf("p is %g without a variance", p[0])
	}
}

// R's p.adjust(c(0.01, 0.04, 0.03, 0.005), "holm") is 0.03 0.06 0.06 0.02.
func TestHolm(t *testing.T) {
	nan := math.NaN()
	for _, tc := range []struct{ p, want []float64 }{
		{[]float64{0.01, 0.04, 0.03, 0.005}, []float64{0.03, 0.06, 0.06, 0.02}},
		{[]float64{0.01, nan, 0.6, 0.9}, []float64{0.03, nan, 1, 1}},
		{nil, nil},
	} {
		got := Holm(tc.p)
		for i, want := range tc.want {
			if math.Abs(got[i]-want) > 1e-12 || math.IsNaN(got[i]) != math.IsNaN(want) {
				t.Errorf("Holm(%v) = %v; want %v", tc.p, got, tc.want)
			}
		}
	}
}

// By hand: three hypotheses on two statistics count as two until both of the first statistic are
// rejected, and then as one; on three statistics they are Holm's.
func TestHolmOf(t *testing.T) {
	for _, tc := range []struct {
		p          []float64
		statistics []int
		want       []float64
	}{
		{[]float64{0.01, 0.02, 0.03}, []int{7, 7, 8}, []float64{0.02, 0.04, 0.04}},
		{[]float64{0.03, 0.02, 0.01}, []int{7, 8, 7}, []float64{0.04, 0.04, 0.02}},
		{[]float64{0.01, 0.02, math.NaN()}, []int{7, 7, 8}, []float64{0.01, 0.02, math.NaN()}},
		{[]float64{0.01, 0.02, 0.03}, []int{1, 2, 3}, []float64{0.03, 0.04, 0.04}},
	} {
		got := HolmOf(tc.p, tc.statistics)
		for i, want := range tc.want {
			if math.Abs(got[i]-want) > 1e-12 || math.IsNaN(got[i]) != math.IsNaN(want) {
				t.Errorf("HolmOf(%v, %v) = %v; want %v", tc.p, tc.statistics, got, tc.want)
			}
		}
	}
}

// TestSpearmanTest has orders whose p-values can be counted by hand, and tables of the exact
// distribution for n = 5 and 6 (Zar 1972: ρ = 0.9 has p = 0.083 and ρ = 0.886 has p = 0.033).
func TestSpearmanTest(t *testing.T) {
	for _, c := range []struct {
		x, y []float64
		want float64
		tol  float64
	}{
		{[]float64{1, 2}, []float64{5, 3}, 1, 0},                                 // Both orders are at ±1.
		{[]float64{1, 2, 3}, []float64{1, 2, 3}, 2.0 / 6, 1e-15},                 // The order and its reverse.
		{[]float64{1, 2, 3, 4}, []float64{9, 7, 3, 1}, 2.0 / 24, 1e-15},          // The same of 24.
		{[]float64{1, 2, 3, 4, 5}, []float64{2, 1, 3, 4, 5}, 0.0833, 1e-4},       // ρ = 0.9.
		{[]float64{1, 2, 3, 4, 5, 6}, []float64{1, 2, 3, 5, 6, 4}, 0.0583, 1e-4}, // ρ = 0.829.
		{[]float64{1, 2, 3, 4, 5, 6}, []float64{1, 3, 2, 4, 6, 5}, 0.0333, 1e-4}, // ρ = 0.886.
		{[]float64{1, 1, 1}, []float64{1, 2, 3}, math.NaN(), 0},                  // No correlation.
		{[]float64{1, 2, math.NaN()}, []float64{1, 2, 3}, 1, 0},                  // Two pairs are left.
		{[]float64{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11}, []float64{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11}, 1.0 / 10001, 1e-9},
	} {
		got := SpearmanTest(c.x, c.y)
		if !(math.Abs(got-c.want) <= c.tol) && !(math.IsNaN(got) && math.IsNaN(c.want)) {
			t.Errorf("%v, %v: p %g, want %g", c.x, c.y, got, c.want)
		}
	}
	// Drawn orders agree with the t approximation where it is good: ρ = 0.5 of 20 pairs has p ≈
	// 0.025.
	var x, y []float64
	for i := range 20 {
		x, y = append(x, float64(i)), append(y, float64((7*i)%20)+0.9*float64(i))
	}
	rho := Spearman(x, y)
	statistic := rho * math.Sqrt(18/(1-rho*rho))
	want := 2 * distuv.StudentsT{Mu: 0, Sigma: 1, Nu: 18}.Survival(math.Abs(statistic))
	if got := SpearmanTest(x, y); math.Abs(got-want) > 0.15*want+0.002 {
		t.Errorf("ρ = %g of 20 pairs: p %g, the t approximation has %g", rho, got, want)
	}
}
