package experiments

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"

	"example.com/geometric-complexity/gcml"
)

// evalBatch is the largest number of examples measured at once.
const evalBatch = 500

// evaluator measures a network during its training: loss, accuracy and GC on
// fixed sets. The network is in evaluation mode, GC is of the logits, exact,
// and without any penalty's coefficient. Its graphs are compiled once and draw
// no random numbers, so that measuring leaves the training as it was.
type evaluator struct {
	data *loaded
	// parts are what is measured on sets: the mean over a batch of each value.
	parts  []evaluation
	onGrid *model.Exec // outputs and squared derivatives over a batch without labels
	grid   *tensors.Tensor
	keep   bool // the function's values on the grid
	// diagnostics add to a point what a task asks for besides.
	diagnostics []diagnostic
}

// evaluation is a graph that gives means over a batch, with the sets it goes over.
type evaluation struct {
	exec   *model.Exec
	values []string // of the graph's outputs
	sets   map[string][]examples
}

// diagnostic measures something beyond losses, accuracy and GC.
type diagnostic interface {
	measure(p *Point) error
	finalize()
}

func newEvaluator(backend compute.Backend, store *model.Store, fn modelFn, data *loaded, keepFunction bool) (*evaluator, error) {
	e := &evaluator{data: data, keep: keepFunction}
	fit := func(outputs, _, y *graph.Node) []*graph.Node {
		means := []*graph.Node{graph.ReduceAllMean(data.lossFn([]*graph.Node{y}, []*graph.Node{outputs}))}
		if data.classes {
			best := graph.ArgMax(outputs, -1, dtypes.Int32)
			right := graph.Equal(best, graph.Reshape(y, y.Shape().Dim(0)))
			means = append(means, graph.ReduceAllMean(graph.ConvertDType(right, outputs.DType())))
		}
		return means
	}
	fitValues := []string{"loss"}
	if data.classes {
		fitValues = append(fitValues, "accuracy")
	}
	complexity := func(outputs, x, _ *graph.Node) []*graph.Node {
		return []*graph.Node{gcml.Complexity(outputs, x)}
	}
	both := func(outputs, x, y *graph.Node) []*graph.Node {
		return append(fit(outputs, x, y), complexity(outputs, x, y)...)
	}
	add := func(means func(outputs, x, y *graph.Node) []*graph.Node, values []string, sets map[string]examples) error {
		part, err := newEvaluation(backend, store, fn, means, values, sets)
		e.parts = append(e.parts, part)
		return err
	}
	if data.gc == nil {
		if err := add(both, append(fitValues, "gc"), data.measured); err != nil {
			return nil, err
		}
	} else if err := errors.Join(add(fit, fitValues, data.measured), add(complexity, []string{"gc"}, data.gc)); err != nil {
		return nil, err
	}
	if data.grid != nil {
		return e, e.prepareGrid(backend, store, fn)
	}
	return e, nil
}

// newEvaluation compiles the means over a batch of values of the outputs, the
// inputs and the labels, for the batches of some sets.
func newEvaluation(backend compute.Backend, store *model.Store, fn modelFn, means func(outputs, x, y *graph.Node) []*graph.Node,
	values []string, sets map[string]examples) (e evaluation, err error) {
	e = evaluation{values: values, sets: make(map[string][]examples)}
	for name, set := range sets {
		if e.sets[name], err = split(set); err != nil {
			return e, err
		}
	}
	e.exec, err = model.NewExec(backend, store, func(scope *model.Scope, x, y *graph.Node) []*graph.Node {
		scope.Store().SetTraining(x.Graph(), false)
		return means(fn(scope, x), x, y)
	})
	return e, err
}

// measure adds the means over each set to the point, under "<set>_<value>".
func (e *evaluation) measure(ctx context.Context, p *Point) error {
	for name, batches := range e.sets {
		sums, n := make([]float64, len(e.values)), 0
		for _, b := range batches {
			if err := ctx.Err(); err != nil {
				return err
			}
			out, err := e.exec.Call(b.inputs, b.labels)
			if err != nil {
				return fmt.Errorf("measuring on the %s set: %w", name, err)
			}
			for i, mean := range out {
				sums[i] += scalar(mean) * float64(b.n)
			}
			n += b.n
		}
		for i, value := range e.values {
			p.Values[name+"_"+value] = Number(sums[i] / float64(n))
		}
	}
	return nil
}

