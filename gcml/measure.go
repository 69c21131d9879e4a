package gcml

import (
	"context"
	"time"

	"github.com/gomlx/compute"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/ml/train"
	"github.com/gomlx/gomlx/support/exceptions"
	"github.com/pkg/errors"

	"example.com/geometric-complexity/internal/modelfn"
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
	// Outputs and Inputs are the sizes of the Jacobian of an example.
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

// Measure returns the geometric complexity of a model over a data set: every
// example counts the same, a last batch that is shorter too. The model runs in
// evaluation mode, with the variables of the store; variables that are missing
// are initialized, so that an untrained model can be measured. Neither the
// other variables nor the random state of the store change.
//
// The data set must be finite, or WithMaxExamples given. Cancelling ctx stops
// between two batches and returns its error.
//
// Errors: an empty data set, inputs that hold NaN or Inf, a result that is not
// finite (it names the batch), misuse as for SquaredJacobianNorm, and what the
// data set or the backend return.
func Measure[F train.ModelFnCompatible](ctx context.Context, backend compute.Backend, store *model.Store,
	modelFn F, ds train.Dataset, opts ...Option) (result Result, err error) {
	start := time.Now()
	var m *measurement
	if err = exceptions.TryCatch[error](func() { m = newMeasurement(backend, store, modelfn.Canonical(modelFn), opts) }); err != nil {
		return Result{}, err
	}
	restore, err := keepRandomState(store, m.options)
	if err != nil {
		return Result{}, err
	}
	defer func() {
		if restoreErr := restore(); err == nil && restoreErr != nil {
			err = restoreErr
		}
	}()
	defer m.finalize()
	for batch, err := range ds.Iter() {
		if err != nil {
			return Result{}, errors.WithMessagef(err, "gcml.Measure: data set %q", ds.Name())
		}
		err = m.add(ctx, batch)
		batch.Finalize()
		if err != nil {
			return Result{}, err
		}
		if m.options.progress != nil {
			m.options.progress(len(m.norms))
		}
		if n := m.options.maxExamples; n > 0 && len(m.norms) >= n {
			break
		}
	}
	if len(m.norms) == 0 {
		return Result{}, errors.Errorf("gcml.Measure: data set %q is empty", ds.Name())
	}
	result = m.result()
	result.Seconds = time.Since(start).Seconds()
	return result, nil
}

// keepRandomState seeds the store for a random estimator, and returns what puts
// its state back.
func keepRandomState(store *model.Store, o options) (restore func() error, err error) {
	nothing := func() error { return nil }
	if o.estimator.kind == "" || o.estimator.kind == kindExact {
		return nothing, nil
	}
	path := model.JoinPath(model.ScopeSeparator, model.RNGStateVariableName)
	restore = func() error { return store.DeleteVariable(path) }
	if v := store.GetVariable(path); v != nil && v.HasValue() {
		value, err := v.Value()
		if err != nil {
			return nil, errors.WithMessage(err, "gcml.Measure: reading the random state")
		}
		saved, err := value.LocalClone()
		if err != nil {
			return nil, errors.WithMessage(err, "gcml.Measure: keeping the random state")
		}
		restore = func() error { return v.SetValue(saved) }
	}
	return restore, errors.WithMessage(store.SetRNGStateFromSeed(o.seed), "gcml.Measure: seeding")
}
