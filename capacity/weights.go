package capacity

import (
	"cmp"
	"math"
	"slices"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/pkg/errors"
	"gonum.org/v1/gonum/floats"
	"gonum.org/v1/gonum/mat"

	"github.com/geometric-complexity/toolkit/internal/numbers"
	"github.com/geometric-complexity/toolkit/internal/operatornorm"
	"github.com/geometric-complexity/toolkit/internal/stats"
)

// Weight is the value of one trainable variable of a network.
type Weight struct {
	Path   string
	Dims   []int
	Values []float64 // In row-major order.
}

// SquaredNorm returns the sum of the squares of all weights, biases included: the squared Frobenius
// norm of the parameters (no mean, no factor 1/2).
func SquaredNorm(weights []Weight) (sum float64) {
	for _, w := range weights {
		sum += floats.Dot(w.Values, w.Values)
	}
	return sum
}

// SquaredDistance returns the sum of the squares of the differences of the weights from the
// variables of the same paths in another store, such as those at initialization.
//
// It returns an error if the store lacks one of the variables or has it in another shape.
func SquaredDistance(weights []Weight, from *model.Store) (sum float64, err error) {
	for _, w := range weights {
		v := from.GetVariable(w.Path)
		if v == nil {
			return 0, errors.Errorf("capacity.SquaredDistance: the store lacks the variable %q", w.Path)
		}
		if !slices.Equal(v.Shape().Dimensions, w.Dims) {
			return 0, errors.Errorf("capacity.SquaredDistance: %q has shape %v, but %v in the store", w.Path, w.Dims,
				v.Shape().Dimensions)
		}
		origin, err := valuesOf(v)
		if err != nil {
			return 0, err
		}
		d := floats.Distance(w.Values, origin, 2)
		sum += d * d
	}
	return sum, nil
}

// KernelNorm has the norms of a kernel as a matrix.
type KernelNorm struct {
	Path string
	// Spectral is the largest singular value, and Frobenius the root of the sum of squares. Neither
	// is squared.
	Spectral, Frobenius float64
}

// SpectralNorms returns the norms of all kernels, the weights with two axes or more, in the order
// of the weights. A kernel of more axes is reshaped to the matrix [product of the other axes, last
// axis], as regularizers.Spectral does: for a convolution this is not the norm of the linear map
// that it computes. The largest singular value is exact: the root of the largest eigenvalue of WᵀW
// or WWᵀ, whichever is smaller. It is NaN if its square overflows.
//
// It returns an error for a weight that is not finite.
func SpectralNorms(weights []Weight) (norms []KernelNorm, err error) {
	for _, w := range weights {
		if len(w.Dims) < 2 || len(w.Values) == 0 {
			continue
		}
		columns := w.Dims[len(w.Dims)-1]
		frobenius := floats.Norm(w.Values, 2)
		if !stats.Finite(frobenius) {
			return nil, errors.Errorf("capacity.SpectralNorms: a weight of %q is not finite", w.Path)
		}
		m := mat.NewDense(len(w.Values)/columns, columns, w.Values)
		spectral := math.Sqrt(operatornorm.Squared(m))
		norms = append(norms, KernelNorm{Path: w.Path, Spectral: spectral, Frobenius: frobenius})
	}
	return norms, nil
}

// trainable returns the trainable variables of floats that the graph uses, in the order of their
// paths.
func trainable(store *model.Store, g *graph.Graph) (vars []*model.Variable) {
	for v := range store.IterVariables() {
		if v.Trainable && v.InUseByGraph(g) && v.DType().IsFloat() {
			vars = append(vars, v)
		}
	}
	return union(nil, vars)
}

// union returns the variables of a and b once each, in the order of their paths.
func union(a, b []*model.Variable) []*model.Variable {
	vars := slices.Concat(a, b)
	slices.SortFunc(vars, func(a, b *model.Variable) int { return cmp.Compare(a.Path(), b.Path()) })
	return slices.Compact(vars)
}

func valuesOf(v *model.Variable) ([]float64, error) {
	value, err := v.Value()
	if err != nil {
		return nil, err
	}
	values, err := numbers.Float64s(value)
	return values, errors.WithMessagef(err, "capacity: variable %q", v.Path())
}

// setValues sets a variable to values in row-major order, rounded to its dtype.
func setValues(v *model.Variable, values []float64) error {
	if v.DType() != dtypes.Float32 && v.DType() != dtypes.Float64 {
		return errors.Errorf("capacity: the variable %q has dtype %s: want Float32 or Float64", v.Path(), v.DType())
	}
	value, err := numbers.Tensor(values, v.DType(), v.Shape().Dimensions...)
	if err != nil {
		return err
	}
	return v.SetValue(value)
}
