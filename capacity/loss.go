package capacity

import (
	"context"
	"math/rand/v2"
	"slices"

	"github.com/gomlx/compute"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/ml/train"
	"github.com/pkg/errors"
	"gonum.org/v1/gonum/floats"

	"github.com/geometric-complexity/toolkit/internal/compiled"
	"github.com/geometric-complexity/toolkit/internal/gomlxcompat"
	"github.com/geometric-complexity/toolkit/internal/numbers"
	"github.com/geometric-complexity/toolkit/internal/stats"
)

// ErrDiverged is wrapped by the errors for a loss that became NaN or infinite when the weights were
// changed, as opposed to that of the weights themselves.
var ErrDiverged = errors.New("the loss is not finite")

// Loss is the mean loss L(w) of a network over the examples of a data set, as a function of its
// weights w: the trainable variables of floats that the network uses for some batch. It holds all
// examples and two copies of the weights in memory. Call Finalize to free them. It must not be used
// by two goroutines at the same time.
type Loss struct {
	store     *model.Store // A copy: its weights change.
	vars      []*model.Variable
	center    []float64 // The weights that the caller's store has.
	batches   []batch
	examples  int
	losses    *compiled.Graphs[[]*model.Variable]
	gradients *compiled.Graphs[struct{}]
}

// batch has examples, and their mean loss at the center.
type batch struct {
	train.Batch
	examples int
	loss     float64
}

// NewLoss returns the loss of a network with the weights of a store, which must have all of the
// network's variables and does not change. The network runs in evaluation mode: batch norm uses its
// running averages, and dropout nothing. lossFn is the one that a trainer would get; a value for
// each example is averaged. Weights must be float32 or float64.
//
// It returns an error for a data set that is empty or cannot be read, for a network without
// trainable variables, for a loss that is not finite, and errors of the backend.
func NewLoss[F train.ModelFnCompatible](ctx context.Context, backend compute.Backend, store *model.Store, modelFn F,
	lossFn train.LossFn, ds train.Dataset) (*Loss, error) {
	copied, err := store.Clone()
	if err != nil {
		return nil, err
	}
	l := &Loss{store: copied}
	fn := gomlxcompat.ModelFn(modelFn)
	l.losses = compiled.New("capacity.Loss", backend, copied,
		func(scope *model.Scope, a compiled.Args) ([]*graph.Node, []*model.Variable) {
			loss := compiled.MeanLoss(scope, a, fn, lossFn)
			return []*graph.Node{loss}, trainable(copied, loss.Graph())
		})
	l.gradients = compiled.New("capacity.Loss's gradient", backend, copied,
		func(scope *model.Scope, a compiled.Args) ([]*graph.Node, struct{}) {
			loss := compiled.MeanLoss(scope, a, fn, lossFn)
			values := make([]*graph.Node, len(l.vars))
			for i, v := range l.vars {
				values[i] = v.NodeValue(loss)
			}
			return append([]*graph.Node{loss}, graph.Gradient(loss, values...)...), struct{}{}
		})
	if err := l.read(ctx, ds); err != nil {
		l.Finalize()
		return nil, err
	}
	return l, nil
}

// read keeps the examples of a data set with their losses, and the weights.
func (l *Loss) read(ctx context.Context, ds train.Dataset) error {
	for b, err := range ds.Iter() {
		if err != nil {
			return errors.WithMessagef(err, "capacity: data set %q", ds.Name())
		}
		l.batches = append(l.batches, batch{Batch: b})
		if err := ctx.Err(); err != nil {
			return err
		}
		kept := &l.batches[len(l.batches)-1]
		if len(b.Inputs) == 0 || b.Inputs[0].Shape().Rank() == 0 {
			return errors.Errorf("capacity: data set %q has a batch without examples: want inputs [batch, ...]", ds.Name())
		}
		kept.examples = b.Inputs[0].Shape().Dimensions[0]
		l.examples += kept.examples
		results, vars, err := l.losses.Call(b)
		if err != nil {
			return errors.WithMessage(err, "capacity: the loss")
		}
		l.vars = union(l.vars, vars)
		if kept.loss, err = scalar(results[0]); err != nil {
			return err
		}
		if !stats.Finite(kept.loss) {
			return errors.Errorf("capacity: the loss of batch %d of data set %q is %g", len(l.batches)-1, ds.Name(), kept.loss)
		}
	}
	if l.examples == 0 {
		return errors.Errorf("capacity: data set %q is empty", ds.Name())
	}
	if len(l.vars) == 0 {
		return errors.New("capacity: the network uses no trainable variable")
	}
	for _, v := range l.vars {
		values, err := valuesOf(v)
		if err != nil {
			return err
		}
		l.center = append(l.center, values...)
	}
	return nil
}

