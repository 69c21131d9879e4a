package training

import (
	"context"
	"errors"
	"fmt"
	"math"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/ml/train"

	"github.com/geometric-complexity/toolkit/experiments/runs"
	"github.com/geometric-complexity/toolkit/gcml"
	"github.com/geometric-complexity/toolkit/internal/compiled"
	"github.com/geometric-complexity/toolkit/internal/rows"
)

// gridOptions are the options for measuring a function of one variable, beside GC.
type gridOptions struct {
	keep      bool // the function's values on the grid
	arcLength bool
}

// evalBatch is the largest number of examples measured at once.
const evalBatch = 500

// evaluator measures a network during its training: loss, accuracy and GC on fixed sets. The
// network is in evaluation mode, GC is of the logits, exact, with respect to the inputs or to the
// embeddings of tokens, and without any penalty's coefficient. Its graphs are compiled once and
// draw no random numbers, so measuring does not change the training.
type evaluator struct {
	data *loaded
	// parts are the measurements on sets: for each value its mean over a batch.
	parts  []evaluation
	onGrid *model.Exec // outputs and squared derivatives over a batch without labels
	grid   *tensors.Tensor
	gridOptions
	// diagnostics add further measurements to a point, as the task requests.
	diagnostics []diagnostic
}

// evaluation measures means over a batch, and the sets that it goes over.
type evaluation struct {
	graphs *compiled.Graphs[[]string] // with the names of the means
	sets   map[string][]examples
}

// meansFn builds means over a batch of values of the outputs, the inputs and the labels, and names
// them.
type meansFn func(outputs, x, y *graph.Node) (means []*graph.Node, names []string)

// diagnostic measures something beyond losses, accuracy and GC.
type diagnostic interface {
	measure(ctx context.Context, p *runs.Point) error
	finalize()
}

func newEvaluator(backend compute.Backend, store *model.Store, fn modelFn, data *loaded,
	grid gridOptions) (*evaluator, error) {
	e := &evaluator{data: data, gridOptions: grid}
	fit := func(outputs, _, y *graph.Node) ([]*graph.Node, []string) {
		means := []*graph.Node{graph.ReduceAllMean(data.lossFn([]*graph.Node{y}, []*graph.Node{outputs}))}
		names := []string{"loss"}
		if data.classes {
			best := graph.ArgMax(outputs, -1, dtypes.Int32)
			right := graph.Equal(best, graph.Reshape(y, y.Shape().Dim(0)))
			means = append(means, graph.ReduceAllMean(graph.ConvertDType(right, outputs.DType())))
			names = append(names, "accuracy")
		}
		return means, names
	}
	complexity := func(outputs, x, _ *graph.Node) ([]*graph.Node, []string) {
		return []*graph.Node{gcml.Complexity(outputs, data.differentiatedNode(x))}, []string{"gc"}
	}
	both := func(outputs, x, y *graph.Node) ([]*graph.Node, []string) {
		fitMeans, fitNames := fit(outputs, x, y)
		gc, gcNames := complexity(outputs, x, y)
		return append(fitMeans, gc...), append(fitNames, gcNames...)
	}
	add := func(means meansFn, sets map[string]examples) error {
		part, err := newEvaluation(backend, store, fn, means, sets)
		e.parts = append(e.parts, part)
		return err
	}
	if data.gc == nil {
		if err := add(both, data.measured); err != nil {
			return nil, err
		}
	} else if err := errors.Join(add(fit, data.measured), add(complexity, data.gc)); err != nil {
		return nil, err
	}
	if data.grid != nil {
		return e, e.prepareGrid(backend, store, fn)
	}
	return e, nil
}

// newEvaluation prepares the measurement of means over the batches of sets.
func newEvaluation(backend compute.Backend, store *model.Store, fn modelFn, means meansFn,
	sets map[string]examples) (e evaluation, err error) {
	e.sets = make(map[string][]examples)
	for name, set := range sets {
		if e.sets[name], err = split(set); err != nil {
			return e, err
		}
	}
	e.graphs = compiled.New("evaluation", backend, store,
		func(scope *model.Scope, a compiled.Args) ([]*graph.Node, []string) {
			x, y := a.Inputs[0], a.Labels[0]
			scope.Store().SetTraining(x.Graph(), false)
			return means(fn(scope, x), x, y)
		})
	return e, nil
}

