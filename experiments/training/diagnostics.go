package training

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"

	"github.com/geometric-complexity/toolkit/experiments/runs"
	"github.com/geometric-complexity/toolkit/gcml"
)

// addDiagnostics adds the measurements that the task requests beyond loss, accuracy and GC.
func (s *trainingRun) addDiagnostics(fn modelFn) error {
	t := s.task
	measured := s.data.measured["train"]
	if t.Transfer > 0 {
		d, err := newTransfer(s.store, t.Network, measured, t.Transfer)
		if err != nil {
			return err
		}
		s.eval.diagnostics = append(s.eval.diagnostics, d)
	}
	if len(t.NoiseGap) > 0 {
		if !s.data.classes {
			return errors.New("noise_gap: the data set has no classes; leave it out")
		}
		d, err := newNoiseGap(s.job.Backend, s.store, fn, measured, s.data.outputs, t.NoiseGap, t.Steps)
		if err != nil {
			return err
		}
		s.eval.diagnostics = append(s.eval.diagnostics, d)
	}
	if t.Collapse != nil {
		d, err := newCollapse(s.job.Backend, s.store, t, s.data)
		if err != nil {
			return err
		}
		s.eval.diagnostics = append(s.eval.diagnostics, d)
	}
	if t.Spectrum {
		d, err := newSpectrum(s.job.Backend, s.store, t, fn, s.data)
		if err != nil {
			return err
		}
		s.eval.diagnostics = append(s.eval.diagnostics, d)
	}
	if t.Margin {
		d, err := newMarginBound(s.job.Backend, s.store, t, fn, s.data)
		if err != nil {
			return err
		}
		s.eval.diagnostics = append(s.eval.diagnostics, d)
	}
	if t.TokenEmbeddings != nil {
		d, err := newTokenEmbeddings(s.job.Backend, s.store, t, s.data)
		if err != nil {
			return err
		}
		s.eval.diagnostics = append(s.eval.diagnostics, d)
	}
	return nil
}

// noiseGap measures what Gaussian noise on the inputs adds to the squared error of the outputs f
// against one-hot labels y: for each deviation σ the mean over the examples of E‖f(x+σε) - y‖² -
// ‖f(x) - y‖², the sum over the outputs, as the array "noise_gap". The expectation is over
// noiseDraws draws of ε and -ε, always the same ones. The pairs cancel the odd terms, which leaves
//
//	σ²·GC + σ²·mean of (f(x) - y)·Δf(x) + terms of σ⁴
//
// (Bishop 1995). The second term has the order of the first. It is zero for a linear f and where
// the network fits, but not for a ReLU network that does not: its Laplacian sits in the kinks. The
// array "noise_gap_outputs" therefore holds the same with f(x) in place of y, which has no such
// term. GC over the same examples is "noise_gap_gc".
type noiseGap struct {
	exec    *model.Exec
	gc      evaluation
	sigmas  []float64
	batches []examples
	last    int64 // the only step that is measured
}

const (
	noiseDraws = 8
	noiseSeed  = 20220927
)

func newNoiseGap(backend compute.Backend, store *model.Store, fn modelFn, set examples, outputs int,
	sigmas []float64, last int64) (*noiseGap, error) {
	batches, err := split(set)
	if err != nil {
		return nil, err
	}
	d := &noiseGap{sigmas: sigmas, batches: batches, last: last}
	d.exec, err = model.NewExec(backend, store, func(scope *model.Scope, x, y, noise *graph.Node) []*graph.Node {
		scope.Store().SetTraining(x.Graph(), false)
		f := fn(scope, graph.Concatenate([]*graph.Node{x, graph.Add(x, noise), graph.Sub(x, noise)}, 0))
		f = graph.Reshape(f, 3, x.Shape().Dim(0), outputs) // Clean, and with ε and -ε.
		weights := graph.ConvertDType(graph.Const(x.Graph(), []float64{-1, 0.5, 0.5}), x.DType())
		growth := func(target *graph.Node) *graph.Node {
			squares := graph.ReduceSum(graph.Square(graph.Sub(f, target)), 1, 2)
			return graph.ReduceAllSum(graph.Mul(squares, weights))
		}
		return []*graph.Node{growth(graph.OneHot(graph.Reshape(y, 1, -1), outputs, x.DType())),
			growth(graph.Slice(f, graph.AxisElem(0)))}
	})
	if err != nil {
		return nil, err
	}
	d.gc, err = newEvaluation(backend, store, fn, func(outputs, x, _ *graph.Node) ([]*graph.Node, []string) {
		return []*graph.Node{gcml.Complexity(outputs, x)}, []string{"gc"}
	}, map[string]examples{"noise_gap": set})
	return d, err
}

func (d *noiseGap) measure(ctx context.Context, p *runs.Point) error {
	if p.Step != d.last {
		return nil
	}
	gaps, ofOutputs := make([]runs.Number, len(d.sigmas)), make([]runs.Number, len(d.sigmas))
	for i, sigma := range d.sigmas {
		random := rand.New(rand.NewPCG(noiseSeed, 0))
		var sum, outputSum float64
		n := 0
		for range noiseDraws {
			for _, b := range d.batches {
				if err := ctx.Err(); err != nil {
					return err
				}
				out, err := d.exec.Call(b.inputs, b.labels, normalNoise(b.inputs.Shape(), sigma, random))
				if err != nil {
					return fmt.Errorf("measuring the effect of noise: %w", err)
				}
				sum, outputSum = sum+readScalar(out[0]), outputSum+readScalar(out[1])
				n += b.n
			}
		}
		gaps[i], ofOutputs[i] = runs.Number(sum/float64(n)), runs.Number(outputSum/float64(n))
	}
	p.SetArray("noise_gap", gaps)
	p.SetArray("noise_gap_outputs", ofOutputs)
	return d.gc.measure(ctx, p)
}

// normalNoise draws normal float32 values of a deviation.
func normalNoise(shape shapes.Shape, sigma float64, random *rand.Rand) *tensors.Tensor {
	values := make([]float32, shape.Size())
	for i := range values {
		values[i] = float32(sigma * random.NormFloat64())
	}
	return tensors.FromFlatDataAndDimensions(values, shape.Dimensions...)
}

func (d *noiseGap) finalize() {
	d.exec.Finalize()
	d.gc.graphs.Finalize()
}
