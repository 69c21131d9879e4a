package gcml

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/dtypes/bfloat16"
	"github.com/gomlx/compute/dtypes/float16"
	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/ml/train"
	"github.com/gomlx/gomlx/support/exceptions"
	"github.com/pkg/errors"
	"gonum.org/v1/gonum/floats"

	"example.com/geometric-complexity/internal/gomlxcompat"
	"example.com/geometric-complexity/internal/numbers"
)

// DerivativeReport is what CheckSecondDerivatives found.
type DerivativeReport struct {
	// DType is the shortest float dtype between the inputs and the outputs, which decides how exact
	// a comparison can be, and Tolerance the relative difference that is allowed in it.
	DType     string  `json:"dtype"`
	Tolerance float64 `json:"tolerance"`
	// Checks are the comparisons, those of the evaluation mode first.
	Checks []DerivativeCheck `json:"checks"`
	// Nodes are the nodes that are likely at fault where a check failed, the likeliest first.
	Nodes []NodeFinding `json:"nodes,omitempty"`
}

// DerivativeCheck compares a derivative as gcml computes it with central differences.
type DerivativeCheck struct {
	// Mode is "evaluation", as Measure runs the model, or "training", as Regularize does.
	Mode string `json:"mode"`
	// Quantity says what is compared.
	Quantity string `json:"quantity"`
	// Got is gcml's value, and Want that of the differences.
	Got  float64 `json:"got"`
	Want float64 `json:"want"`
	// Status is "right", "wrong", or "undecided" where the differences of two steps contradict each
	// other, as at a kink.
	Status string `json:"status"`
}

// The statuses of a check.
const (
	statusRight     = "right"
	statusWrong     = "wrong"
	statusUndecided = "undecided"
)

// OK tells whether no check failed.
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

// CheckSecondDerivatives compares what gcml makes of a model with central differences, to find out
// whether layers of one's own can be measured and penalized: a custom gradient that is wrong, a
// derivative that stops, statistics of the batch that gradients do not see. It takes seconds for a
// small model: a batch of two to four examples shows all there is to see.
//
// In evaluation mode, as Measure runs the model, and in training mode, as Regularize does, it
// compares the Jacobian of the outputs along random directions, the GC where there are not more
// than 256 inputs, and the gradient of the exact GC with respect to each trainable variable, along
// a random direction. Where a mode mixes the examples of the batch, what mixes them is held fixed
// in the Jacobian, as the package comment says, but not in the gradient with respect to the
// variables. Where a check fails, the nodes of the model are checked one by one, the derivatives of
// each for itself, and the report names those at fault.
//
// The model runs in float64: the variables and inputs are converted, in a copy of the store, which
// is not changed itself; variables that are missing are initialized in the copy. Where the model
// does not take them, or converts to a shorter dtype inside, the tolerance is wider, 0.02 for
// float32: then a small fault passes. What the model draws is the same in each run.
//
// inputs are the tensors of one batch, and are not changed. The options are those of Regularize
// that choose inputs, outputs and strategy, and WithSeed, for the random directions. It returns an
// error for inputs and options that cannot be, and if the model cannot be built or differentiated.
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
		return nil, errors.New("gcml.CheckSecondDerivatives: there are no inputs")
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
	step      float64      // Of the differences, relative to what is moved.
	tolerance float64

	penalty penaltyGraph
}

// newChecker copies the model into float64, or as it is where it does not take that.
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
	return nil, err // That in the model's own dtype.
}

// setPrecision chooses steps that balance the rounding of the values with the curvature.
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

// withDType returns values as a tensor.
func withDType(values []float64, dtype dtypes.DType, dims ...int) *tensors.Tensor {
	switch cast := shapes.CastAsDType(values, dtype).(type) {
	case []float32:
		return tensors.FromFlatDataAndDimensions(cast, dims...)
	case []float16.Float16:
		return tensors.FromFlatDataAndDimensions(cast, dims...)
	case []bfloat16.BFloat16:
		return tensors.FromFlatDataAndDimensions(cast, dims...)
	}
	return tensors.FromFlatDataAndDimensions(values, dims...)
}

func scaled(values []float64, factor float64) []float64 {
	return floats.ScaleTo(make([]float64, len(values)), factor, values)
}

// rootMeanSquare returns that of the values, 1 where all are 0.
func rootMeanSquare(values []float64) float64 {
	if norm := floats.Norm(values, 2); norm > 0 {
		return norm / math.Sqrt(float64(len(values)))
	}
	return 1
}

// difference returns the derivative at 0 of f, whose results are compared element by element, by
// central differences with two steps, and by how much those of the two steps differ at most.
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

// compare adds a check to the report: of several values the one that differs most. The scale is
// what a difference is held against where both values are near 0.
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
