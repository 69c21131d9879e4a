package gcml

import (
	"context"
	"maps"
	"math"
	"slices"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/dtypes/gotype"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/ml/train"
	"github.com/gomlx/gomlx/support/exceptions"
	"github.com/pkg/errors"
	"gonum.org/v1/gonum/stat"
)

// measurement accumulates batches.
type measurement struct {
	options options
	backend compute.Backend
	exec    *model.Exec
	modelFn train.ModelFn
	spec    any
	inputs  int // How many inputs the data set gives.

	// misuse is what the building of a graph panicked with: GoMLX returns it
	// wrapped in what it was doing.
	misuse error

	// Set while the graph is built, the same for every batch size.
	outputSize, inputSize int
	layerNames            []string
	layerSizes            []int
	// rounds is how many times the graph runs per batch, each time for the next
	// step outputs; 1 where one graph holds all of them.
	rounds, step int

	batches   int
	norms     []float64   // Per example.
	labels    []int       // Per example.
	perOutput []float64   // Sums.
	layers    [][]float64 // Per layer and example.
}

func newMeasurement(backend compute.Backend, store *model.Store, fn train.ModelFn, opts []Option) *measurement {
	m := &measurement{options: newOptions(opts), backend: backend, modelFn: fn}
	if err := m.options.estimator.check(); err != nil {
		panic(err)
	}
	if m.options.perOutput && m.options.estimator.kind != "" && m.options.estimator.kind != kindExact {
		exceptions.Panicf("gcml.Measure: the estimator %s mixes the outputs: per output needs the exact one", m.options.estimator)
	}
	exec, err := model.NewExec(backend, store, m.build)
	if err != nil {
		panic(err)
	}
	m.exec = exec.WithName("gcml.Measure")
	m.exec.SetMaxCache(-1) // A data set may have any number of batch sizes.
	return m
}

func (m *measurement) finalize() { m.exec.Finalize() }

// build is the graph of one batch: the inputs of the model, then the number of
// the round. It returns the norms per example, [batch] or, per output,
// [outputs of this round, batch], and then those of the layers.
func (m *measurement) build(scope *model.Scope, args []*graph.Node) []*graph.Node {
	defer func() {
		if r := recover(); r != nil {
			m.misuse, _ = r.(error)
			panic(r)
		}
	}()
	inputs, round := args[:m.inputs], args[m.inputs]
	scope.Store().SetTraining(inputs[0].Graph(), false)
	output, input := m.options.pick(m.modelFn(scope, m.spec, inputs), inputs)
	j := newJacobian(output, input, m.options)
	m.outputSize, m.inputSize = j.numOutputs(), input.Shape().Size()/j.batch()
	m.rounds, m.step = 1, j.numOutputs()
	if j.opts.estimator.isExact(j.numOutputs()) {
		m.step = j.carried(j.numOutputs())
		m.rounds = (j.numOutputs() + m.step - 1) / m.step
	}
	var norms *graph.Node
	switch {
	case m.rounds > maxParts:
		norms = j.norms(j.unitCotangentsOfRound(round, m.step)) // [step, batch]
		if !m.options.perOutput {
			norms = graph.ReduceSum(norms, 0)
		}
	case m.options.perOutput:
		m.rounds, m.step = 1, j.numOutputs()
		norms = graph.Transpose(j.perOutput(), 0, 1)
	default:
		m.rounds, m.step = 1, j.numOutputs()
		norms = j.total()
	}
	results := append([]*graph.Node{norms}, m.buildLayers(j)...)
	for i, r := range results {
		if r.DType().Size() < 4 {
			results[i] = graph.ConvertDType(r, dtypes.Float32)
		}
	}
	return results
}

