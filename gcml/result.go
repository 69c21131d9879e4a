package gcml

import (
	"maps"
	"slices"

	"gonum.org/v1/gonum/stat"
)

// Result is what Measure found. All values are means over examples of squared
// norms, without a factor 1/2.
type Result struct {
	// GC is the geometric complexity over the examples.
	GC float64 `json:"gc"`
	// StdErr is the standard error of GC as the mean over the population that the
	// examples were drawn from: their standard deviation over √examples. It holds
	// the noise of a random estimator too. 0 for a single example, for which it
	// is not known.
	StdErr float64 `json:"stderr"`
	// Examples is how many were measured.
	Examples int `json:"examples"`
	// Estimator is as ParseEstimator reads it.
	Estimator string `json:"estimator"`
	// Outputs and Inputs are the sizes of the Jacobian of an example, the largest
	// where they differ between the batches.
	Outputs int `json:"outputs"`
	Inputs  int `json:"inputs"`
	// Backend is the name of the GoMLX backend.
	Backend string `json:"backend"`
	// Seconds it took, compilation included.
	Seconds float64 `json:"seconds"`
	// PerOutput has the mean squared gradient norm of every output; the sum is
	// GC. Only with WithPerOutput.
	PerOutput []float64 `json:"per_output,omitempty"`
	// PerClass has the GC over the examples of each class that occurs. Only with
	// WithPerClass.
	PerClass []ClassResult `json:"per_class,omitempty"`
	// Layers has the GC of the named inner nodes, from the input on. Only with
	// WithLayers.
	Layers []LayerResult `json:"layers,omitempty"`
}

// ClassResult is the GC over the examples with one label.
type ClassResult struct {
	Class    int     `json:"class"`
	GC       float64 `json:"gc"`
	StdErr   float64 `json:"stderr"`
	Examples int     `json:"examples"`
}

// LayerResult is the GC of one inner node.
type LayerResult struct {
	Name   string  `json:"name"`
	GC     float64 `json:"gc"`
	StdErr float64 `json:"stderr"`
	// Size is the number of values of the node per example.
	Size int `json:"size"`
}

// result turns the sums into means.
func (m *measurement) result() Result {
	r := Result{
		Examples:  len(m.norms),
		Estimator: m.options.estimator.String(),
		Outputs:   m.outputs,
		Inputs:    m.inputs,
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
	for _, layer := range m.layers {
		gc, stdErr := meanAndError(layer.norms)
		r.Layers = append(r.Layers, LayerResult{Name: layer.name, GC: gc, StdErr: stdErr, Size: layer.size})
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
