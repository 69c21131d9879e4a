package gcml_test

import (
	stderrors "errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/pkg/errors"

	"github.com/geometric-complexity/toolkit/gcml"
	"github.com/geometric-complexity/toolkit/internal/gctest"
	"github.com/geometric-complexity/toolkit/internal/gctest/programs"
	"github.com/geometric-complexity/toolkit/internal/numbers"
)

// subject is a program at given inputs, with the Jacobian that the oracle computes there.
type subject struct {
	t        testing.TB
	plain    compute.Backend // Computes the oracle and the differences of the GC: Go, or XLA for ops that Go lacks.
	program  programs.Program
	training bool
	x        []float64
	jacobian *programs.Jacobian
}

// refusal is an error of one line by which the toolkit refuses to measure a model.
type refusal struct{ error }

// unusable is an error that says why nothing can be compared for a model.
type unusable struct{ error }

// untested is an error that says why a value was not compared at these inputs.
type untested struct{ error }

// newSubject computes the oracle. It returns an unusable error if the program's values are too
// large or too small to compare.
func newSubject(t testing.TB, p programs.Program, training bool, seed uint64) (*subject, error) {
	s := &subject{t: t, plain: gctest.GoBackend(t), program: p, training: training, x: p.Inputs(seed)}
	oracle, err := programs.NewOracle(s.plain, p, training)
	if xla := gctest.XLABackend(t); err != nil && compute.IsNotImplemented(err) && xla != nil {
		s.plain = xla
		oracle, err = programs.NewOracle(s.plain, p, training)
	}
	if err != nil {
		return nil, unusable{errors.WithMessage(err, "the oracle")}
	}
	defer oracle.Finalize()
	if s.jacobian, err = oracle.Jacobian(s.x); err != nil {
		return nil, unusable{err}
	}
	if err := s.checkConditioning(oracle); err != nil {
		return nil, err
	}
	largest := 0.0
	for _, v := range s.jacobian.Values {
		largest = max(largest, math.Abs(v))
	}
	if largest > 1e3 {
		return nil, unusable{errors.Errorf("the oracle: a derivative of %.3g is too large", largest)}
	}
	return s, nil
}

// checkConditioning returns an error if float32 cannot determine the value: if it changes with the
// rounding of the inputs, as the sine of a large number does.
func (s *subject) checkConditioning(oracle *programs.Oracle) error {
	if s.program.DType == dtypes.Float64 {
		return nil
	}
	const roundings = 1e-6
	moved := make([]float64, len(s.x))
	for i, v := range s.x {
		moved[i] = v * (1 + roundings*float64(1-2*(i%2)))
	}
	there, err := oracle.Jacobian(moved)
	if err != nil {
		return unusable{err}
	}
	here := s.jacobian.RowNorms()
	scale := slices.Max(here)
	for i, norm := range there.RowNorms() {
		if d := math.Abs(norm - here[i]); d > s.relTol()*scale/5 && !s.kinked(i, len(here)) {
			return unusable{errors.New("the oracle: rounding the inputs to float32 decides the value")}
		}
	}
	return nil
}

// estimate is one way to compute the squared Jacobian norms, with the expected values.
type estimate struct {
	name  string
	build func(outputs, inputs *Node) *Node
	want  func(j *programs.Jacobian) []float64

	// slack returns the differences that are allowed for other reasons than rounding; nil for none.
	slack func(j *programs.Jacobian) []float64
}

func norms(name string, opts ...gcml.Option) estimate {
	return estimate{name: name, want: (*programs.Jacobian).Norms, build: func(outputs, inputs *Node) *Node {
		return gcml.SquaredJacobianNorm(outputs, inputs, opts...)
	}}
}

// exactEstimates are all ways to compute the exact value.
func exactEstimates(outputs int) []estimate {
	return []estimate{
		norms("default"),
		{name: "rows", want: (*programs.Jacobian).RowNorms, build: func(outputs, inputs *Node) *Node {
			return gcml.SquaredJacobianRowNorms(outputs, inputs)
		}},
		norms("without closed form", gcml.WithoutClosedForm()),
		norms("one cotangent at a time", gcml.WithCotangents(1), gcml.WithoutClosedForm()),
		norms("two cotangents at a time", gcml.WithCotangents(2)),
		norms("as many projections as outputs", gcml.WithEstimator(gcml.Projection(outputs))),
		{name: "mean", want: func(j *programs.Jacobian) []float64 { return []float64{mean(j.Norms())} },
			build: func(outputs, inputs *Node) *Node { return gcml.Complexity(outputs, inputs) }},
	}
}

