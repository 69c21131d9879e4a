package gcml_test

import (
	"context"
	"iter"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/gomlx/compute"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/ml/train"
	"github.com/pkg/errors"

	"github.com/geometric-complexity/toolkit/gcml"
	"github.com/geometric-complexity/toolkit/internal/gctest"
	"github.com/geometric-complexity/toolkit/internal/gctest/programs"
	"github.com/geometric-complexity/toolkit/internal/numbers"
)

// penaltyOptions are the ways in which Regularize computes the same penalty.
func penaltyOptions(outputs int) [][]gcml.Option {
	return [][]gcml.Option{
		nil,
		{gcml.WithoutClosedForm()},
		{gcml.WithCotangents(1)},
		{gcml.WithGradientInParts(1)},
		{gcml.WithGradientInParts(2)},
		{gcml.WithCotangents(2), gcml.WithoutClosedForm()},
		{gcml.WithEstimator(gcml.Projection(outputs))},
	}
}

// checkGradient compares the gradient of Regularize's penalty, along a random direction of all
// weights at once, with central differences of the GC on the Go backend in float64.
func (s *subject) checkGradient(b compute.Backend, seed int) error {
	stops := s.program.Has(func(k *programs.Kind) bool { return k.StopsGradient })
	switch {
	case stops:
		return untested{errors.New("gradients are stopped on purpose")}
	case s.relTol() > 0.1:
		return untested{errors.New("the precision is too low for differences")}
	case slices.Contains(s.jacobian.Kinked, true):
		return untested{errors.New("an example is at a kink")}
	}
	options := penaltyOptions(s.jacobian.Outputs)
	gradient, scale, err := s.gradientAlong(b, seed, options[seed%len(options)])
	if err != nil {
		return s.judge(b, err)
	}
	coarse, err := s.differenceAlong(seed, 1e-4)
	if err != nil {
		return s.judge(s.plain, err)
	}
	fine, err := s.differenceAlong(seed, 5e-5)
	if err != nil {
		return s.judge(s.plain, err)
	}
	if math.Abs(fine-coarse) > 1e-3*(scale+1e-3) {
		return untested{errors.New("a kink lies within the step of the weights")}
	}
	if tol := 5*s.relTol()*scale + 1e-5*(1+mean(s.jacobian.Norms())); !(math.Abs(gradient-fine) <= tol) {
		return errors.Errorf("the penalty's gradient along a direction is %.9g on %s (option %d), "+
			"differences have %.9g, up to %.2g", gradient, b.Name(), seed%len(options), fine, tol)
	}
	return nil
}

// direction returns a random direction for a trainable variable, which its path decides.
func direction(v *model.Variable, seed int) []float64 {
	rng := rand.New(rand.NewPCG(uint64(seed), uint64(len(v.Path())*31+v.Shape().Size())))
	values := make([]float64, v.Shape().Size())
	for i := range values {
		values[i] = rng.NormFloat64() / math.Sqrt(float64(len(values)))
	}
	return values
}

// gradientAlong returns the derivative of the penalty along the direction, and the sum of its
// absolute terms.
func (s *subject) gradientAlong(b compute.Backend, seed int, opts []gcml.Option) (along, scale float64, err error) {
	store, err := s.store()
	if err != nil {
		return 0, 0, err
	}
	defer store.Finalize()
	store.SetParam(gcml.ParamCoefficient, 1.0)
	x, err := s.input()
	if err != nil {
		return 0, 0, err
	}
	fn := gcml.Regularize(s.program.Model, opts...)
	var directions [][]float64
	gradients, err := model.CallOnceN(b, store, func(scope *model.Scope, x *Node) []*Node {
		g := x.Graph()
		scope.SetTraining(g, true)
		fn(scope, nil, []*Node{x})
		loss := train.GetRegularizationLoss(g)
		nodes := []*Node{loss}
		directions = [][]float64{nil}
		for v := range store.IterVariables() {
			if v.Trainable && v.InUseByGraph(g) {
				nodes = append(nodes, v.NodeValue(g))
				directions = append(directions, direction(v, seed))
			}
		}
		return append([]*Node{loss}, Gradient(loss, nodes[1:]...)...)
	}, x)
	if err != nil {
		return 0, 0, err
	}
	for i, d := range directions {
		values := gctest.Flat(gradients[i])
		for k := range d {
			along += values[k] * d[k]
			scale += math.Abs(values[k] * d[k])
		}
	}
	return along, scale, nil
}

