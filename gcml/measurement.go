package gcml

import (
	"context"
	"math"
	"slices"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/train"
	"github.com/pkg/errors"

	"github.com/geometric-complexity/toolkit/internal/compiled"
	"github.com/geometric-complexity/toolkit/internal/numbers"
)

// measurement accumulates the batches of one pass over a data set.
type measurement struct {
	*Measurer
	state *tensors.Tensor // The random state before the next batch.

	batches         int
	outputs, inputs int       // The largest dimensions of an example's Jacobian.
	norms           []float64 // Per example.
	labels          []int64   // Per example.
	perOutput       []float64 // Sums over the examples.
	layers          []layerNorms
	spectra         spectra
	float64         bool // the norms are computed in float64
	cancels         bool // a batch cancelled in the closed form, so that no further one takes it
}

// layerNorms holds the squared norms of a named layer.
type layerNorms struct {
	name  string
	size  int
	norms []float64 // Per example.
}

func (m *Measurer) newMeasurement() (*measurement, error) {
	state, err := m.newState()
	return &measurement{Measurer: m, state: state}, err
}

// add measures one batch.
func (m *measurement) add(ctx context.Context, batch train.Batch) error {
	if err := m.checkInputs(batch); err != nil {
		return err
	}
	first, state := len(m.norms), m.state
	if err := m.runPrecisely(ctx, batch); err != nil {
		return err
	}
	if err := m.checkNorms(first); err != nil {
		return err
	}
	if m.options.spectrum {
		if err := m.addSpectrum(batch, state); err != nil {
			return err
		}
	}
	if m.options.perClass {
		if err := m.collectLabels(batch, len(m.norms)-first); err != nil {
			return err
		}
	}
	m.batches++
	m.trim()
	return state.FinalizeAll()
}

// runPrecisely runs the batch's graph, and once more without the closed form if its values cancel
// there.
func (m *measurement) runPrecisely(ctx context.Context, batch train.Batch) error {
	if !m.cancels {
		before := *m
		before.perOutput, before.layers = slices.Clone(m.perOutput), slices.Clone(m.layers)
		if err := m.run(ctx, m.graphs, batch); err != nil || !m.cancels {
			return err
		}
		if err := m.state.FinalizeAll(); err != nil { // add frees the one before.
			return err
		}
		*m = before
		m.cancels = true
	}
	return m.run(ctx, m.withoutClosedForm, batch)
}

// run runs the batch's graph once per round, each time from the same random state.
func (m *measurement) run(ctx context.Context, graphs *compiled.Graphs[layout], batch train.Batch) error {
	first := len(m.norms)
	for round, rounds := 0, 1; round < rounds; round++ {
		if err := ctx.Err(); err != nil {
			return err
		}
		number := tensors.FromScalar(int32(round))
		results, l, err := graphs.Call(train.Batch{Inputs: batch.Inputs, Spec: batch.Spec}, number, m.state)
		if err != nil {
			return errors.WithMessagef(err, "gcml.Measure: batch %d", m.batches)
		}
		if round == 0 {
			rounds = l.rounds()
			if err := m.extend(l); err != nil {
				return err
			}
		}
		if err := m.collect(l, round, first, results); err != nil {
			return err
		}
		last := len(results) - 1
		if round == rounds-1 {
			m.state, results = results[last], results[:last] // add frees the previous state.
		}
		for _, r := range append(results, number) {
			if err := r.FinalizeAll(); err != nil {
				return err
			}
		}
	}
	return nil
}

// extend appends zeros for the examples of a batch, to which collect adds.
func (m *measurement) extend(l layout) error {
	p := l.plans[0]
	if m.batches == 0 {
		if m.options.perOutput {
			m.perOutput = make([]float64, p.outputs)
		}
		for i, name := range l.layers {
			m.layers = append(m.layers, layerNorms{name: name, size: l.plans[1+i].outputs})
		}
	}
	if m.options.perOutput && p.outputs != len(m.perOutput) {
		return errors.Errorf("gcml.Measure: batch %d has %d outputs, but earlier batches had %d: "+
			"WithPerOutput needs the same number in all batches", m.batches, p.outputs, len(m.perOutput))
	}
	if !slices.EqualFunc(m.layers, l.layers, func(a layerNorms, name string) bool { return a.name == name }) {
		return errors.Errorf("gcml.Measure: batch %d has the layers %q, but earlier batches had others: "+
			"WithLayers needs the same in all batches", m.batches, l.layers)
	}
	m.outputs, m.inputs = max(m.outputs, p.outputs), max(m.inputs, p.inputs)
	m.norms = append(m.norms, make([]float64, p.batch)...)
	for i := range m.layers {
		layer := &m.layers[i]
		layer.size = max(layer.size, l.plans[1+i].outputs)
		layer.norms = append(layer.norms, make([]float64, p.batch)...)
	}
	return nil
}

