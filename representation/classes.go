package representation

import (
	"fmt"
	"maps"
	"math"
	"slices"

	"gonum.org/v1/gonum/floats"
	"gonum.org/v1/gonum/mat"
	"gonum.org/v1/gonum/stat"
)

// Classes are the features of labelled examples, grouped by class. Every statistic gives each class
// the same weight, however many examples it has.
type Classes struct {
	labels    []int64     // Of the classes, ascending.
	counts    []int       // Of the classes.
	means     [][]float64 // Of the classes.
	variances []float64   // Of the classes.

	dimensions int
	features   []float64 // [examples, dimensions]
	class      []int     // Of the examples, an index into labels.
}

// NewClasses groups features, [examples, dimensions] in row-major order, by the label of each
// example. It keeps the slice of the features, which must not change afterwards.
//
// It returns an error if the features are not a whole number of rows for the labels, if one is NaN
// or Inf, and if there are fewer than two classes.
func NewClasses(features []float64, labels []int64) (*Classes, error) {
	n := len(labels)
	if n == 0 || len(features) == 0 || len(features)%n != 0 {
		return nil, fmt.Errorf("representation: %d features for %d labels: want the same number for each label, at least one",
			len(features), n)
	}
	c := &Classes{dimensions: len(features) / n, features: features}
	index := make(map[int64]int)
	for _, label := range labels {
		index[label] = 0
	}
	c.labels = slices.Sorted(maps.Keys(index))
	if len(c.labels) < 2 {
		return nil, fmt.Errorf("representation: all %d examples are of class %d: want two classes or more", n, c.labels[0])
	}
	for i, label := range c.labels {
		index[label] = i
		c.means = append(c.means, make([]float64, c.dimensions))
	}
	c.counts = make([]int, len(c.labels))
	c.class = make([]int, n)
	for i, label := range labels {
		row := c.row(i)
		for k, v := range row {
			if math.IsNaN(v) || math.IsInf(v, 0) {
				return nil, fmt.Errorf("representation: feature %d of example %d is %g", k, i, v)
			}
		}
		c.class[i] = index[label]
		c.counts[index[label]]++
		floats.Add(c.means[index[label]], row)
	}
	for i, count := range c.counts {
		floats.Scale(1/float64(count), c.means[i])
	}
	// The second pass takes differences from the means, where sums of squares would cancel.
	c.variances = make([]float64, len(c.labels))
	for i, class := range c.class {
		c.variances[class] += squaredDistance(c.row(i), c.means[class]) / float64(c.counts[class])
	}
	rounding := c.rounding()
	for i, variance := range c.variances {
		if math.Sqrt(variance) <= rounding { // All examples are equal.
			c.variances[i] = 0
		}
	}
	return c, nil
}

func (c *Classes) row(i int) []float64 { return c.features[i*c.dimensions : (i+1)*c.dimensions] }

// Labels returns the labels that occur, ascending. The other methods have the classes in this
// order.
func (c *Classes) Labels() []int64 { return slices.Clone(c.labels) }

// Counts returns the number of examples of each class.
func (c *Classes) Counts() []int { return slices.Clone(c.counts) }

// Dimensions returns the number of features of an example.
func (c *Classes) Dimensions() int { return c.dimensions }

// Variances returns the variance of each class: the mean squared distance of its examples to their
// mean, with the divisor n. It is 0 for a class of one example, and for one of equal examples.
func (c *Classes) Variances() []float64 { return slices.Clone(c.variances) }

// CDNV returns the class-distance normalized variance of Galanti, György and Hutter (ICLR 2022,
// arXiv:2112.15121): the mean over all pairs of classes of (Var_i + Var_j) / (2‖μ_i - μ_j‖²). It is
// 0 if every class has collapsed to a point of its own, it does not change if the features are
// scaled, moved or rotated. It is Inf if two means are equal up to rounding and their classes are
// not collapsed.
//
// The variances have the divisor n. With few examples in each class CDNV is too small by about a
// factor (n-1)/n.
func (c *Classes) CDNV() float64 {
	cdnv, err := c.GeometricCollapse(c.variances)
	if err != nil {
		panic(err) // There is one variance for each class.
	}
	return cdnv
}

// GeometricCollapse returns the mean over all pairs of classes of (GC_i + GC_j) / (2‖μ_i - μ_j‖²),
// where perClass has the geometric complexity of the features over the examples of each class, in
// the order of Labels (Munn, Dherin and Gonzalvo, arXiv:2405.15706). If the inputs of every class
// satisfy a Poincaré inequality with the constant ρ, then CDNV is at most ρ times this value. It is
// Inf where CDNV is. It returns an error if there is not one value for each class, or if one is
// negative or NaN.
func (c *Classes) GeometricCollapse(perClass []float64) (float64, error) {
	if len(perClass) != len(c.labels) {
		return 0, fmt.Errorf("representation: GeometricCollapse got %d values for %d classes", len(perClass), len(c.labels))
	}
	for i, value := range perClass {
		if !(value >= 0) {
			return 0, fmt.Errorf("representation: GeometricCollapse got %g for class %d: want 0 or more", value, c.labels[i])
		}
	}
	sum, pairs, rounding := 0.0, 0, c.rounding()
	for i := range c.means {
		for j := range i {
			pairs++
			spread := perClass[i] + perClass[j]
			if spread == 0 { // Classes without spread are collapsed, wherever they are.
				continue
			}
			distance := squaredDistance(c.means[i], c.means[j])
			if math.Sqrt(distance) <= 2*rounding {
				distance = 0
			}
			sum += spread / (2 * distance)
		}
	}
	return sum / float64(pairs), nil
}

