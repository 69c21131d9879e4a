package gcml

import (
	"math"

	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/ml/train"
	"github.com/pkg/errors"
	"gonum.org/v1/gonum/floats"

	"github.com/geometric-complexity/toolkit/internal/compiled"
	"github.com/geometric-complexity/toolkit/internal/numbers"
	"github.com/geometric-complexity/toolkit/internal/random"
)

// SpectrumResult describes the singular values of the examples' Jacobians, for WithSpectralNorm.
// They are not squared.
type SpectrumResult struct {
	// Norm is the mean over the examples of the largest singular value, and NormStdErr its standard
	// error.
	Norm       float64       `json:"norm"`
	NormStdErr StandardError `json:"norm_stderr"`
	// Largest is the maximum over the examples of the largest singular value, a lower bound of the
	// function's Lipschitz constant.
	Largest float64 `json:"largest"`
	// Quantiles are the quantiles of the examples' largest singular values.
	Quantiles Quantiles `json:"quantiles"`
	// StableRank is the mean over the examples of ‖J‖²_F divided by the square of the largest
	// singular value, 0 for a Jacobian of zeros, and StableRankStdErr its standard error. ‖J‖²_F
	// comes from the estimator. Where it underflows, in float32 for entries of J below about 1e-19,
	// the stable rank of the example is too small or 0, though the norm is right.
	StableRank       float64       `json:"stable_rank"`
	StableRankStdErr StandardError `json:"stable_rank_stderr"`
	// PerExample has the largest singular value of each example, in the order of the data set. Only
	// with WithPerExample.
	PerExample []float64 `json:"per_example,omitempty"`
	// LanczosSteps is the number of Lanczos steps, or 0 if the whole Jacobian was computed. With
	// Lanczos the values are lower bounds of the largest singular values; JacobianSpectralNorm says
	// how close they are.
	LanczosSteps int `json:"lanczos_steps,omitempty"`
	// Residual is the maximum over the examples of ‖J·Jᵀu - θ²u‖/θ² for the value θ and the vector
	// u of the last Lanczos step. If it is below 1, some singular value differs from θ by at most
	// θ·Residual. Use more steps if it is not small.
	Residual float64 `json:"residual,omitempty"`
}

// spectra holds the values of each example during a pass over a data set.
type spectra struct {
	norms, residuals []float64
	steps            int
}

// buildSpectrum builds the graph of the largest singular values for one kind of batch. Its extra
// argument is the random state. Its second result is the number of Lanczos steps.
func (m *Measurer) buildSpectrum(scope *model.Scope, a compiled.Args) ([]*graph.Node, int) {
	scope.Store().SetTraining(a.Inputs[0].Graph(), false)
	restoreState := random.ReplaceState(scope.Store(), a.Extra[0])
	output, input := m.options.pick(m.modelFn(scope, a.Spec, a.Inputs), a.Inputs)
	s := newSpectrum(output, input, m.options)
	restoreState()
	if s.residual == nil {
		s.residual = graph.ZerosLike(s.norm)
	}
	return []*graph.Node{s.norm, s.residual}, s.steps
}

// addSpectrum adds the examples of one batch. state is the random state from which their norms were
// computed.
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
		if (math.IsNaN(v) || math.IsInf(v, 0)) && m.wanted(i) {
			return errors.Errorf("gcml.Measure: batch %d, example %d: the largest singular value is %g although the squared Jacobian norm is finite",
				m.batches, i, v)
		}
	}
	return nil
}

// spectrumResult summarizes the values; nil without WithSpectralNorm.
func (m *measurement) spectrumResult() *SpectrumResult {
	if !m.options.spectrum {
		return nil
	}
	n := len(m.norms) // trim has removed examples from m.norms, but not from m.spectra.
	norms := m.spectra.norms[:n]
	ranks := make([]float64, n)
	for i, norm := range norms {
		if norm > 0 {
			ranks[i] = m.norms[i] / norm / norm
		}
	}
	r := &SpectrumResult{
		Largest: floats.Max(norms), Quantiles: NewQuantiles(norms), LanczosSteps: m.spectra.steps,
		Residual: floats.Max(m.spectra.residuals[:n]),
	}
	r.Norm, r.NormStdErr = meanAndError(norms)
	if m.options.perExample {
		r.PerExample = norms
	}
	r.StableRank, r.StableRankStdErr = meanAndError(ranks)
	return r
}
