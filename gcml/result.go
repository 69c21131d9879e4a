package gcml

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"

	"gonum.org/v1/gonum/stat"

	"github.com/geometric-complexity/toolkit/internal/stats"
)

// Result is the result of Measure. GC values are means over examples of squared norms, without a
// factor 1/2.
type Result struct {
	// GC is the geometric complexity over the examples.
	GC float64 `json:"gc"`
	// StdErr is the standard error of GC as an estimate of the mean over the population of the
	// examples: the standard deviation of the examples' squared norms divided by √examples. It
	// includes the noise of a random estimator.
	StdErr StandardError `json:"stderr"`
	// Quantiles are the quantiles of the examples' squared norms. The noise of a random estimator
	// widens them.
	Quantiles Quantiles `json:"quantiles"`
	// Examples is the number of measured examples.
	Examples int `json:"examples"`
	// Estimator is the estimator in the form that ParseEstimator reads.
	Estimator string `json:"estimator"`
	// Outputs and Inputs are the dimensions of an example's Jacobian, the largest if batches
	// differ.
	Outputs int `json:"outputs"`
	Inputs  int `json:"inputs"`
	// Backend is the name of the GoMLX backend.
	Backend string `json:"backend"`
	// Seconds is the time that it took, compilation included.
	Seconds float64 `json:"seconds"`
	// PerExample has the squared Jacobian norm of each example, in the order of the data set; their
	// mean is GC. Only with WithPerExample.
	PerExample []float64 `json:"per_example,omitempty"`
	// PerOutput has the mean squared gradient norm of each output; their sum is GC. Only with
	// WithPerOutput.
	PerOutput []float64 `json:"per_output,omitempty"`
	// PerClass has the GC over the examples of each class that occurs. Only with
	// WithPerClass.
	PerClass []ClassResult `json:"per_class,omitempty"`
	// Layers has the GC of the named inner nodes, in order from the input. Only with WithLayers.
	Layers []LayerResult `json:"layers,omitempty"`
	// Spectrum has the largest singular values. Only with WithSpectralNorm.
	Spectrum *SpectrumResult `json:"spectrum,omitempty"`
}

// ClassResult is the GC over the examples with one label.
type ClassResult struct {
	Class    int64         `json:"class"`
	GC       float64       `json:"gc"`
	StdErr   StandardError `json:"stderr"`
	Examples int           `json:"examples"`
}

// LayerResult is the GC of one inner node.
type LayerResult struct {
	Name   string        `json:"name"`
	GC     float64       `json:"gc"`
	StdErr StandardError `json:"stderr"`
	// Size is the number of values of the node per example, the largest if batches differ.
	Size int `json:"size"`
}

// StandardError is the standard error of a mean. It is NaN if it is unknown, as for the mean of one
// value; JSON then has null.
type StandardError float64

// IsKnown says whether s is not NaN.
func (s StandardError) IsKnown() bool { return !math.IsNaN(float64(s)) }

// String returns the value in two digits, or "unknown".
func (s StandardError) String() string {
	if !s.IsKnown() {
		return "unknown"
	}
	return fmt.Sprintf("%.2g", float64(s))
}

// MarshalJSON implements json.Marshaler.
func (s StandardError) MarshalJSON() ([]byte, error) {
	if !s.IsKnown() {
		return []byte("null"), nil
	}
	return json.Marshal(float64(s))
}

// UnmarshalJSON implements json.Unmarshaler.
func (s *StandardError) UnmarshalJSON(data []byte) error {
	value := math.NaN()
	if string(data) != "null" {
		if err := json.Unmarshal(data, &value); err != nil {
			return err
		}
	}
	*s = StandardError(value)
	return nil
}

// Quantiles holds quantiles of a sample, interpolated linearly between neighbouring values, as
// NumPy does.
type Quantiles struct {
	Min    float64 `json:"min"`
	P5     float64 `json:"p5"`
	P25    float64 `json:"p25"`
	Median float64 `json:"median"`
	P75    float64 `json:"p75"`
	P95    float64 `json:"p95"`
	Max    float64 `json:"max"`
}

// Interval returns the confidence interval of the population's GC for a confidence level such as
// 0.95. It is Student's t interval: valid for few examples if their squared norms are about
// normally distributed, and for many examples with any distribution. Both ends are NaN for a single
// example and for a level that is not between 0 and 1.
func (r Result) Interval(level float64) (low, high float64) {
	half := stats.TFactor(r.Examples, level) * float64(r.StdErr)
	return r.GC - half, r.GC + half
}

// result turns the sums into means.
func (m *measurement) result() Result {
	r := Result{
		Examples:  len(m.norms),
		Estimator: m.options.estimator.String(),
		Outputs:   m.outputs,
		Inputs:    m.inputs,
		Backend:   m.backend.Name(),
		Quantiles: NewQuantiles(m.norms),
	}
	r.GC, r.StdErr = meanAndError(m.norms)
	if m.options.perExample {
		r.PerExample = m.norms
	}
	for _, sum := range m.perOutput {
		r.PerOutput = append(r.PerOutput, sum/float64(len(m.norms)))
	}
	byClass := make(map[int64][]float64)
	for i, class := range m.labels {
		byClass[class] = append(byClass[class], m.norms[i])
	}
	for _, class := range slices.Sorted(maps.Keys(byClass)) {
		gc, stdErr := meanAndError(byClass[class])
		r.PerClass = append(r.PerClass, ClassResult{Class: class, GC: gc, StdErr: stdErr, Examples: len(byClass[class])})
	}
	for _, layer := range m.layers {
		gc, stdErr := meanAndError(layer.norms)
		r.Layers = append(r.Layers, LayerResult{Name: layer.name, GC: gc, StdErr: stdErr, Size: layer.size})
	}
	r.Spectrum = m.spectrumResult()
	return r
}

func meanAndError(values []float64) (mean float64, stdErr StandardError) {
	if len(values) == 1 {
		return values[0], StandardError(math.NaN())
	}
	mean, deviation := stat.MeanStdDev(values, nil)
	return mean, StandardError(stat.StdErr(deviation, float64(len(values))))
}

// NewQuantiles returns the quantiles of a sample, whose order it does not change. They are NaN if
// it is empty.
func NewQuantiles(values []float64) Quantiles {
	if len(values) == 0 {
		nan := math.NaN()
		return Quantiles{nan, nan, nan, nan, nan, nan, nan}
	}
	sorted := slices.Sorted(slices.Values(values))
	at := func(p float64) float64 {
		position := p * float64(len(sorted)-1)
		below := int(position)
		above := min(below+1, len(sorted)-1)
		return sorted[below] + (position-float64(below))*(sorted[above]-sorted[below])
	}
	return Quantiles{Min: at(0), P5: at(0.05), P25: at(0.25), Median: at(0.5), P75: at(0.75), P95: at(0.95), Max: at(1)}
}