// buildLayers returns the norms of the named nodes.
func (m *measurement) buildLayers(j *jacobian) []*graph.Node {
	m.layerNames, m.layerSizes = nil, nil
	if !m.options.layers {
		return nil
	}
	var norms []*graph.Node
	for _, n := range j.pullback.Nodes() {
		if n.GetAlias() == "" || n == j.inputs || n.Rank() == 0 || n.Shape().Dimensions[0] != j.batch() {
			continue
		}
		layer := newJacobian(n, j.inputs, j.opts)
		m.layerNames = append(m.layerNames, n.GetAlias())
		m.layerSizes = append(m.layerSizes, layer.numOutputs())
		norms = append(norms, layer.total())
	}
	if len(norms) == 0 {
		exceptions.Panicf("gcml.Measure: no layers to report: name the nodes in the model with Node.WithAlias")
	}
	return norms
}

// add measures one batch.
func (m *measurement) add(ctx context.Context, batch train.Batch) error {
	first := len(m.norms)
	m.inputs, m.spec = len(batch.Inputs), batch.Spec
	if len(batch.Inputs) == 0 {
		return errors.Errorf("gcml.Measure: batch %d has no inputs", m.batches)
	}
	if err := m.checkInputs(batch); err != nil {
		return err
	}
	m.rounds = 1
	for round := 0; round < m.rounds; round++ { // build sets rounds.
		if err := ctx.Err(); err != nil {
			return err
		}
		args := make([]any, 0, len(batch.Inputs)+1)
		for _, in := range batch.Inputs {
			args = append(args, in)
		}
		outputs, err := m.exec.Call(append(args, int32(round*m.step))...)
		if m.misuse != nil {
			err = m.misuse
		}
		if err != nil {
			return errors.WithMessagef(err, "gcml.Measure: batch %d", m.batches)
		}
		if err := m.collect(first, round, outputs); err != nil {
			return err
		}
	}
	if err := m.checkNorms(first); err != nil {
		return err
	}
	if m.options.perClass {
		if err := m.collectLabels(batch, len(m.norms)-first); err != nil {
			return err
		}
	}
	m.batches++
	m.trim()
	return nil
}

// collect adds the results of one round to the examples from first on.
func (m *measurement) collect(first, round int, outputs []*tensors.Tensor) error {
	values, err := toFloat64(outputs[0])
	if err != nil {
		return err
	}
	batch := outputs[0].Shape().Dimensions[outputs[0].Rank()-1]
	if round == 0 {
		m.norms = append(m.norms, make([]float64, batch)...)
	}
	if m.options.perOutput && m.perOutput == nil {
		m.perOutput = make([]float64, m.outputSize)
	}
	for i, v := range values {
		m.norms[first+i%batch] += v
		output := round*m.step + i/batch
		if m.options.perOutput && output < m.outputSize && m.wanted(first+i%batch) {
			m.perOutput[output] += v
		}
	}
	if round > 0 {
		return nil // The layers are the same in every round.
	}
	if m.layers == nil {
		m.layers = make([][]float64, len(m.layerNames))
	}
	for i, out := range outputs[1:] {
		values, err := toFloat64(out)
		if err != nil {
			return err
		}
		m.layers[i] = append(m.layers[i], values...)
	}
	return nil
}

// wanted tells whether the i-th example is among those that were asked for.
func (m *measurement) wanted(i int) bool {
	return m.options.maxExamples == 0 || i < m.options.maxExamples
}

// checkInputs returns an error for the first input value that is NaN or Inf. The
// norms alone would not show it: a saturated unit can hide it.
func (m *measurement) checkInputs(batch train.Batch) error {
	for k, in := range batch.Inputs {
		if !in.DType().IsFloat() || in.DType().Size() < 4 || in.Rank() == 0 {
			continue
		}
		values, err := toFloat64(in)
		if err != nil {
			return err
		}
		perExample := max(1, len(values)/in.Shape().Dimensions[0])
		for i, v := range values {
			if math.IsNaN(v) || math.IsInf(v, 0) {
				return errors.Errorf("gcml.Measure: batch %d, example %d: input #%d holds %g", m.batches, len(m.norms)+i/perExample, k, v)
			}
		}
	}
	return nil
}