// NC1 returns tr(Σ_W Σ_B⁺)/C, the first measure of neural collapse of Papyan, Han and Donoho (PNAS
// 2020, arXiv:2008.08186): the covariance within the classes, in units of the covariance between
// their means, over the C classes. Σ_W is the mean over the classes of their covariances, Σ_B that
// of the means about the mean of the means, and ⁺ the pseudoinverse. It is 0 after collapse. It is
// NaN if all means are equal up to rounding.
func (c *Classes) NC1() float64 {
	center := c.center()
	centered := mat.NewDense(c.dimensions, len(c.means), nil)
	for i, mean := range c.means {
		for k, v := range mean {
			centered.Set(k, i, (v-center[k])/math.Sqrt(float64(len(c.means))))
		}
	}
	// Σ_B is M·Mᵀ for the centered means M, so that its pseudoinverse is U·S⁻²·Uᵀ for M = U·S·Vᵀ.
	var svd mat.SVD
	if !svd.Factorize(centered, mat.SVDThin) {
		return math.NaN()
	}
	var u mat.Dense
	svd.UTo(&u)
	values := svd.Values(nil)
	rounding := c.rounding()
	if values[0] <= rounding {
		return math.NaN()
	}
	// C centered means span C-1 dimensions: a further value is 0, up to rounding. The bound is that
	// of NumPy's matrix_rank, raised to the rounding of the means, which grows with an offset of
	// them all.
	values = values[:min(len(values), len(c.means)-1)]
	smallest := max(rounding, values[0]*float64(max(c.dimensions, len(c.means)))*0x1p-52)
	sum := 0.0
	deviation := make([]float64, c.dimensions)
	for i, class := range c.class {
		floats.SubTo(deviation, c.row(i), c.means[class])
		for k, s := range values {
			if s > smallest {
				along := mat.Dot(u.ColView(k), mat.NewVecDense(c.dimensions, deviation)) / s
				sum += along * along / float64(c.counts[class])
			}
		}
	}
	classes := float64(len(c.means))
	return sum / classes / classes
}

// NormVariation returns the standard deviation of the norms of the class means about their center,
// divided by the mean of these norms: 0 if all means are equally far from it, as in neural
// collapse. It is NaN if all means are equal up to rounding. The divisor of the deviation is the
// number of classes.
func (c *Classes) NormVariation() float64 {
	center := c.center()
	norms := make([]float64, len(c.means))
	for i, mean := range c.means {
		norms[i] = math.Sqrt(squaredDistance(mean, center))
	}
	if slices.Max(norms) <= c.rounding() {
		return math.NaN()
	}
	mean, deviation := stat.PopMeanStdDev(norms, nil)
	return deviation / mean
}

// AngleDeviation returns the mean over all pairs of classes of |cos + 1/(C-1)|, where cos is that
// of the angle between their means, seen from the center of the C means: 0 if all pairs stand at
// the largest angle that C directions can have in common, as in neural collapse. It is NaN if a
// mean is the center up to rounding.
func (c *Classes) AngleDeviation() float64 {
	center, rounding := c.center(), c.rounding()
	directions := make([][]float64, len(c.means))
	for i, mean := range c.means {
		directions[i] = floats.SubTo(make([]float64, c.dimensions), mean, center)
		norm := floats.Norm(directions[i], 2)
		if norm <= rounding {
			return math.NaN()
		}
		floats.Scale(1/norm, directions[i])
	}
	sum, pairs := 0.0, 0
	for i := range directions {
		for j := range i {
			sum += math.Abs(floats.Dot(directions[i], directions[j]) + 1/float64(len(c.means)-1))
			pairs++
		}
	}
	return sum / float64(pairs)
}

// NearestMeanAccuracy returns the fraction of the examples that are nearer to the mean of their own
// class than to any other, with the means of these same examples. In neural collapse it is 1. Of
// equally near means the first counts.
func (c *Classes) NearestMeanAccuracy() float64 {
	right := 0
	classifier := c.NearestMean()
	for i, class := range c.class {
		if nearest, _ := classifier.nearest(c.row(i)); nearest == class {
			right++
		}
	}
	return float64(right) / float64(len(c.class))
}

// center returns the mean of the class means.
func (c *Classes) center() []float64 {
	center := make([]float64, c.dimensions)
	for _, mean := range c.means {
		floats.AddScaled(center, 1/float64(len(c.means)), mean)
	}
	return center
}

// rounding bounds the norm of the error that a mean about the center has from rounding: a sum of n
// values is wrong by at most n units in the last place of their size, which for features with an
// offset is that of the offset.
func (c *Classes) rounding() float64 {
	size := 0.0
	for i, mean := range c.means {
		size = max(size, math.Hypot(floats.Norm(mean, 2), math.Sqrt(c.variances[i])))
	}
	return size * float64(max(c.dimensions, len(c.means), slices.Max(c.counts))) * 0x1p-52
}

func squaredDistance(a, b []float64) float64 {
	d := 0.0
	for i, v := range a {
		d += (v - b[i]) * (v - b[i])
	}
	return d
}
