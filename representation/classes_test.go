package representation_test

import (
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"gonum.org/v1/gonum/mat"

	"github.com/geometric-complexity/toolkit/internal/gctest"
	"github.com/geometric-complexity/toolkit/representation"
)

// sample returns features of classes of different sizes, whose labels are neither sorted nor 0 to
// n.
func sample(seed uint64, dims int) (features []float64, labels []int64) {
	rng := rand.New(rand.NewPCG(seed, 1))
	labels = []int64{7, -2, 3, 7, 7, 3, -2, 3, 3, 7, 3, 9, 9}
	for _, label := range labels {
		for k := range dims {
			features = append(features, rng.NormFloat64()+float64(label)*math.Sin(float64(k+1)))
		}
	}
	return features, labels
}

func newClasses(t *testing.T, features []float64, labels []int64) *representation.Classes {
	t.Helper()
	c, err := representation.NewClasses(features, labels)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// statistics are all that do not depend on the units of the features.
func statistics(c *representation.Classes) []float64 {
	return []float64{c.CDNV(), c.NC1(), c.NormVariation(), c.AngleDeviation(), c.NearestMeanAccuracy()}
}

// TestByHand has two classes on a line: {0, 2} and {9, 10, 11}. Means 1 and 10, variances 1 and
// 2/3, CDNV (1 + 2/3)/(2·81). The means are 4.5 from their center, so that Σ_B = 81/4 and Σ_W =
// 5/6.
func TestByHand(t *testing.T) {
	c := newClasses(t, []float64{0, 9, 10, 2, 11}, []int64{0, 1, 1, 0, 1})
	gctest.AssertClose(t, c.Variances(), []float64{1, 2.0 / 3}, 1e-15, 0, "variances")
	gctest.AssertClose(t, statistics(c), []float64{5.0 / 486, 5.0 / 6 / (81.0 / 4) / 2, 0, 0, 1}, 1e-14, 0, "statistics")
	if !slices.Equal(c.Counts(), []int{2, 3}) || !slices.Equal(c.Labels(), []int64{0, 1}) || c.Dimensions() != 1 {
		t.Errorf("counts %v, labels %v, dimensions %d", c.Counts(), c.Labels(), c.Dimensions())
	}
	collapse, err := c.GeometricCollapse([]float64{3, 5})
	if err != nil || math.Abs(collapse-8.0/162) > 1e-15 {
		t.Errorf("geometric collapse %g, %v; want %g", collapse, err, 8.0/162)
	}
	for _, wrong := range [][]float64{{1}, {1, math.NaN()}, {-1, 1}} {
		if _, err := c.GeometricCollapse(wrong); err == nil {
			t.Errorf("the values %v for two classes are no error", wrong)
		}
	}
}

// TestAgainstPlainForms computes the same values in other ways: variances from the distances of all
// pairs of examples, and NC1 from the matrices, whose pseudoinverse comes from an
// eigendecomposition.
func TestAgainstPlainForms(t *testing.T) {
	for _, dims := range []int{1, 2, 3, 8} {
		features, labels := sample(uint64(dims), dims)
		c := newClasses(t, features, labels)
		var rows [][][]float64
		for _, class := range c.Labels() {
			var members [][]float64
			for i, label := range labels {
				if label == class {
					members = append(members, features[i*dims:(i+1)*dims])
				}
			}
			rows = append(rows, members)
		}
		gctest.AssertClose(t, []float64{c.CDNV()}, []float64{plainCDNV(rows)}, 1e-12, 0, "CDNV")
		gctest.AssertClose(t, []float64{c.NC1()}, []float64{plainNC1(t, rows, dims)}, 1e-9, 0, "NC1")
		variation, deviation := plainGeometry(rows)
		gctest.AssertClose(t, []float64{c.NormVariation()}, []float64{variation}, 1e-12, 0, "norm variation")
		gctest.AssertClose(t, []float64{c.AngleDeviation()}, []float64{deviation}, 1e-12, 0, "angle deviation")
	}
}

func plainMean(rows [][]float64) []float64 {
	mean := make([]float64, len(rows[0]))
	for _, row := range rows {
		for k, v := range row {
			mean[k] += v / float64(len(rows))
		}
	}
	return mean
}

func plainCDNV(classes [][][]float64) float64 {
	squared := func(a, b []float64) (d float64) {
		for k := range a {
			d += (a[k] - b[k]) * (a[k] - b[k])
		}
		return d
	}
	variance := func(rows [][]float64) (v float64) {
		for _, a := range rows {
			for _, b := range rows {
				v += squared(a, b)
			}
		}
		return v / 2 / float64(len(rows)) / float64(len(rows))
	}
	sum, pairs := 0.0, 0.0
	for i := range classes {
		for j := range classes {
			if i != j { // Both orders of a pair.
				between := squared(plainMean(classes[i]), plainMean(classes[j]))
				sum += (variance(classes[i]) + variance(classes[j])) / 2 / between
				pairs++
			}
		}
	}
	return sum / pairs
}

// plainGeometry returns NormVariation, from the mean of the squared norms, and AngleDeviation, by
// the law of cosines.
func plainGeometry(classes [][][]float64) (variation, deviation float64) {
	var means [][]float64
	for _, rows := range classes {
		means = append(means, plainMean(rows))
	}
	distance := func(a, b []float64) float64 {
		d := 0.0
		for k := range a {
			d = math.Hypot(d, a[k]-b[k])
		}
		return d
	}
	center, n := plainMean(means), float64(len(means))
	var norm, square float64
	for i, a := range means {
		r := distance(a, center)
		norm, square = norm+r/n, square+r*r/n
		for j, b := range means {
			if i != j { // Both orders of a pair.
				s, between := distance(b, center), distance(a, b)
				deviation += math.Abs((r*r+s*s-between*between)/(2*r*s)+1/(n-1)) / n / (n - 1)
			}
		}
	}
	return math.Sqrt(square-norm*norm) / norm, deviation
}

func plainNC1(t *testing.T, classes [][][]float64, dims int) float64 {
	within, between := mat.NewSymDense(dims, nil), mat.NewSymDense(dims, nil)
	var means [][]float64
	for _, rows := range classes {
		means = append(means, plainMean(rows))
	}
	outer := func(to *mat.SymDense, a, b []float64, weight float64) {
		difference := mat.NewVecDense(dims, nil)
		difference.SubVec(mat.NewVecDense(dims, a), mat.NewVecDense(dims, b))
		to.SymRankOne(to, weight, difference)
	}
	for i, rows := range classes {
		for _, row := range rows {
			outer(within, row, means[i], 1/float64(len(rows)*len(classes)))
		}
		outer(between, means[i], plainMean(means), 1/float64(len(classes)))
	}
	var eigen mat.EigenSym
	if !eigen.Factorize(between, true) {
		t.Fatal("no eigenvalues")
	}
	var vectors mat.Dense
	eigen.VectorsTo(&vectors)
	trace := 0.0
	for k, value := range eigen.Values(nil) {
		if value > 1e-9 {
			trace += mat.Inner(vectors.ColView(k), within, vectors.ColView(k)) / value
		}
	}
	return trace / float64(len(classes))
}

// TestInvariance scales, moves and rotates the features, and copies every example. With more
// dimensions than classes, the centered means have a null direction, which no offset may reveal.
func TestInvariance(t *testing.T) {
	for _, dims := range []int{3, 4, 40} {
		features, labels := sample(3, dims)
		want := statistics(newClasses(t, features, labels))
		sin, cos := math.Sincos(0.7)
		for _, offset := range []float64{1, 100, 1e4} {
			moved := slices.Clone(features)
			for i := 0; i < len(moved); i += dims {
				a, b := moved[i], moved[i+1]
				moved[i], moved[i+1] = cos*a-sin*b, sin*a+cos*b
				for k := range dims {
					moved[i+k] = 1e3 * (moved[i+k] + offset*(1+math.Cos(float64(k))))
				}
			}
			gctest.AssertClose(t, statistics(newClasses(t, moved, labels)), want, 1e-9, 0, "moved")
		}
		twice := newClasses(t, slices.Concat(features, features), slices.Concat(labels, labels))
		gctest.AssertClose(t, statistics(twice), want, 1e-12, 0, "each example twice")
	}
}

// TestCollapsed has classes that have collapsed to the corners of a simplex, and classes without
// any distance, also where the mean of the means is not exactly equal to them.
func TestCollapsed(t *testing.T) {
	corners := []float64{1, 0, 0, 0, 1, 0, 0, 0, 1, 1, 0, 0, 0, 1, 0}
	c := newClasses(t, corners, []int64{0, 1, 2, 0, 1})
	gctest.AssertClose(t, statistics(c), []float64{0, 0, 0, 0, 1}, 0, 1e-14, "simplex")

	for _, mean := range []float64{0, 0.1, 0.7, 123.4} {
		pair := []float64{mean - 0.25, mean + 0.5, mean + 0.25, mean - 0.5}
		equal := newClasses(t, slices.Concat(pair, pair, pair), []int64{0, 0, 1, 1, 2, 2})
		if !math.IsInf(equal.CDNV(), 1) || !math.IsNaN(equal.NC1()) || !math.IsNaN(equal.NormVariation()) ||
			!math.IsNaN(equal.AngleDeviation()) {
			t.Errorf("means equal to %g: %v", mean, statistics(equal))
		}
	}
	if point := newClasses(t, []float64{1, 1}, []int64{0, 1}); point.CDNV() != 0 {
		t.Errorf("a single point: CDNV %g", point.CDNV())
	}
}

// TestNearestMean has an example that is nearer to the mean of the other class.
func TestNearestMean(t *testing.T) {
	c := newClasses(t, []float64{0, 0, 0, 9, 10, 10, 10}, []int64{0, 0, 0, 0, 1, 1, 1})
	if got, want := c.NearestMeanAccuracy(), 6.0/7; got != want {
		t.Errorf("accuracy %g, want %g", got, want)
	}
}

func TestNewClassesErrors(t *testing.T) {
	for want, c := range map[string]struct {
		features []float64
		labels   []int64
	}{
		"3 features for 2 labels":        {make([]float64, 3), []int64{0, 1}},
		"0 features for 0 labels":        {nil, nil},
		"all 2 examples are of class 4":  {make([]float64, 2), []int64{4, 4}},
		"feature 1 of example 0 is NaN":  {[]float64{0, math.NaN(), 0, 0}, []int64{0, 1}},
		"feature 0 of example 1 is -Inf": {[]float64{0, math.Inf(-1)}, []int64{0, 1}},
	} {
		if _, err := representation.NewClasses(c.features, c.labels); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got error %v, want %q", err, want)
		}
	}
}

// TestEqualFeatures: a network whose features are all equal has collapsed, and no class is nearer
// than another. The means round differently, because the classes differ in size.
func TestEqualFeatures(t *testing.T) {
	for _, value := range []float64{0.1, float64(float32(0.1)), -3e7, 1e-30} {
		var features []float64
		var labels []int64
		for class, n := range []int{980, 1135, 1032} {
			for range n {
				features, labels = append(features, value), append(labels, int64(class))
			}
		}
		c, err := representation.NewClasses(features, labels)
		if err != nil {
			t.Fatal(err)
		}
		if got := c.CDNV(); got != 0 {
			t.Errorf("features %g: CDNV is %g, want 0", value, got)
		}
		if got, want := c.NearestMeanAccuracy(), 980./3147; got != want {
			t.Errorf("features %g: accuracy %g, want %g", value, got, want)
		}
		if got, err := c.GeometricCollapse([]float64{1, 0, 0}); err != nil || !math.IsInf(got, 1) {
			t.Errorf("features %g: the geometric collapse is %g, %v, want +Inf", value, got, err)
		}
	}
}
