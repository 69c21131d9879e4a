package capacity

import (
	"slices"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/ml/train"
	"github.com/gomlx/gomlx/support/exceptions"
	"github.com/pkg/errors"

	"github.com/geometric-complexity/toolkit/internal/compiled"
	"github.com/geometric-complexity/toolkit/internal/gomlxcompat"
	"github.com/geometric-complexity/toolkit/internal/numbers"
	"github.com/geometric-complexity/toolkit/internal/stats"
)

// SquaredPathNorm returns the squared path norm of a network: the sum, over all paths from an input
// or a bias to an output, of the product of the squares of the weights along the path (no root).
// Rescaling the weights into and out of a ReLU unit does not change it. It is the sum of the
// outputs for an input of ones, of float32 and shape [1, dims...], when every weight is replaced by
// its square: every variable of floats that the network uses, also those that are not trainable.
//
// This holds for networks of dense and convolutional layers, their sums, mean pools and ReLU
// activations. For others, such as those with batch norm or tanh, the value means nothing, and
// nothing checks that. weights are those of [Loss.Weights]. The store does not change.
//
// It returns an error if a weight is not in the store, if the network uses a trainable variable of
// floats that is not among the weights, for a variable of floats that is neither float32 nor
// float64, and if the value overflows.
//
// Source: Neyshabur et al. 2015; computed as Jiang et al. (arXiv 1912.02178, appendix C) do.
func SquaredPathNorm[F train.ModelFnCompatible](backend compute.Backend, store *model.Store, modelFn F,
	weights []Weight, dims ...int) (float64, error) {
	squared, err := store.Clone()
	if err != nil {
		return 0, err
	}
	defer squared.Finalize()
	for _, w := range weights {
		v := squared.GetVariable(w.Path)
		if v == nil {
			return 0, errors.Errorf("capacity.SquaredPathNorm: the store lacks the variable %q", w.Path)
		}
		if err := setSquares(v, w.Values); err != nil {
			return 0, err
		}
	}
	fn := gomlxcompat.ModelFn(modelFn)
	graphs := compiled.New("capacity.SquaredPathNorm", backend, squared,
		func(scope *model.Scope, a compiled.Args) ([]*graph.Node, []*model.Variable) {
			g := a.Inputs[0].Graph()
			squared.SetTraining(g, false)
			sum := graph.ReduceAllSum(fn(scope, nil, a.Inputs)[0])
			return []*graph.Node{sum}, frozen(squared, g, weights)
		})
	defer graphs.Finalize()
	ones := tensors.FromScalarAndDimensions(float32(1), append([]int{1}, dims...)...)
	defer func() { _ = ones.FinalizeAll() }()
	call := func() (float64, []*model.Variable, error) {
		results, others, err := graphs.Call(train.Batch{Inputs: []*tensors.Tensor{ones}})
		if err != nil {
			return 0, nil, errors.WithMessage(err, "capacity.SquaredPathNorm")
		}
		sum, err := scalar(results[0])
		return sum, others, err
	}
	sum, others, err := call()
	if err == nil && len(others) > 0 { // Only the graph says which variables it uses.
		if err = squareValues(others); err == nil {
			sum, _, err = call()
		}
	}
	if err == nil && !stats.Finite(sum) {
		err = errors.Errorf("capacity.SquaredPathNorm: the sum of the outputs is %g: it overflows %s", sum, dtypes.Float32)
	}
	return sum, err
}

// setSquares sets a variable to the squares of the values.
func setSquares(v *model.Variable, values []float64) error {
	squares := make([]float64, len(values))
	for i, x := range values {
		squares[i] = x * x
	}
	return setValues(v, squares)
}

// squareValues sets each variable to the squares of its values.
func squareValues(vars []*model.Variable) error {
	for _, v := range vars {
		values, err := valuesOf(v)
		if err != nil {
			return err
		}
		if err := setSquares(v, values); err != nil {
			return err
		}
	}
	return nil
}

// frozen returns the variables of floats that the graph uses and that are not trainable. It panics
// if it uses a trainable one that is not among the weights.
func frozen(store *model.Store, g *graph.Graph, weights []Weight) (vars []*model.Variable) {
	for v := range store.IterVariables() {
		isWeight := func(w Weight) bool { return w.Path == v.Path() }
		switch {
		case !v.InUseByGraph(g) || !v.DType().IsFloat() || slices.ContainsFunc(weights, isWeight):
		case v.Trainable:
			exceptions.Panicf("the network uses the variable %q, which is not among the weights: give all of Loss.Weights", v.Path())
		default:
			vars = append(vars, v)
		}
	}
	return vars
}

// scalar returns the value of a scalar tensor, and frees the tensor.
func scalar(t *tensors.Tensor) (float64, error) {
	values, err := numbers.Float64s(t)
	if err != nil {
		return 0, err
	}
	return values[0], t.FinalizeAll()
}