// randomEstimates are unbiased estimates. They may differ by seven standard deviations of the mean
// of n samples.
func randomEstimates() []estimate {
	const n, sigma = 100, 1e-4
	spread := func(variance func(j *programs.Jacobian) []float64) func(j *programs.Jacobian) []float64 {
		return func(j *programs.Jacobian) []float64 {
			bounds := variance(j)
			for i, v := range bounds {
				bounds[i] = 7*math.Sqrt(v/n) + 100*sigma*(1+math.Sqrt(v))
			}
			return bounds
		}
	}
	all := spread(func(j *programs.Jacobian) []float64 { all, _ := j.Spread(); return scaled(all, 2) })
	offDiagonal := spread(func(j *programs.Jacobian) []float64 { _, off := j.Spread(); return scaled(off, 2) })
	with := func(name string, e gcml.Estimator, slack func(j *programs.Jacobian) []float64) estimate {
		estimate := norms(name, gcml.WithEstimator(e))
		estimate.slack = slack
		return estimate
	}
	return []estimate{
		with("rademacher", gcml.Hutchinson(n, gcml.Rademacher), offDiagonal),
		with("gaussian", gcml.Hutchinson(n, gcml.Gaussian), all),
		with("noise", gcml.ForwardNoise(sigma, n), all),
	}
}

func scaled(values []float64, by float64) []float64 {
	for i := range values {
		values[i] *= by
	}
	return values
}

func mean(values []float64) (sum float64) {
	for _, v := range values {
		sum += v / float64(len(values))
	}
	return sum
}

// store returns a store with the program's weights, in its dtype.
func (s *subject) store() (*model.Store, error) {
	return s.program.NewStore(s.plain, false)
}

func (s *subject) input() (*tensors.Tensor, error) {
	return numbers.Tensor(s.x, s.program.DType, s.program.Shape...)
}

// compute builds the model on b and the nodes that of returns for it, and runs the graph.
func (s *subject) compute(b compute.Backend, of func(scope *model.Scope, outputs, inputs *Node) []*Node,
) ([][]float64, error) {
	store, err := s.store()
	if err != nil {
		return nil, unusable{err}
	}
	defer store.Finalize()
	x, err := s.input()
	if err != nil {
		return nil, err
	}
	exec, err := model.NewExec(b, store, func(scope *model.Scope, x *Node) []*Node {
		scope.SetTraining(x.Graph(), s.training)
		return of(scope, s.program.Model(scope, x), x)
	})
	if err != nil {
		return nil, err
	}
	defer exec.Finalize()
	out, err := exec.Call(x)
	if err != nil {
		return nil, err
	}
	values := make([][]float64, len(out))
	for i, o := range out {
		values[i] = gctest.Flat(o)
	}
	return values, nil
}

// check computes the estimates in one graph on b and compares them with the oracle. It returns a
// refusal, an unusable error, or an error that says what is wrong.
func (s *subject) check(b compute.Backend, estimates ...estimate) error {
	got, err := s.compute(b, func(_ *model.Scope, outputs, inputs *Node) []*Node {
		nodes := make([]*Node, len(estimates))
		for i, e := range estimates {
			nodes[i] = e.build(outputs, inputs)
		}
		return nodes
	})
	if err != nil {
		return s.judge(b, err)
	}
	for i, e := range estimates {
		if notFinite(got[i]) && s.isSingular(b) {
			return unusable{errors.New("GoMLX's own gradient is not finite either")} // NaN misleads nobody.
		}
		want := e.want(s.jacobian)
		slack := make([]float64, len(want))
		if e.slack != nil {
			slack = e.slack(s.jacobian)
		}
		if err := s.compare(got[i], want, slack); err != nil {
			return errors.WithMessagef(err, "%s on %s", e.name, b.Name())
		}
	}
	return nil
}

