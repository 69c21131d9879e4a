package regularizers

import (
	"context"
	"maps"
	"math"
	"slices"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/ml/train"
	"github.com/gomlx/gomlx/support/exceptions"
	"github.com/pkg/errors"
	"gonum.org/v1/gonum/floats"

	"github.com/geometric-complexity/toolkit/internal/compiled"
	"github.com/geometric-complexity/toolkit/internal/gomlxcompat"
)

// ModifiedLoss returns the scalar L + (h/4)·‖∇L‖², for a loss L (averaged first if it is not a
// scalar), h = learningRate, and the gradient with respect to the parameters. Gradient descent with
// step h follows the gradient flow of this loss to second order in h: after time h the two differ
// by O(h³), whereas the flow of L itself differs by O(h²).
//
// As a training loss it makes the implicit regularization of gradient descent explicit;
// [MeasureImplicit] reports it for a model and its data. It panics if h is negative or not finite,
// or without parameters.
//
// Source: Barrett and Dherin, Implicit Gradient Regularization (2021), on which the paper bases its
// account of implicit regularization.
func ModifiedLoss(loss *graph.Node, learningRate float64, parameters ...*graph.Node) *graph.Node {
	if err := checkLearningRate(learningRate); err != nil {
		exceptions.Panicf("regularizers.ModifiedLoss: %v", err)
	}
	if !loss.IsScalar() {
		loss = graph.ReduceAllMean(loss)
	}
	norm := SquaredParameterGradientNorm(loss, parameters...) // In float32 for a loss of a shorter dtype.
	return graph.Add(loss, graph.ConvertDType(graph.MulScalar(norm, learningRate/4), loss.DType()))
}

func checkLearningRate(h float64) error {
	if !(h >= 0) || math.IsInf(h, 1) {
		return errors.Errorf("the learning rate is %g, want a finite number >= 0", h)
	}
	return nil
}

// Implicit holds the results of [MeasureImplicit] at one point of parameter space.
type Implicit struct {
	// Loss is L: the mean over all examples.
	Loss float64

	// SquaredParameterGradientNorm is ‖∇L‖² over all trainable parameters.
	SquaredParameterGradientNorm float64

	// BatchVariance is Σ_i w_i·‖∇L_i - ∇L‖², with L_i the loss of batch i and w_i its share of the
	// examples: for equal batches the mean over all batches. It depends on how the data set divides
	// the examples into batches.
	BatchVariance float64

	// DescentTerm is (h/4)·‖∇L‖², the term that full-batch gradient descent adds to L.
	DescentTerm float64

	// SGDTerm is (h/4)·BatchVariance, the further term that SGD adds by taking one batch at a time,
	// averaged over the orders of the batches in an epoch.
	SGDTerm float64

	// Modified is Loss + DescentTerm + SGDTerm; for full-batch gradient descent leave SGDTerm out,
	// or give all the data as one batch.
	Modified float64

	Examples, Batches int
}

// MeasureImplicit computes the terms that gradient descent and SGD with step learningRate
// implicitly add to the loss, at the store's current parameters and in one pass over ds. The model
// runs in evaluation mode: no variable changes, and noises and penalties are off. lossFn's loss is
// averaged over each batch, and each batch is weighted by its number of examples, which is the
// first axis of the first input.
//
// The gradients of all batches are summed in float64, which takes the memory of one gradient. It
// returns an error if the model cannot be built or run, if the store holds no trainable variable of
// the model, if ds is empty, or if ctx ends.
//
// Source: Barrett and Dherin (2021) for the first term; Smith, Dherin, Barrett and De (2021) for
// the second.
func MeasureImplicit[F train.ModelFnCompatible](ctx context.Context, backend compute.Backend, store *model.Store,
	modelFn F, lossFn train.LossFn, ds train.Dataset, learningRate float64) (Implicit, error) {
	result, err := measureImplicit(ctx, backend, store, gomlxcompat.ModelFn(modelFn), lossFn, ds, learningRate)
	if err != nil {
		return Implicit{}, errors.WithMessage(err, "regularizers.MeasureImplicit")
	}
	return result, nil
}