// differenceAlong returns the central difference of the exact GC along the direction.
func (s *subject) differenceAlong(seed int, h float64) (float64, error) {
	var ends [2]float64
	for side, step := range []float64{h, -h} {
		store, err := s.program.NewStore(s.plain, true)
		if err != nil {
			return 0, err
		}
		for v := range store.IterVariables() {
			if !v.Trainable {
				continue
			}
			moved := gctest.Flat(v.MustValue())
			for i, d := range direction(v, seed) {
				moved[i] += step * d
			}
			if err := v.SetValue(tensors.FromFlatDataAndDimensions(moved, v.Shape().Dimensions...)); err != nil {
				return 0, err
			}
		}
		out, err := model.CallOnce(s.plain, store, func(scope *model.Scope, x *Node) *Node {
			scope.SetTraining(x.Graph(), true)
			values := s.program.Graph(scope, x, nil, true)
			return gcml.Complexity(values[len(values)-1], x, gcml.WithoutClosedForm())
		}, tensors.FromFlatDataAndDimensions(slices.Clone(s.x), s.program.Shape...))
		if err != nil {
			return 0, err
		}
		ends[side] = gctest.Flat(out)[0]
		store.Finalize()
	}
	return (ends[0] - ends[1]) / (2 * h), nil
}

// drawnBatches are batches of inputs. Each Iter makes new tensors, because Measure frees them.
type drawnBatches struct {
	programs []programs.Program
	inputs   [][]float64
}

func (d *drawnBatches) Name() string { return "drawn batches" }

func (d *drawnBatches) Iter() iter.Seq2[train.Batch, error] {
	return func(yield func(train.Batch, error) bool) {
		for i, p := range d.programs {
			x, err := numbers.Tensor(d.inputs[i], p.DType, p.Shape...)
			if !yield(train.Batch{Inputs: []*tensors.Tensor{x}}, err) {
				return
			}
		}
	}
}

// checkMeasure compares Measure over several batches of different sizes with the oracle's mean.
func (s *subject) checkMeasure(b compute.Backend, seed int) error {
	full := s.program.Shape[0]
	sizes := [][]int{{full, full}, {full, full, 1}, {1, full}, {full, full + 1, full}}[seed%4]
	if s.program.Has(func(k *programs.Kind) bool { return k.MixesExamples }) {
		sizes = slices.DeleteFunc(sizes, func(size int) bool { return size == 1 }) // See programs.Generator.
	}
	ds := &drawnBatches{}
	var perExample []float64
	perOutput := make([]float64, s.jacobian.Outputs)
	for i, size := range sizes {
		sub, err := newSubject(s.t, s.program.WithBatch(size), false, uint64(seed+i))
		if err != nil {
			return err
		}
		if slices.Contains(sub.jacobian.Kinked, true) {
			return nil
		}
		ds.programs, ds.inputs = append(ds.programs, sub.program), append(ds.inputs, sub.x)
		perExample = append(perExample, sub.jacobian.Norms()...)
		for k, v := range sub.jacobian.RowNorms() {
			perOutput[k%len(perOutput)] += v
		}
	}
	store, err := s.store()
	if err != nil {
		return unusable{err}
	}
	defer store.Finalize()
	options := [][]gcml.Option{
		nil, {gcml.WithCotangents(1)}, {gcml.WithPerOutput()},
		{gcml.WithCotangents(2), gcml.WithoutClosedForm(), gcml.WithPerOutput()},
		{gcml.WithEstimator(gcml.Projection(s.jacobian.Outputs))},
	}[seed%5]
	result, err := gcml.Measure(context.Background(), b, store, s.program.Model, ds, options...)
	if err != nil {
		return s.judge(b, err)
	}
	tol := s.relTol()*slices.Max(perExample) + 1e-8
	if want := mean(perExample); !(math.Abs(result.GC-want) <= tol) || result.Examples != len(perExample) {
		return errors.Errorf("Measure over batches of %v has %.9g for %d examples (option %d), the oracle %.9g for %d",
			sizes, result.GC, result.Examples, seed%5, want, len(perExample))
	}
	for k, v := range result.PerOutput {
		if want := perOutput[k] / float64(len(perExample)); !(math.Abs(v-want) <= tol) {
			return errors.Errorf("Measure over batches of %v has %.9g for output %d, the oracle %.9g", sizes, v, k, want)
		}
	}
	return nil
}