// checkNorms returns an error for the first example, from first on, whose norm
// is NaN or Inf.
func (m *measurement) checkNorms(first int) error {
	for i, v := range m.norms[first:] {
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return errors.Errorf("gcml.Measure: batch %d, example %d: the squared Jacobian norm is %g although the inputs are finite: look at the weights",
				m.batches, first+i, v)
		}
	}
	return nil
}

// trim drops examples beyond the number asked for.
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
		m.layers[i] = m.layers[i][:n]
	}
}

// collectLabels reads the class of each of the n examples.
func (m *measurement) collectLabels(batch train.Batch, n int) error {
	if len(batch.Labels) == 0 {
		return errors.Errorf("gcml.Measure: per class needs labels, and batch %d has none", m.batches)
	}
	labels := batch.Labels[0]
	if !labels.DType().IsInt() || labels.Shape().Size() != n {
		return errors.Errorf("gcml.Measure: per class needs one integer label per example, [%d] or [%d, 1], and batch %d has %s",
			n, n, m.batches, labels.Shape())
	}
	values, err := toFloat64(labels)
	if err != nil {
		return err
	}
	for _, v := range values {
		m.labels = append(m.labels, int(v))
	}
	return nil
}

// result turns the sums into means.
func (m *measurement) result() Result {
	r := Result{
		Examples:  len(m.norms),
		Estimator: m.options.estimator.String(),
		Outputs:   m.outputSize,
		Inputs:    m.inputSize,
		Backend:   m.backend.Name(),
	}
	r.GC, r.StdErr = meanAndError(m.norms)
	for _, sum := range m.perOutput {
		r.PerOutput = append(r.PerOutput, sum/float64(len(m.norms)))
	}
	byClass := make(map[int][]float64)
	for i, class := range m.labels {
		byClass[class] = append(byClass[class], m.norms[i])
	}
	for _, class := range slices.Sorted(maps.Keys(byClass)) {
		gc, stdErr := meanAndError(byClass[class])
		r.PerClass = append(r.PerClass, ClassResult{Class: class, GC: gc, StdErr: stdErr, Examples: len(byClass[class])})
	}
	for i, name := range m.layerNames {
		gc, stdErr := meanAndError(m.layers[i])
		r.Layers = append(r.Layers, LayerResult{Name: name, GC: gc, StdErr: stdErr, Size: m.layerSizes[i]})
	}
	return r
}

func meanAndError(values []float64) (mean, stdErr float64) {
	if len(values) == 1 {
		return values[0], 0
	}
	mean, deviation := stat.MeanStdDev(values, nil)
	return mean, stat.StdErr(deviation, float64(len(values)))
}

// toFloat64 copies the values of a tensor of any number dtype.
func toFloat64(t *tensors.Tensor) ([]float64, error) {
	values := make([]float64, 0, t.Shape().Size())
	err := t.ConstFlatData(func(flat any) { values = convert(values, flat) })
	if err == nil && len(values) != t.Shape().Size() {
		err = errors.Errorf("gcml: cannot read values of dtype %s", t.DType())
	}
	return values, err
}

func convert(values []float64, flat any) []float64 {
	switch flat := flat.(type) {
	case []float64:
		return append(values, flat...)
	case []float32:
		return appendNumbers(values, flat)
	case []int8:
		return appendNumbers(values, flat)
	case []int16:
		return appendNumbers(values, flat)
	case []int32:
		return appendNumbers(values, flat)
	case []int64:
		return appendNumbers(values, flat)
	case []uint8:
		return appendNumbers(values, flat)
	case []uint16:
		return appendNumbers(values, flat)
	case []uint32:
		return appendNumbers(values, flat)
	case []uint64:
		return appendNumbers(values, flat)
	}
	return values
}

func appendNumbers[T gotype.NumericNotComplex](values []float64, flat []T) []float64 {
	for _, v := range flat {
		values = append(values, float64(v))
	}
	return values
}