func measureImplicit(ctx context.Context, backend compute.Backend, store *model.Store, modelFn train.ModelFn,
	lossFn train.LossFn, ds train.Dataset, learningRate float64) (Implicit, error) {
	var result Implicit
	if err := checkLearningRate(learningRate); err != nil {
		return result, err
	}
	if lossFn == nil {
		return result, errors.New("the loss function is nil")
	}
	gradients := newBatchGradients(backend, store, modelFn, lossFn)
	defer gradients.finalize()

	sum := make(map[string][]float64) // Σ_i n_i·∇L_i, by variable.
	var squares, loss float64         // Σ_i n_i·‖∇L_i‖² and Σ_i n_i·L_i
	for batch, err := range ds.Iter() {
		if err != nil {
			return result, errors.WithMessagef(err, "batch %d of data set %q", result.Batches, ds.Name())
		}
		if err := ctx.Err(); err != nil {
			return result, errors.WithMessagef(err, "stopped after %d batches", result.Batches)
		}
		examples, batchLoss, variableGradients, err := gradients.call(batch)
		if err != nil {
			return result, errors.WithMessagef(err, "batch %d of data set %q", result.Batches, ds.Name())
		}
		n := float64(examples)
		for _, g := range variableGradients {
			if sum[g.path] == nil { // A new spec may use variables that earlier batches did not.
				sum[g.path] = make([]float64, len(g.gradient))
			}
			floats.AddScaled(sum[g.path], n, g.gradient)
			squares += n * floats.Dot(g.gradient, g.gradient)
		}
		loss += n * batchLoss
		result.Examples += examples
		result.Batches++
	}
	if result.Examples == 0 {
		return result, errors.Errorf("data set %q is empty", ds.Name())
	}

	n := float64(result.Examples)
	for _, path := range slices.Sorted(maps.Keys(sum)) {
		gradient := sum[path]
		result.SquaredParameterGradientNorm += floats.Dot(gradient, gradient) / (n * n)
	}
	result.Loss = loss / n
	// Rounding must not turn the variance of equal batches negative.
	result.BatchVariance = max(squares/n-result.SquaredParameterGradientNorm, 0)
	result.DescentTerm = learningRate / 4 * result.SquaredParameterGradientNorm
	result.SGDTerm = learningRate / 4 * result.BatchVariance
	result.Modified = result.Loss + result.DescentTerm + result.SGDTerm
	return result, nil
}

// variableGradient is the gradient with respect to the variable with this path.
type variableGradient struct {
	path     string
	gradient []float64
}

// batchGradients computes the loss and its gradients for one batch at a time.
type batchGradients struct {
	modelFn train.ModelFn
	lossFn  train.LossFn
	graphs  *compiled.Graphs[[]string] // Each graph's value is the paths of its variables.
}

func newBatchGradients(backend compute.Backend, store *model.Store, modelFn train.ModelFn,
	lossFn train.LossFn) *batchGradients {
	b := &batchGradients{modelFn: modelFn, lossFn: lossFn}
	b.graphs = compiled.New("regularizers.MeasureImplicit", backend, store, b.build)
	return b
}

func (b *batchGradients) finalize() { b.graphs.Finalize() }

// build returns the mean loss and its gradients, all as float64, and the paths of the variables.
func (b *batchGradients) build(scope *model.Scope, a compiled.Args) ([]*graph.Node, []string) {
	g := a.Inputs[0].Graph()
	loss := compiled.MeanLoss(scope, a, b.modelFn, b.lossFn)
	vars := trainable(scope, g, func(*model.Variable) bool { return true })
	if len(vars) == 0 {
		exceptions.Panicf("the model uses no trainable variable, so the loss has no gradient")
	}
	outputs := append([]*graph.Node{loss}, graph.Gradient(loss, nodeValues(vars, g)...)...)
	for i := range outputs {
		outputs[i] = graph.ConvertDType(outputs[i], dtypes.Float64)
	}
	paths := make([]string, len(vars))
	for i, v := range vars {
		paths[i] = v.Path()
	}
	return outputs, paths
}

// call returns the number of examples, the mean loss and its gradient with respect to each variable
// that the batch's graph uses, and frees the batch.
func (b *batchGradients) call(batch train.Batch) (examples int, loss float64, gradients []variableGradient, err error) {
	defer func() {
		if finalizeErr := batch.Finalize(); err == nil {
			err = finalizeErr
		}
	}()
	if len(batch.Inputs) == 0 || batch.Inputs[0].Shape().Rank() == 0 || batch.Inputs[0].Shape().Dim(0) == 0 {
		return 0, 0, nil, errors.New("the first input of the batch must have a batch axis with one or more examples")
	}
	results, paths, err := b.graphs.Call(batch)
	if err != nil {
		return 0, 0, nil, err
	}
	for i, t := range results {
		values, err := tensors.CopyFlatData[float64](t)
		if err == nil {
			err = t.FinalizeAll()
		}
		if err != nil {
			return 0, 0, nil, err
		}
		if i == 0 {
			loss = values[0]
		} else {
			gradients = append(gradients, variableGradient{paths[i-1], values})
		}
	}
	return batch.Inputs[0].Shape().Dim(0), loss, gradients, nil
}