// compare compares the values of one or more examples with the oracle's, except at kinks.
func (s *subject) compare(got, want, slack []float64) error {
	if len(got) != len(want) {
		return errors.Errorf("got %d values, want %d", len(got), len(want))
	}
	scale := 0.0
	for _, w := range want {
		scale = max(scale, math.Abs(w))
	}
	for i, w := range want {
		if s.kinked(i, len(want)) {
			continue
		}
		if d := math.Abs(got[i] - w); !(d <= slack[i]+s.relTol()*scale+1e-8) {
			return errors.Errorf("value %d is %.9g, the oracle has %.9g", i, got[i], w)
		}
	}
	return nil
}

// kinked returns whether value i of n belongs to an example at a kink. Every example has the same
// number of values.
func (s *subject) kinked(i, n int) bool {
	if n < s.jacobian.Batch {
		for _, kinked := range s.jacobian.Kinked {
			if kinked {
				return true
			}
		}
		return false
	}
	return s.jacobian.Kinked[i/(n/s.jacobian.Batch)]
}

// relTol is the allowed rounding error, relative to the largest value.
func (s *subject) relTol() float64 {
	switch {
	case s.program.Has(func(k *programs.Kind) bool { return k.Name == "through_bfloat16" }):
		return 0.15
	case s.program.DType == dtypes.Float32, s.program.Has(func(k *programs.Kind) bool { return k.LowersPrecision }):
		return 2e-3
	case s.program.Has(func(k *programs.Kind) bool { return k.UsesErf }):
		return 1e-3
	case s.program.Has(func(k *programs.Kind) bool { return k.Kinks }):
		return 2e-4 // The second derivative may jump, as a spline's does.
	}
	return 2e-5
}

// judge classifies an error. A true message of the toolkit in one line is a refusal; a model that
// the backend itself cannot compute is unusable; everything else is a fault.
func (s *subject) judge(b compute.Backend, err error) error {
	if already, ok := stderrors.AsType[unusable](err); ok {
		return already
	}
	_, forward := s.compute(b, func(_ *model.Scope, outputs, _ *Node) []*Node { return []*Node{outputs} })
	if forward != nil {
		return unusable{errors.WithMessagef(forward, "the model on %s", b.Name())}
	}
	text := err.Error()
	if _, after, ok := strings.Cut(text, "panicked: "); ok {
		text = after // The part before it names functions.
	}
	switch {
	case strings.Contains(text, "\n"), strings.Contains(text, "runtime error"):
		return errors.Errorf("refused in more than one line, or by accident: %s", text)
	case strings.Contains(text, "do not depend"), strings.Contains(text, "depend on inputs"),
		strings.Contains(text, "no adjoint"):
		if norm := mean(s.jacobian.Norms()); norm > 1e-9 {
			return errors.Errorf("said not to depend on the inputs, where the oracle has %.6g: %s", norm, text)
		}
	case !isToolkits(text) && !s.goMLXRefuses(b):
		return errors.Errorf("an error that is not meant for the user: %s", text)
	}
	return refusal{errors.New(text)}
}

func notFinite(values []float64) bool {
	return slices.ContainsFunc(values, func(v float64) bool { return math.IsNaN(v) || math.IsInf(v, 0) })
}

// isSingular returns whether GoMLX's own gradient of the outputs is not finite, as that of a square
// root at 0.
func (s *subject) isSingular(b compute.Backend) bool {
	got, err := s.compute(b, func(_ *model.Scope, outputs, inputs *Node) []*Node {
		return Gradient(ReduceAllSum(outputs), inputs)
	})
	return err == nil && notFinite(got[0])
}

// goMLXRefuses returns whether GoMLX itself cannot build the first or the second gradient of the
// model.
func (s *subject) goMLXRefuses(b compute.Backend) bool {
	_, err := s.compute(b, func(scope *model.Scope, outputs, inputs *Node) []*Node {
		first := Gradient(ReduceAllSum(Square(outputs)), inputs)[0]
		return append(scope.BuildTrainableVariablesGradientsGraph(ReduceAllSum(Square(first))), first)
	})
	return err != nil
}

// isToolkits returns whether a message comes from this toolkit.
func isToolkits(text string) bool {
	for _, of := range []string{"gcml", "vjp", "has no gradient", "no second derivative", "mixes"} {
		if strings.Contains(text, of) {
			return true
		}
	}
	return false
}

// String describes the subject so that it can be made again.
func (s *subject) String() string {
	return fmt.Sprintf("%s (training %t)", s.program, s.training)
}
