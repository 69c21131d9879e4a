package inspect

import (
	"cmp"
	"math"
	"slices"

	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/ml/train"
	"github.com/pkg/errors"

	"github.com/geometric-complexity/toolkit/gcml"
	"github.com/geometric-complexity/toolkit/internal/compiled"
	"github.com/geometric-complexity/toolkit/internal/numbers"
	"github.com/geometric-complexity/toolkit/internal/precision"
	"github.com/geometric-complexity/toolkit/internal/random"
	"github.com/geometric-complexity/toolkit/internal/rows"
)

// sensitiveValues is the number of values of an input that are named.
const sensitiveValues = 3

// examples describes the most and the least sensitive examples.
func (in *inspection) examples() error {
	norms := in.report.GC.PerExample
	order := make([]int, len(norms)) // The most sensitive first, of equal ones the first.
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(norms[b], norms[a]) })
	count := in.options.Shown
	if count == 0 {
		count = defaultShown
	}
	most := order[:min(count, (len(order)+1)/2)]
	least := slices.Clone(order[max(len(most), len(order)-count):])
	slices.Reverse(least)
	for i, index := range slices.Concat(most, least) {
		e := Example{Index: index, Most: i < len(most), SquaredNorm: norms[index],
			SpectralNorm: in.report.GC.Spectrum.PerExample[index]}
		if in.outputs.Labels != nil {
			e.Label = &in.outputs.Labels[index]
		}
		if in.decisions != nil {
			e.Decision, e.Margin = &in.decisions[index], &in.margins[index]
		}
		in.report.Shown = append(in.report.Shown, e)
	}
	return in.maps()
}

// maps computes how sensitive the outputs are to each value of the shown examples' inputs.
func (in *inspection) maps() error {
	in.advance("maps of the inputs", 0)
	build := func(scope *model.Scope, a compiled.Args) ([]*graph.Node, int) {
		scope.Store().SetTraining(a.Inputs[0].Graph(), false)
		defer random.ReplaceState(scope.Store(), a.Extra[0])()
		output := in.subject.output(scope, a.Spec, a.Inputs)[0]
		input := a.Inputs[in.subject.Input]
		if in.subject.InputNode != "" {
			input = input.Graph().GetNodeByAlias(absolute(in.subject.InputNode))
		}
		// In float16 the squares would over- or underflow.
		output = precision.Wide(output)
		squares := gcml.SquaredJacobianColumnNorms(output, input, gcml.WithEstimator(in.options.Estimator))
		return []*graph.Node{squares, input}, 0
	}
	graphs := compiled.New("inspect", in.backend, in.subject.Store, build)
	defer graphs.Finalize()
	layout, isImage := in.imageLayout()
	state, err := graph.RNGStateFromSeed(in.options.Seed)
	if err != nil {
		return err
	}
	next := 0
	for batch, err := range in.subject.Data.Iter() {
		if err != nil {
			return err
		}
		err = in.ctx.Err()
		if err == nil {
			next, err = in.mapBatch(graphs, state, batch, next, layout, isImage)
		}
		if finalizeErr := batch.Finalize(); err == nil {
			err = finalizeErr
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// mapBatch does the shown examples of one batch, whose first example is first, with random numbers
// from the state. It returns the first example of the next batch.
func (in *inspection) mapBatch(graphs *compiled.Graphs[int], state *tensors.Tensor, batch train.Batch, first int,
	layout imageLayout, isImage bool) (int, error) {
	n := batch.Inputs[in.subject.Input].Shape().Dimensions[0]
	var shown []*Example
	var rows []int
	for i := range in.report.Shown {
		if e := &in.report.Shown[i]; e.Index >= first && e.Index < first+n {
			shown, rows = append(shown, e), append(rows, e.Index-first)
		}
	}
	if len(shown) == 0 {
		return first + n, nil
	}
	if in.subject.BatchSize > 0 { // The network takes no smaller batch.
		rows = append(rows, slices.Repeat([]int{0}, n-len(rows))...)
	}
	var inputs []*tensors.Tensor
	for _, x := range batch.Inputs {
		picked, err := pickRows(x, rows, n)
		if err != nil {
			return 0, err
		}
		inputs = append(inputs, picked)
	}
	results, _, err := graphs.Call(train.Batch{Inputs: inputs, Spec: batch.Spec}, state)
	if err != nil {
		return 0, errors.WithMessage(err, "inspect: maps of the inputs")
	}
	squares, err := numbers.Float64s(results[0])
	if err != nil {
		return 0, err
	}
	values, err := numbers.Float64s(results[1])
	if err != nil {
		return 0, err
	}
	size := in.found.inputs()
	if len(squares) != len(rows)*size || len(values) != len(squares) {
		return 0, errors.Errorf("inspect: the inputs have other sizes in the batch from example %d on than in the first",
			first)
	}
	for i, e := range shown {
		own := squares[i*size : (i+1)*size]
		e.Sensitive = mostSensitive(own, in.found.input)
		if isImage {
			if e.image, e.sensitivity, err = layout.draw(values[i*size:(i+1)*size], own); err != nil {
				return 0, err
			}
		}
	}
	for _, t := range slices.Concat(results, inputs) {
		if err := t.FinalizeAll(); err != nil {
			return 0, err
		}
	}
	return first + n, nil
}

// mostSensitive returns the values with the largest squared norms.
func mostSensitive(squares []float64, dims []int) []Value {
	order := make([]int, len(squares))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(squares[b], squares[a]) })
	var values []Value
	for _, flat := range order[:min(sensitiveValues, len(order))] {
		v := Value{Index: make([]int, len(dims)), Norm: math.Sqrt(squares[flat])}
		for axis := len(dims) - 1; axis >= 0; axis-- {
			v.Index[axis], flat = flat%dims[axis], flat/dims[axis]
		}
		values = append(values, v)
	}
	return values
}

// pickRows returns the rows of a tensor [n, ...], or a copy of a tensor that has no rows for the n
// examples.
func pickRows(x *tensors.Tensor, indices []int, n int) (*tensors.Tensor, error) {
	if x.Shape().Rank() == 0 || x.Shape().Dimensions[0] != n {
		return x.LocalClone()
	}
	return rows.Take(x, indices)
}
