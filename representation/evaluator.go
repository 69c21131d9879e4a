package representation

import (
	"context"
	"math"

	"github.com/gomlx/compute"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/ml/train"
	"github.com/pkg/errors"

	"github.com/geometric-complexity/toolkit/internal/compiled"
	"github.com/geometric-complexity/toolkit/internal/gomlxcompat"
	"github.com/geometric-complexity/toolkit/internal/numbers"
	"github.com/geometric-complexity/toolkit/internal/precision"
)

// Evaluator computes the outputs of one model over data sets. It compiles one graph for each kind
// of batch, and reads the current variables of the store in each pass. It must not be used by two
// goroutines at the same time.
type Evaluator struct {
	graphs *compiled.Graphs[int]
}

// Evaluation holds the values that a model computed for the examples of a data set.
type Evaluation struct {
	// Examples is the number of examples.
	Examples int
	// Outputs has one element for each output of the model function, in its order.
	Outputs []Output
	// Labels has the label of each example, or is nil if the data set has no integer labels.
	Labels []int64
}

// Output has the values of one output of a model for all examples.
type Output struct {
	// Size is the number of values for each example.
	Size int
	// Values are [examples, Size] in row-major order: all axes after the first are flattened.
	Values []float64
}

// NewEvaluator returns an Evaluator of a model with the variables of the store. Each output has a
// float dtype and the shape [batch, ...]. The model runs in evaluation mode; missing variables are
// initialized. Call Finalize to free the compiled graphs.
func NewEvaluator[F train.ModelFnCompatible](backend compute.Backend, store *model.Store, modelFn F) *Evaluator {
	fn := gomlxcompat.ModelFn(modelFn)
	build := func(scope *model.Scope, a compiled.Args) ([]*graph.Node, int) {
		scope.Store().SetTraining(a.Inputs[0].Graph(), false)
		outputs := fn(scope, a.Spec, a.Inputs)
		for i, out := range outputs {
			if out.Rank() == 0 || !out.DType().IsFloat() {
				panic(errors.Errorf("representation: output #%d has shape %s: want a float dtype and a batch axis, [batch, ...]",
					i, out.Shape()))
			}
			outputs[i] = precision.Wide(out)
		}
		return outputs, len(outputs)
	}
	return &Evaluator{compiled.New("representation.Evaluator", backend, store, build)}
}

// Finalize frees the compiled graphs. The Evaluator must not be used afterwards.
func (e *Evaluator) Finalize() { e.graphs.Finalize() }

// Evaluate runs the model over a data set, which must be finite. It keeps all outputs in memory, 8
// bytes for each value. Cancelling ctx stops between two batches and returns its error.
//
// Errors: an empty data set or batch, an output that is NaN or Inf, batches whose outputs have
// other sizes than those before, labels in some batches only, and errors of the data set and the
// backend.
func (e *Evaluator) Evaluate(ctx context.Context, ds train.Dataset) (*Evaluation, error) {
	all := &Evaluation{}
	for batch, err := range ds.Iter() {
		if err != nil {
			return nil, errors.WithMessagef(err, "representation: data set %q", ds.Name())
		}
		err = ctx.Err()
		if err == nil {
			err = e.add(all, batch)
		}
		finalizeErr := batch.Finalize()
		if err == nil {
			err = finalizeErr
		}
		if err != nil {
			return nil, err
		}
	}
	if all.Examples == 0 {
		return nil, errors.Errorf("representation: data set %q is empty", ds.Name())
	}
	return all, nil
}

func (e *Evaluator) add(all *Evaluation, batch train.Batch) error {
	results, _, err := e.graphs.Call(train.Batch{Inputs: batch.Inputs, Spec: batch.Spec})
	if err != nil {
		return errors.WithMessagef(err, "representation: the batch from example %d on", all.Examples)
	}
	first := all.Examples
	if first == 0 {
		all.Outputs = make([]Output, len(results))
	}
	n := results[0].Shape().Dimensions[0]
	if n == 0 {
		return errors.Errorf("representation: the batch from example %d on has no examples", first)
	}
	for i, r := range results {
		values, err := numbers.Float64s(r)
		if err != nil {
			return err
		}
		if r.Shape().Dimensions[0] != n {
			return errors.Errorf("representation: output #%d has %d examples, but output #0 has %d", i, r.Shape().Dimensions[0], n)
		}
		size := len(values) / n
		if first > 0 && size != all.Outputs[i].Size {
			return errors.Errorf("representation: output #%d has %d values for example %d, but %d for those before",
				i, size, first, all.Outputs[i].Size)
		}
		for k, v := range values {
			if math.IsNaN(v) || math.IsInf(v, 0) {
				return errors.Errorf("representation: output #%d of example %d is %g", i, first+k/size, v)
			}
		}
		all.Outputs[i].Size = size
		all.Outputs[i].Values = append(all.Outputs[i].Values, values...)
		if err := r.FinalizeAll(); err != nil {
			return err
		}
	}
	all.Examples += n
	return all.addLabels(batch, first, n)
}

// addLabels reads the labels of a batch of n examples, of which there are first before, if it has
// one integer for each.
func (all *Evaluation) addLabels(batch train.Batch, first, n int) error {
	has := len(batch.Labels) > 0 && batch.Labels[0].DType().IsInt() && batch.Labels[0].Shape().Size() == n
	if first > 0 && has != (all.Labels != nil) {
		return errors.Errorf("representation: the batch from example %d on has labels, or has none, unlike those before", first)
	}
	if !has {
		return nil
	}
	labels, err := numbers.Int64s(batch.Labels[0])
	all.Labels = append(all.Labels, labels...)
	return err
}
