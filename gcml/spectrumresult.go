package gcml

import (
	"math"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/ml/train"
	"github.com/pkg/errors"
	"gonum.org/v1/gonum/floats"

	"example.com/geometric-complexity/internal/compiled"
	"example.com/geometric-complexity/internal/numbers"
)

// SpectrumResult is what WithSpectralNorm reports of the singular values of the Jacobians of the
// examples. None is squared.
type SpectrumResult struct {
	// Norm is the mean over the examples of the largest singular value, and NormStdErr its standard
	// error, as that of GC.
	Norm       float64       `json:"norm"`
	NormStdErr StandardError `json:"norm_stderr"`
	// Largest is the largest over the examples: the Lipschitz constant on the data, a lower bound
	// of the function's.
	Largest float64 `json:"largest"`
	// Quantiles are those of the examples' largest singular values.
	Quantiles Quantiles `json:"quantiles"`
	// StableRank is the mean over the examples of ‖J‖²_F divided by the square of the largest
	// singular value, 0 for a Jacobian of zeros, and StableRankStdErr its standard error. ‖J‖²_F is
	// as the estimator gives it.
	StableRank       float64       `json:"stable_rank"`
	StableRankStdErr StandardError `json:"stable_rank_stderr"`
	// PerExample has the largest singular value of every example, in the order of the data set.
	// Only with WithPerExample.
	PerExample []float64 `json:"per_example,omitempty"`
	// LanczosSteps is the number of steps of the Lanczos iteration, which JacobianSpectralNorm says
	// the guarantee of: the values are then lower bounds of the largest singular values. It is 0
	// where the whole Jacobian was computed.
	LanczosSteps int `json:"lanczos_steps,omitempty"`
	// Residual is the largest over the examples of ‖J·Jᵀu - θ²u‖/θ² for the value θ and the vector
	// u of the last Lanczos step: some singular value differs from θ by no more than θ·Residual (if
	// Residual is below 1). Take more steps where it is not small.
	Residual float64 `json:"residual,omitempty"`
}

// spectra has the values of each example that a pass over a data set has met.
type spectra struct {
	norms, residuals []float64
	steps            int
}

// buildSpectrum is the graph of the largest singular values of one kind of batch. Its extra
// argument is the random state, as build has it. Its value is the number of Lanczos steps.
func (m *Measurer) buildSpectrum(scope *model.Scope, a compiled.Args) ([]*graph.Node, int) {
	scope.Store().SetTraining(a.Inputs[0].Graph(), false)
	takeState := lendRandomState(scope.Store(), a.Extra[0])
	output, input := m.options.pick(m.modelFn(scope, a.Spec, a.Inputs), a.Inputs)
	s := newSpectrum(output, input, m.options)
	takeState()
	if s.residual == nil {
		s.residual = graph.ZerosLike(s.norm)
	}
	results := []*graph.Node{s.norm, s.residual}
	for i, r := range results {
		if r.DType().Size() < 4 {
			results[i] = graph.ConvertDType(r, dtypes.Float32)
		}
	}
	return results, s.steps
}

// addSpectrum adds the examples of one batch, whose random state is given.
func (m *measurement) addSpectrum(batch train.Batch, state *tensors.Tensor) error {
	results, steps, err := m.spectrumGraphs.Call(train.Batch{Inputs: batch.Inputs, Spec: batch.Spec}, state)
	if err != nil {
		return errors.WithMessagef(err, "gcml.Measure: batch %d, largest singular values", m.batches)
	}
	m.spectra.steps = max(m.spectra.steps, steps)
	for i, values := range []*[]float64{&m.spectra.norms, &m.spectra.residuals} {
		more, err := numbers.Float64s(results[i])
		if err != nil {
			return err
		}
		*values = append(*values, more...)
		if err := results[i].FinalizeAll(); err != nil {
			return err
		}
	}
	for i, v := range m.spectra.norms {
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return errors.Errorf("gcml.Measure: batch %d, example %d: the largest singular value is %g although the squared Jacobian norm is finite",
				m.batches, i, v)
		}
	}
	return nil
}

// spectrumResult turns the values into means.
func (m *measurement) spectrumResult() *SpectrumResult {
	if !m.options.spectrum {
		return nil
	}
	n := len(m.norms) // Examples beyond the number asked for are left out.
	norms := m.spectra.norms[:n]
	ranks := make([]float64, n)
	for i, norm := range norms {
		if norm > 0 {
			ranks[i] = m.norms[i] / norm / norm
		}
	}
	r := &SpectrumResult{
		Largest: floats.Max(norms), Quantiles: quantilesOf(norms), LanczosSteps: m.spectra.steps,
		Residual: floats.Max(m.spectra.residuals[:n]),
	}
	r.Norm, r.NormStdErr = meanAndError(norms)
	if m.options.perExample {
		r.PerExample = norms
	}
	r.StableRank, r.StableRankStdErr = meanAndError(ranks)
	return r
}