// prepareGrid compiles the measurement of a function of one variable.
func (e *evaluator) prepareGrid(backend compute.Backend, store *model.Store, fn modelFn) (err error) {
	flat := make([]float32, len(e.data.grid))
	for i, x := range e.data.grid {
		flat[i] = float32(x)
	}
	e.grid = tensors.FromFlatDataAndDimensions(flat, len(flat), 1)
	e.onGrid, err = model.NewExec(backend, store, func(scope *model.Scope, x *graph.Node) []*graph.Node {
		scope.Store().SetTraining(x.Graph(), false)
		outputs := fn(scope, x)
		return []*graph.Node{outputs, gcml.SquaredJacobianNorm(outputs, x)}
	})
	return err
}

// split cuts a set into batches of equal size where that is possible, so that
// one graph serves all of them.
func split(set examples) ([]examples, error) {
	size := min(set.n, evalBatch)
	for d := size; d > size/2; d-- {
		if set.n%d == 0 {
			size = d
			break
		}
	}
	if size == set.n {
		return []examples{set}, nil
	}
	var out []examples
	for from := 0; from < set.n; from += size {
		to := min(from+size, set.n)
		x, err := rows(set.inputs, from, to)
		if err != nil {
			return nil, err
		}
		y, err := rows(set.labels, from, to)
		if err != nil {
			return nil, err
		}
		out = append(out, examples{to - from, x, y})
	}
	return out, nil
}

// rows copies the examples from..to of a tensor of any dtype.
func rows(t *tensors.Tensor, from, to int) (*tensors.Tensor, error) {
	dims := slices.Clone(t.Shape().Dimensions)
	total := dims[0]
	dims[0] = to - from
	out := tensors.FromShape(shapes.Make(t.DType(), dims...))
	var inner error
	err := t.ConstBytes(func(all []byte) {
		size := len(all) / total
		inner = out.MutableBytes(func(part []byte) { copy(part, all[from*size:to*size]) })
	})
	if err == nil {
		err = inner
	}
	return out, err
}

// measure returns the values of one point: "<set>_loss" (mean), "<set>_accuracy"
// (fraction, classifiers only) and "<set>_gc" for each set; for a function of
// one variable also "interval_gc", the mean of its squared derivative over the
// interval, and if they are kept its values on the grid as the array "f".
func (e *evaluator) measure(ctx context.Context, step int64) (Point, error) {
	p := Point{Step: step, Values: make(map[string]Number)}
	for i := range e.parts {
		if err := e.parts[i].measure(ctx, &p); err != nil {
			return p, err
		}
	}
	for _, d := range e.diagnostics {
		if err := d.measure(&p); err != nil {
			return p, err
		}
	}
	if e.onGrid != nil {
		return p, e.measureGrid(&p)
	}
	return p, nil
}

func (e *evaluator) measureGrid(p *Point) error {
	out, err := e.onGrid.Call(e.grid)
	if err != nil {
		return fmt.Errorf("measuring on the grid: %w", err)
	}
	squares := tensors.MustCopyFlatData[float32](out[1])
	var sum float64
	for _, v := range squares {
		sum += float64(v)
	}
	p.Values["interval_gc"] = Number(sum / float64(len(squares)))
	if e.keep {
		values := tensors.MustCopyFlatData[float32](out[0])
		f := make([]Number, len(values))
		for i, v := range values {
			f[i] = shortNumber(v)
		}
		p.setArray("f", f)
	}
	return nil
}

// finalize frees the graphs and tensors.
func (e *evaluator) finalize() {
	for _, part := range e.parts {
		part.exec.Finalize()
	}
	for _, d := range e.diagnostics {
		d.finalize()
	}
	if e.onGrid != nil {
		e.onGrid.Finalize()
	}
}

func scalar(t *tensors.Tensor) float64 {
	v := shapes.ConvertTo[float64](t.Value())
	_ = t.FinalizeAll()
	return v
}

func finite(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) }
