package datasets

import (
	"fmt"
	"iter"
	"math"
	"math/rand/v2"
	"sort"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/train"

	"github.com/geometric-complexity/toolkit/internal/numbers"
)

// Curve is a 1-D regression set: the points (X[i], Y[i]) with X strictly increasing.
type Curve struct {
	X, Y []float64
}

// Parabola returns n evenly spaced points of y = x² on [-1, 1], including both ends. n = 10 stands
// for the regression set of the paper's Figure 1, which does not say which parabola it used.
func Parabola(n int) (Curve, error) {
	if n < 2 {
		return Curve{}, fmt.Errorf("a curve of %d points, want 2 or more", n)
	}
	x, y := make([]float64, n), make([]float64, n)
	for i := range n {
		// Symmetric by construction: x[n-1-i] is exactly -x[i].
		x[i] = float64(2*i-(n-1)) / float64(n-1)
		y[i] = x[i] * x[i]
	}
	return NewCurve(x, y)
}

// NoisySine returns n evenly spaced points on [-1, 1], including both ends, of y = sin(πx) plus
// independent normal noise of a standard deviation. A seed draws the noise. It returns an error for
// fewer than 2 points, and for a deviation that is negative or not finite.
func NoisySine(n int, deviation float64, seed uint64) (Curve, error) {
	if n < 2 {
		return Curve{}, fmt.Errorf("a curve of %d points, want 2 or more", n)
	}
	if !(deviation >= 0) || math.IsInf(deviation, 0) {
		return Curve{}, fmt.Errorf("noise of deviation %g, want a number from 0", deviation)
	}
	noise := rand.New(rand.NewPCG(seed, 0))
	x, y := make([]float64, n), make([]float64, n)
	for i := range n {
		x[i] = float64(2*i-(n-1)) / float64(n-1)
		y[i] = math.Sin(math.Pi*x[i]) + deviation*noise.NormFloat64()
	}
	return NewCurve(x, y)
}

// NewCurve returns the curve through the given points. It returns an error for fewer than 2 points,
// slices of different lengths, values of x that do not strictly increase, and values that are not
// finite.
func NewCurve(x, y []float64) (Curve, error) {
	if len(x) != len(y) {
		return Curve{}, fmt.Errorf("a curve of %d x and %d y, want as many y as x", len(x), len(y))
	}
	if len(x) < 2 {
		return Curve{}, fmt.Errorf("a curve of %d points, want 2 or more", len(x))
	}
	for i := range x {
		if math.IsNaN(x[i]-x[i]) || math.IsNaN(y[i]-y[i]) { // v-v is NaN for NaN and ±Inf.
			return Curve{}, fmt.Errorf("point %d of the curve is not finite: (%g, %g)", i, x[i], y[i])
		}
		if i > 0 && x[i] <= x[i-1] {
			return Curve{}, fmt.Errorf("the x of a curve must strictly increase, but x[%d] is %g after %g", i, x[i], x[i-1])
		}
	}
	return Curve{X: x, Y: y}, nil
}

// DirichletIntegral returns ∫ g'(x)² dx of the piecewise-linear interpolant g, from the first X to
// the last: Σ (ΔY)²/ΔX.
func (c Curve) DirichletIntegral() float64 {
	var sum float64
	for i := 1; i < len(c.X); i++ {
		dy := c.Y[i] - c.Y[i-1]
		sum += dy * dy / (c.X[i] - c.X[i-1])
	}
	return sum
}

// DirichletEnergy returns [Curve.DirichletIntegral] divided by the length of the interval: the mean
// of g'(x)² for x uniform on it, which is the geometric complexity of the interpolant for that
// distribution. (The mean over the data points themselves is not defined, because the interpolant
// has kinks there.) No function through the points has a smaller Dirichlet energy than the
// interpolant.
func (c Curve) DirichletEnergy() float64 {
	return c.DirichletIntegral() / (c.X[len(c.X)-1] - c.X[0])
}

// At evaluates the piecewise-linear interpolant, whose outermost pieces continue beyond the points.
func (c Curve) At(x float64) float64 {
	i := min(max(sort.SearchFloat64s(c.X, x), 1), len(c.X)-1)
	t := (x - c.X[i-1]) / (c.X[i] - c.X[i-1])
	return c.Y[i-1] + t*(c.Y[i]-c.Y[i-1])
}

// Tensors returns the points as inputs [n, 1] and targets [n, 1] of dtype float32 or float64. The
// caller owns them.
func (c Curve) Tensors(dtype dtypes.DType) (inputs, targets *tensors.Tensor, err error) {
	if inputs, err = column(c.X, dtype); err != nil {
		return nil, nil, err
	}
	if targets, err = column(c.Y, dtype); err != nil {
		return nil, nil, err
	}
	return inputs, targets, nil
}

func column(values []float64, dtype dtypes.DType) (*tensors.Tensor, error) {
	if dtype != dtypes.Float32 && dtype != dtypes.Float64 {
		return nil, fmt.Errorf("a curve of dtype %s, want float32 or float64", dtype)
	}
	return numbers.Tensor(values, dtype, len(values), 1)
}

// Dataset returns a train.Dataset for full-batch gradient descent, in which every batch is the
// whole curve: inputs [n, 1] and labels [n, 1] of the dtype. It yields one batch, or if infinite
// the same batch without end.
func (c Curve) Dataset(dtype dtypes.DType, infinite bool) (train.Dataset, error) {
	if dtype != dtypes.Float32 && dtype != dtypes.Float64 {
		return nil, fmt.Errorf("a curve of dtype %s, want float32 or float64", dtype)
	}
	return &curveDataset{c, dtype, infinite}, nil
}

type curveDataset struct {
	curve    Curve
	dtype    dtypes.DType
	infinite bool
}

// Name implements train.Dataset.
func (d *curveDataset) Name() string { return fmt.Sprintf("curve-%d", len(d.curve.X)) }

// Iter implements train.Dataset.
func (d *curveDataset) Iter() iter.Seq2[train.Batch, error] {
	return func(yield func(train.Batch, error) bool) {
		for {
			x, y, err := d.curve.Tensors(d.dtype)
			if err != nil {
				yield(train.Batch{}, err)
				return
			}
			if !yield(train.Batch{Inputs: tensorList(x), Labels: tensorList(y)}, nil) || !d.infinite {
				return
			}
		}
	}
}

func tensorList(t *tensors.Tensor) []*tensors.Tensor { return []*tensors.Tensor{t} }