// collect adds the results of one round to the examples from first on.
func (m *measurement) collect(l layout, round, first int, results []*tensors.Tensor) error {
	cancels, err := numbers.Float64s(results[len(l.plans)])
	if err != nil {
		return err
	}
	m.cancels = m.cancels || cancels[0] > 0
	for k, p := range l.plans {
		if round >= p.rounds {
			continue
		}
		values, err := numbers.Float64s(results[k])
		if err != nil {
			return err
		}
		m.float64 = results[k].DType() == dtypes.Float64
		norms := m.norms
		if k > 0 {
			norms = m.layers[k-1].norms
		}
		for i, v := range values {
			norms[first+i%p.batch] += v
		}
		if k == 0 && m.options.perOutput {
			m.collectOutputs(values, round*p.atOnce, p.batch, first)
		}
	}
	return nil
}

// collectOutputs adds squared norms per output, [outputs, batch], whose first row belongs to the
// given output. It ignores rows beyond the last output.
func (m *measurement) collectOutputs(values []float64, output, batch, first int) {
	for i, v := range values {
		if at := output + i/batch; at < len(m.perOutput) && m.wanted(first+i%batch) {
			m.perOutput[at] += v
		}
	}
}

// wanted says whether the i-th example is within WithMaxExamples.
func (m *measurement) wanted(i int) bool {
	return m.options.maxExamples == 0 || i < m.options.maxExamples
}

// checkInputs returns an error for the first input value that is NaN or Inf. The norms may not show
// it, because a saturated unit hides it.
func (m *measurement) checkInputs(batch train.Batch) error {
	size := -1 // The batch's, if it is known.
	if i := m.options.input; i < len(batch.Inputs) && batch.Inputs[i].Rank() > 0 {
		size = batch.Inputs[i].Shape().Dimensions[0]
	}
	for k, in := range batch.Inputs {
		if !in.DType().IsFloat() {
			continue
		}
		values, err := numbers.Float64s(in)
		if err != nil {
			return err
		}
		isForAll := in.Rank() == 0 || in.Shape().Dimensions[0] != size
		for i, v := range values {
			if !math.IsNaN(v) && !math.IsInf(v, 0) {
				continue
			}
			if isForAll {
				return errors.Errorf("gcml.Measure: batch %d: input #%d holds %g", m.batches, k, v)
			}
			if example := len(m.norms) + i/(len(values)/size); m.wanted(example) {
				return errors.Errorf("gcml.Measure: batch %d, example %d: input #%d holds %g", m.batches, example, k, v)
			}
		}
	}
	return nil
}

// checkNorms returns an error if a squared norm of an example from first on is NaN or Inf.
func (m *measurement) checkNorms(first int) error {
	if err := m.checkFinite(m.norms, first, "the squared Jacobian norm"); err != nil {
		return err
	}
	for _, layer := range m.layers {
		if err := m.checkFinite(layer.norms, first, "the squared Jacobian norm of "+layer.name); err != nil {
			return err
		}
	}
	return nil
}

func (m *measurement) checkFinite(norms []float64, first int, what string) error {
	for i, v := range norms[first:] {
		if (math.IsNaN(v) || math.IsInf(v, 0)) && m.wanted(first+i) {
			advice := "check the weights for NaN, Inf or very large values"
			if !m.float64 {
				advice += ", or measure the model in float64, because float32 ends at 3e38"
			}
			return errors.Errorf("gcml.Measure: batch %d, example %d: %s is %g although the inputs are finite: %s",
				m.batches, first+i, what, v, advice)
		}
	}
	return nil
}

// trim removes examples beyond WithMaxExamples.
func (m *measurement) trim() {
	n := m.options.maxExamples
	if n == 0 || len(m.norms) <= n {
		return
	}
	m.norms = m.norms[:n]
	if m.options.perClass {
		m.labels = m.labels[:n]
	}
	for i := range m.layers {
		m.layers[i].norms = m.layers[i].norms[:n]
	}
}

// collectLabels reads the class of each of the n examples.
func (m *measurement) collectLabels(batch train.Batch, n int) error {
	if len(batch.Labels) == 0 {
		return errors.Errorf("gcml.Measure: WithPerClass needs labels, but batch %d has none", m.batches)
	}
	labels := batch.Labels[0]
	if !labels.DType().IsInt() || labels.Shape().Size() != n {
		return errors.Errorf("gcml.Measure: WithPerClass needs one integer label per example, [%d] or [%d, 1], "+
			"but batch %d has %s", n, n, m.batches, labels.Shape())
	}
	classes, err := numbers.Int64s(labels)
	if err != nil {
		return errors.WithMessagef(err, "gcml.Measure: the labels of batch %d", m.batches)
	}
	m.labels = append(m.labels, classes...)
	return nil
}
