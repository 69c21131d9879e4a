package onnxmodel

import (
	"fmt"
	"math"
	"slices"

	"github.com/gomlx/compute"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"

	"github.com/geometric-complexity/toolkit/internal/rows"
)

// mostTogether is the number of examples that CheckIndependence compares.
const mostTogether = 4

// CheckIndependence computes the outputs of some examples together, and of each among copies of
// itself. It refuses a network whose output for an example changes: with the other examples of its
// batch, with their number, or with its place among them. The derivatives that Check follows do not
// tell, if the examples meet in an input that is held fixed, as in the longest length of a mask, in
// a value that is constant almost everywhere, or in a shape. inputs are those of a batch, and size
// is the only size of a batch that the network takes, or 0. Its errors name the file.
func (m *Model) CheckIndependence(backend compute.Backend, fn func(*model.Scope, []*graph.Node) *graph.Node,
	inputs []*tensors.Tensor, size int) error {
	if inputs[0].Shape().Dimensions[0] < 2 {
		return nil // What the batch is, is all that there is.
	}
	if size == 0 && m.derivativesShowMeetings() {
		return nil // Check has seen that none meet. Batches of one size may have constants for each place.
	}
	return m.compareBatches(backend, fn, inputs, size)
}

// compareBatches is CheckIndependence for all networks, and for two examples or more.
func (m *Model) compareBatches(backend compute.Backend, fn func(*model.Scope, []*graph.Node) *graph.Node,
	inputs []*tensors.Tensor, size int) error {
	count := inputs[0].Shape().Dimensions[0]
	picked := spaced(count, mostTogether)
	together, copies := picked, len(picked)+1
	if size > 0 {
		together, copies = spaced(count, count), count
	}
	program, err := model.NewExec1(backend, m.Store, fn)
	if err != nil {
		return nil // Measuring says why.
	}
	defer program.Finalize()
	run := func(indices []int) ([][]float64, error) {
		taken := make([]any, len(inputs))
		for i, in := range inputs {
			t, err := rows.Take(in, indices)
			if err != nil {
				return nil, err
			}
			taken[i] = t
		}
		return outputRows(program, taken, len(indices))
	}
	all, err := run(together)
	if err != nil {
		return nil // Measuring says why.
	}
	for _, example := range picked {
		alone, err := run(slices.Repeat([]int{example}, copies))
		if err != nil {
			return nil // It takes no batch of this size.
		}
		own := all[slices.Index(together, example)]
		for _, y := range alone {
			if !nearlyEqual(own, y) {
				return &AxisError{fmt.Errorf("%s: output %s of an example changes with the other examples of its batch, or with "+
					"their number, which is not supported: if the examples are not on the first axis, or an input holds for all "+
					"of them, say so",
					m.path, m.output), false}
			}
		}
	}
	return nil
}

// spaced returns at most most of the numbers below count, the first and the last among them.
func spaced(count, most int) []int {
	most = min(most, count)
	picked := make([]int, most)
	for i := range picked {
		picked[i] = i * (count - 1) / max(1, most-1)
	}
	return picked
}

// outputRows runs a network, and returns the output of each example.
func outputRows(program *model.ExecOneOutput, inputs []any, count int) (outputs [][]float64, err error) {
	y, err := program.Call(inputs...)
	if err != nil {
		return nil, err
	}
	defer func() { _ = y.FinalizeAll() }()
	if y.Shape().Rank() == 0 || y.Shape().Dimensions[0] != count {
		return nil, fmt.Errorf("output of shape %s for %d examples", y.Shape(), count)
	}
	err = y.ConstFlatData(func(flat any) {
		values := numbers[float64](flat)
		each := len(values) / count
		for i := range count {
			outputs = append(outputs, values[i*each:(i+1)*each])
		}
	})
	return outputs, err
}

// nearlyEqual reports whether outputs are the same but for rounding, which differs with the size of
// a batch.
func nearlyEqual(a, b []float64) bool {
	const tolerance = 1e-3
	var largest, apart float64
	for i := range a {
		if d := math.Abs(a[i] - b[i]); !math.IsNaN(d) && !math.IsInf(d, 0) {
			largest, apart = max(largest, math.Abs(a[i]), math.Abs(b[i])), max(apart, d)
		}
	}
	return apart <= tolerance*largest
}