// measure adds the means over each set to the point, under "<set>_<value>".
func (e *evaluation) measure(ctx context.Context, p *runs.Point) error {
	for name, batches := range e.sets {
		sums, n := make(map[string]float64), 0
		for _, b := range batches {
			if err := ctx.Err(); err != nil {
				return err
			}
			means, names, err := e.graphs.Call(train.Batch{Inputs: []*tensors.Tensor{b.inputs},
				Labels: []*tensors.Tensor{b.labels}})
			if err != nil {
				return fmt.Errorf("measuring on the %s set: %w", name, err)
			}
			for i, mean := range means {
				sums[names[i]] += readScalar(mean) * float64(b.n)
			}
			n += b.n
		}
		for value, sum := range sums {
			p.Values[name+"_"+value] = runs.Number(sum / float64(n))
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

// evalBatchSize returns the size of the batches in which n examples are measured: equal ones if
// possible, so that one graph serves all of them.
func evalBatchSize(n int) int {
	size := min(n, evalBatch)
	for d := size; d > size/2; d-- {
		if n%d == 0 {
			return d
		}
	}
	return size
}

// split cuts a set into batches.
func split(set examples) ([]examples, error) {
	size := evalBatchSize(set.n)
	if size == set.n {
		return []examples{set}, nil
	}
	var out []examples
	for from := 0; from < set.n; from += size {
		to := min(from+size, set.n)
		x, err := rows.Slice(set.inputs, from, to)
		if err != nil {
			return nil, err
		}
		y, err := rows.Slice(set.labels, from, to)
		if err != nil {
			return nil, err
		}
		out = append(out, examples{to - from, x, y})
	}
	return out, nil
}

// measure returns the values of one point: "<set>_loss" (mean), "<set>_accuracy" (fraction,
// classifiers only) and "<set>_gc" for each set; for a function of one variable also "interval_gc",
// the mean of its squared derivative over the interval, and if they are kept its values on the grid
// as the array "f".
func (e *evaluator) measure(ctx context.Context, step int64) (runs.Point, error) {
	p := runs.Point{Step: step, Values: make(map[string]runs.Number)}
	for i := range e.parts {
		if err := e.parts[i].measure(ctx, &p); err != nil {
			return p, err
		}
	}
	for _, d := range e.diagnostics {
		if err := d.measure(ctx, &p); err != nil {
			return p, err
		}
	}
	if e.onGrid != nil {
		return p, e.measureGrid(&p)
	}
	return p, nil
}

func (e *evaluator) measureGrid(p *runs.Point) error {
	out, err := e.onGrid.Call(e.grid)
	if err != nil {
		return fmt.Errorf("measuring on the grid: %w", err)
	}
	squares := tensors.MustCopyFlatData[float32](out[1])
	var sum float64
	for _, v := range squares {
		sum += float64(v)
	}
	p.Values["interval_gc"] = runs.Number(sum / float64(len(squares)))
	if e.arcLength {
		p.Values["arc_length"] = runs.Number(polylineLength(e.data.grid, tensors.MustCopyFlatData[float32](out[0])))
	}
	if e.keep {
		values := tensors.MustCopyFlatData[float32](out[0])
		f := make([]runs.Number, len(values))
		for i, v := range values {
			f[i] = runs.ShortNumber(v)
		}
		p.SetArray("f", f)
	}
	return nil
}

// polylineLength is the length of the polyline through the points (x[i], y[i]).
func polylineLength(x []float64, y []float32) (length float64) {
	for i := 1; i < len(x); i++ {
		length += math.Hypot(x[i]-x[i-1], float64(y[i])-float64(y[i-1]))
	}
	return length
}

// finalize frees the graphs and tensors.
func (e *evaluator) finalize() {
	for _, part := range e.parts {
		part.graphs.Finalize()
	}
	for _, d := range e.diagnostics {
		d.finalize()
	}
	if e.onGrid != nil {
		e.onGrid.Finalize()
	}
}

// readScalar returns the value of a scalar tensor, and frees the tensor.
func readScalar(t *tensors.Tensor) float64 {
	v := shapes.ConvertTo[float64](t.Value())
	_ = t.FinalizeAll()
	return v
}
