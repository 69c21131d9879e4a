package gcml

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/ml/train"
	"github.com/gomlx/gomlx/support/exceptions"
	"github.com/pkg/errors"
	"gonum.org/v1/gonum/floats"

	"github.com/geometric-complexity/toolkit/internal/gomlxcompat"
	"github.com/geometric-complexity/toolkit/internal/numbers"
)

// DerivativeReport is the result of CheckSecondDerivatives.
type DerivativeReport struct {
	// DType is the shortest float dtype between the inputs and the outputs, which limits the
	// precision of the comparisons. Tolerance is the relative difference allowed for it.
	DType     string  `json:"dtype"`
	Tolerance float64 `json:"tolerance"`
	// Checks are the comparisons, first in evaluation mode, then in training mode.
	Checks []DerivativeCheck `json:"checks"`
	// Nodes are the nodes that probably cause failed checks, the most probable first.
	Nodes []NodeFinding `json:"nodes,omitempty"`
}

// DerivativeCheck compares a derivative as gcml computes it with central differences.
type DerivativeCheck struct {
	// Mode is "evaluation", the mode of Measure, or "training", the mode of Regularize.
	Mode string `json:"mode"`
	// Quantity names the derivative.
	Quantity string `json:"quantity"`
	// Got is gcml's value, and Want the value by differences.
	Got  float64 `json:"got"`
	Want float64 `json:"want"`
	// Status is "right", "wrong", or "undecided" if differences with two step sizes disagree, as at
	// a kink.
	Status string `json:"status"`
}

// The statuses of a check.
const (
	statusRight     = "right"
	statusWrong     = "wrong"
	statusUndecided = "undecided"
)

// OK says whether all checks are "right" or "undecided".
func (r *DerivativeReport) OK() bool {
	for _, c := range r.Checks {
		if c.Status == statusWrong {
			return false
		}
	}
	return true
}

// String returns a line for each check and node.
func (r *DerivativeReport) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "derivatives in %s, relative tolerance %g\n", r.DType, r.Tolerance)
	for _, c := range r.Checks {
		fmt.Fprintf(&b, "%s, %s: %s (%.8g, by differences %.8g)\n", c.Mode, c.Quantity, c.Status, c.Got, c.Want)
	}
	for _, n := range r.Nodes {
		fmt.Fprintf(&b, "suspect: %s\n", n)
	}
	return b.String()
}

// CheckSecondDerivatives compares gcml's derivatives of a model with central differences, to check
// that your own layers can be measured and penalized. It finds wrong custom gradients, derivatives
// that a StopGradient cuts off, and batch statistics that gradients ignore. It takes seconds for a
// small model; a batch of two to four examples is enough.
//
// It compares these quantities in evaluation mode, as in Measure, and in training mode, as in
// Regularize: the Jacobian of the outputs along random directions; the GC, if there are at most 256
// inputs; and the gradient of the exact GC with respect to each trainable variable, along a random
// direction. If the model mixes the examples of the batch, values computed from several examples
// are held fixed in the Jacobian, as the package comment explains, but not in the gradient with
// respect to the variables. If a check fails, the derivatives of each node of the model are checked
// separately, and the report names the faulty nodes.
//
// The model runs in float64, with converted copies of the inputs and of the store, which does not
// change; missing variables are initialized in the copy. If the model does not accept float64 or
// converts to a shorter dtype, the tolerance is larger, 0.02 for float32, and a small fault may
// pass. The model draws the same random numbers in each run.
//
// inputs are the tensors of one batch, which do not change. It accepts Regularize's options that
// choose inputs, outputs and strategy, and WithSeed for the random directions. It returns an error
// for invalid inputs and options, and if the model cannot be built or differentiated.
func CheckSecondDerivatives[F train.ModelFnCompatible](backend compute.Backend, store *model.Store, modelFn F,
	inputs []*tensors.Tensor, opts ...Option) (*DerivativeReport, error) {
	return checkSecondDerivatives(backend, store, gomlxcompat.ModelFn(modelFn), inputs, opts)
}

func checkSecondDerivatives(backend compute.Backend, store *model.Store, fn train.ModelFn, inputs []*tensors.Tensor,
	opts []Option) (*DerivativeReport, error) {
	var o options
	if err := exceptions.TryCatch[error](func() { o = newOptions(inCheckSecondDerivatives, opts) }); err != nil {
		return nil, err
	}
	if len(inputs) == 0 {
		return nil, errors.New("gcml.CheckSecondDerivatives: there are no inputs: give the tensors of one batch")
	}
	report := &DerivativeReport{}
	for _, mode := range []string{"evaluation", "training"} {
		c, err := newChecker(backend, store, fn, inputs, o, mode)
		if err == nil {
			report.DType, report.Tolerance = c.precision.String(), c.tolerance
			err = c.check(report)
		}
		if err != nil {
			return nil, errors.WithMessagef(err, "gcml.CheckSecondDerivatives: in %s mode", mode)
		}
	}
	return report, nil
}

