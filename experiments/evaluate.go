package experiments

import (
	"context"
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
	data    *loaded
	exec    *model.Exec // loss sum, correct, GC sum, over a batch with labels
	onGrid  *model.Exec // outputs and squared derivatives over a batch without
	batches map[string][]examples
	grid    *tensors.Tensor
	keep    bool // the function's values on the grid
}

func newEvaluator(backend compute.Backend, store *model.Store, fn modelFn, data *loaded, keepFunction bool) (*evaluator, error) {
	e := &evaluator{data: data, keep: keepFunction, batches: make(map[string][]examples)}
	var err error
	e.exec, err = model.NewExec(backend, store, func(scope *model.Scope, x, y *graph.Node) []*graph.Node {
		scope.Store().SetTraining(x.Graph(), false)
		outputs := fn(scope, x)
		lossMean := data.lossFn([]*graph.Node{y}, []*graph.Node{outputs})
		if !lossMean.IsScalar() {
			lossMean = graph.ReduceAllMean(lossMean)
		}
		correct := graph.ScalarZero(x.Graph(), outputs.DType())
		if data.classes {
			best := graph.ArgMax(outputs, -1, dtypes.Int32)
			right := graph.Equal(best, graph.Reshape(y, y.Shape().Dim(0)))
			correct = graph.ReduceAllSum(graph.ConvertDType(right, outputs.DType()))
		}
		return []*graph.Node{lossMean, correct, gcml.Complexity(outputs, x)}
	})
	if err != nil {
		return nil, err
	}
	for name, set := range data.measured {
		if e.batches[name], err = split(set); err != nil {
			return nil, err
		}
	}
	if data.grid != nil {
		return e, e.prepareGrid(backend, store, fn)
	}
	return e, nil
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
	for name, batches := range e.batches {
		var lossSum, correct, gcSum float64
		n := 0
		for _, b := range batches {
			if err := ctx.Err(); err != nil {
				return p, err
			}
			out, err := e.exec.Call(b.inputs, b.labels)
			if err != nil {
				return p, fmt.Errorf("measuring on the %s set: %w", name, err)
			}
			lossSum += scalar(out[0]) * float64(b.n)
			correct += scalar(out[1])
			gcSum += scalar(out[2]) * float64(b.n)
			n += b.n
		}
		p.Values[name+"_loss"] = Number(lossSum / float64(n))
		p.Values[name+"_gc"] = Number(gcSum / float64(n))
		if e.data.classes {
			p.Values[name+"_accuracy"] = Number(correct / float64(n))
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
		p.Arrays = map[string][]Number{"f": f}
	}
	return nil
}

// finalize frees the graphs and tensors.
func (e *evaluator) finalize() {
	e.exec.Finalize()
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