// Finalize frees the copies of the examples and of the weights, and the compiled graphs. The Loss
// must not be used afterwards.
func (l *Loss) Finalize() {
	l.losses.Finalize()
	l.gradients.Finalize()
	for _, b := range l.batches {
		_ = b.Finalize()
	}
	l.store.Finalize()
}

// Examples returns the number n of examples.
func (l *Loss) Examples() int { return l.examples }

// Value returns L(w): the mean over the examples.
func (l *Loss) Value() (sum float64) {
	for _, b := range l.batches {
		sum += b.loss * float64(b.examples)
	}
	return sum / float64(l.examples)
}

// Weights returns a copy of the weights, in the order of their paths.
func (l *Loss) Weights() []Weight {
	weights := make([]Weight, len(l.vars))
	rest := slices.Clone(l.center)
	for i, v := range l.vars {
		n := v.Shape().Size()
		weights[i] = Weight{Path: v.Path(), Dims: slices.Clone(v.Shape().Dimensions), Values: rest[:n:n]}
		rest = rest[n:]
	}
	return weights
}

// SquaredGradientNorm returns ‖∂L/∂w‖²: the sum of the squares of all entries (no mean over the
// weights) of the gradient of the mean loss over all examples, not of the batches' gradients.
// regularizers.MeasureImplicit returns it for a model without a Loss, together with the variance of
// the batches' gradients. Cancelling ctx stops between two batches and returns its error.
func (l *Loss) SquaredGradientNorm(ctx context.Context) (float64, error) {
	if err := l.set(l.center); err != nil {
		return 0, err
	}
	sum := make([]float64, len(l.center))
	for i := range l.batches {
		_, gradient, err := l.gradient(ctx, &l.batches[i])
		if err != nil {
			return 0, err
		}
		floats.AddScaled(sum, float64(l.batches[i].examples)/float64(l.examples), gradient)
	}
	return floats.Dot(sum, sum), nil
}

// gradient returns the mean loss of a batch and its gradient at the weights that are set.
func (l *Loss) gradient(ctx context.Context, b *batch) (loss float64, gradient []float64, err error) {
	if err := ctx.Err(); err != nil {
		return 0, nil, err
	}
	results, _, err := l.gradients.Call(b.Batch)
	if err != nil {
		return 0, nil, errors.WithMessage(err, "capacity: the loss's gradient")
	}
	if loss, err = scalar(results[0]); err != nil {
		return 0, nil, err
	}
	gradient = make([]float64, 0, len(l.center))
	for _, r := range results[1:] {
		values, err := numbers.Float64s(r)
		if err != nil {
			return 0, nil, err
		}
		gradient = append(gradient, values...)
		if err := r.FinalizeAll(); err != nil {
			return 0, nil, err
		}
	}
	return loss, gradient, nil
}

// rise returns L at the weights that are set, minus L at the center.
func (l *Loss) rise(ctx context.Context) (sum float64, err error) {
	for _, b := range l.batches {
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		results, _, err := l.losses.Call(b.Batch)
		if err != nil {
			return 0, errors.WithMessage(err, "capacity: the loss")
		}
		loss, err := scalar(results[0])
		if err != nil {
			return 0, err
		}
		sum += (loss - b.loss) * float64(b.examples)
	}
	return sum / float64(l.examples), nil
}

// set sets the weights of the copy.
func (l *Loss) set(w []float64) error {
	for _, v := range l.vars {
		n := v.Shape().Size()
		if err := setValues(v, w[:n]); err != nil {
			return err
		}
		w = w[n:]
	}
	return nil
}

// draw returns the batch of an example that is drawn evenly, so that the mean of a batch's mean
// loss is L also if batches differ in size.
func (l *Loss) draw(rng *rand.Rand) *batch {
	example := rng.IntN(l.examples)
	for i := range l.batches {
		if example -= l.batches[i].examples; example < 0 {
			return &l.batches[i]
		}
	}
	panic("capacity: more examples than the batches have")
}