// checker checks a model in one mode.
type checker struct {
	backend   compute.Backend
	store     *model.Store // A copy.
	fn        train.ModelFn
	inputs    []*tensors.Tensor // A copy.
	options   options
	mode      string
	rng       *rand.Rand
	precision dtypes.DType // The shortest between inputs and outputs.
	step      float64      // The step of the differences, relative to the size of the varied values.
	tolerance float64

	penalty penaltyGraph
}

// newChecker copies the model in float64, or in its own dtypes if it does not accept float64.
func newChecker(backend compute.Backend, store *model.Store, fn train.ModelFn, inputs []*tensors.Tensor, o options,
	mode string) (*checker, error) {
	var err error
	for _, convert := range []bool{true, false} {
		c := &checker{backend: backend, fn: fn, options: o, mode: mode, rng: rand.New(rand.NewPCG(uint64(o.seed), 1))}
		if c.store, err = copyStore(store, convert); err != nil {
			return nil, err
		}
		for _, in := range inputs {
			copied, err := copyTensor(in, convert)
			if err != nil {
				return nil, err
			}
			c.inputs = append(c.inputs, copied)
		}
		if err = c.buildPenalty(); err == nil {
			c.setPrecision()
			return c, nil
		}
	}
	return nil, err // The error with the model's own dtypes.
}

// setPrecision chooses a step that balances the rounding error with the truncation error.
func (c *checker) setPrecision() {
	switch c.precision {
	case dtypes.Float64:
		c.step, c.tolerance = 1e-4, 1e-5
	case dtypes.Float32:
		c.step, c.tolerance = 1e-2, 2e-2
	default:
		c.step, c.tolerance = 1e-1, 2e-1
	}
}

// copyStore copies the values of the variables and the hyperparameters, floats as float64 if
// convert is true.
func copyStore(store *model.Store, convert bool) (*model.Store, error) {
	copied := model.NewStore()
	for path, value := range store.IterParams() {
		copied.SetParam(path, value)
	}
	for v := range store.IterVariables() {
		if !v.HasValue() {
			continue
		}
		value, err := v.Value()
		if err != nil {
			return nil, errors.WithMessagef(err, "reading variable %s", v.Path())
		}
		if value, err = copyTensor(value, convert); err != nil {
			return nil, errors.WithMessagef(err, "copying variable %s", v.Path())
		}
		w, err := copied.CreateVariable(v.Path(), value)
		if err != nil {
			return nil, err
		}
		w.SetTrainable(v.Trainable)
	}
	return copied, nil
}

func copyTensor(t *tensors.Tensor, convert bool) (*tensors.Tensor, error) {
	if !convert || !t.DType().IsFloat() || t.DType() == dtypes.Float64 {
		return t.LocalClone()
	}
	values, err := numbers.Float64s(t)
	if err != nil {
		return nil, err
	}
	return tensors.FromFlatDataAndDimensions(values, t.Shape().Dimensions...), nil
}

func scaled(values []float64, factor float64) []float64 {
	return floats.ScaleTo(make([]float64, len(values)), factor, values)
}

// rootMeanSquare returns 1 if all values are 0, so that a step relative to it is not 0.
func rootMeanSquare(values []float64) float64 {
	if norm := floats.Norm(values, 2); norm > 0 {
		return norm / math.Sqrt(float64(len(values)))
	}
	return 1
}

// difference returns the derivative of f at 0, element by element, by central differences with two
// steps. spread is the largest difference between the results with the two steps.
func difference(f func(t float64) ([]float64, error), step float64) (derivative []float64, spread float64, err error) {
	var slopes [2][]float64
	for i, h := range []float64{step, step / 2} {
		up, err := f(h)
		if err != nil {
			return nil, 0, err
		}
		down, err := f(-h)
		if err != nil {
			return nil, 0, err
		}
		for k := range up {
			slopes[i] = append(slopes[i], (up[k]-down[k])/(2*h))
		}
	}
	for k, wide := range slopes[0] {
		narrow := slopes[1][k]
		derivative = append(derivative, (4*narrow-wide)/3) // The error of order h² cancels.
		spread = max(spread, math.Abs(narrow-wide))
	}
	return derivative, spread, nil
}

// compare adds a check to the report, for the element with the largest difference. scale is the
// smallest size to which a difference is relative, for values near 0.
func (c *checker) compare(report *DerivativeReport, quantity string, got, want []float64, spread, scale float64) {
	size, worst := scale, 0
	for i := range want {
		size = max(size, math.Abs(want[i]), math.Abs(got[i]))
	}
	for i := range want {
		if d := math.Abs(got[i] - want[i]); math.IsNaN(d) || d > math.Abs(got[worst]-want[worst]) {
			worst = i
		}
	}
	check := DerivativeCheck{Mode: c.mode, Quantity: quantity, Got: got[worst], Want: want[worst], Status: statusRight}
	if d := math.Abs(got[worst] - want[worst]); !(d <= c.tolerance*size) {
		check.Status = statusWrong
		if d < 4*spread {
			check.Status = statusUndecided
		}
	}
	report.Checks = append(report.Checks, check)
}
