package inspect

import (
	"iter"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/train"
	"github.com/pkg/errors"
	"gonum.org/v1/gonum/stat"

	"github.com/geometric-complexity/toolkit/internal/numbers"
	"github.com/geometric-complexity/toolkit/internal/stats"
	"github.com/geometric-complexity/toolkit/representation"
)

// noise draws noise on the inputs for each σ, and compares the change of the outputs with σ·√GC.
func (in *inspection) noise() error {
	if in.subject.InputNode != "" {
		in.note("No noise is drawn: it would have to be added to an inner node.")
		return nil
	}
	sigmas := slices.Sorted(slices.Values(in.options.Noise))
	if in.options.Noise == nil {
		deviation, err := in.inputDeviation()
		if err != nil {
			return err
		}
		if !(deviation > 0) {
			in.note("No noise is drawn: all values of the inputs are equal, so that its size has no scale.")
			return nil
		}
		for _, relative := range relativeNoise {
			sigmas = append(sigmas, relative*deviation)
		}
	}
	for _, sigma := range sigmas {
		n, err := in.drawNoise(sigma)
		if err != nil {
			return err
		}
		in.report.Noise = append(in.report.Noise, n)
	}
	return nil
}

// inputDeviation returns the standard deviation of all values of the input.
func (in *inspection) inputDeviation() (float64, error) {
	var n, mean, squares float64 // Welford's sums.
	for batch, err := range in.subject.Data.Iter() {
		if err != nil {
			return 0, err
		}
		values, err := numbers.Float64s(batch.Inputs[in.subject.Input])
		if finalizeErr := batch.Finalize(); err == nil {
			err = finalizeErr
		}
		if err != nil {
			return 0, err
		}
		for _, v := range values {
			n++
			d := v - mean
			mean += d / n
			squares += d * (v - mean)
		}
	}
	return math.Sqrt(squares / n), nil
}

// drawNoise draws noise of one σ on every example. Each σ has the same directions, so that the
// effects of two of them differ by their size alone.
func (in *inspection) drawNoise(sigma float64) (Noise, error) {
	clean := in.outputs.Outputs[0]
	squared := make([]float64, in.outputs.Examples) // Mean over the draws.
	flipped := 0
	for draw := range noiseDraws {
		in.advance("noise", 0)
		seed := uint64(in.options.Seed)
		noisy := noisyData{Dataset: in.subject.Data, input: in.subject.Input, sigma: sigma,
			seed: [2]uint64{seed, uint64(draw)}}
		all, err := in.evaluator.Evaluate(in.ctx, noisy)
		if err != nil {
			return Noise{}, errors.WithMessagef(err, "inspect: with noise of σ = %g", sigma)
		}
		outputs := all.Outputs[0]
		for i, v := range outputs.Values {
			d := v - clean.Values[i]
			squared[i/clean.Size] += d * d / noiseDraws
		}
		if in.decisions != nil {
			decisions, err := representation.Decisions(outputs.Values, outputs.Size)
			if err != nil {
				return Noise{}, err
			}
			for i, d := range decisions {
				if d != in.decisions[i] {
					flipped++
				}
			}
		}
		in.advance("noise", int64(all.Examples))
	}
	n := Noise{Sigma: sigma, Predicted: sigma * math.Sqrt(in.report.GC.GC), Draws: noiseDraws,
		Drawn: math.Sqrt(stat.Mean(squared, nil)), Flipped: Number(math.NaN())}
	interval := stats.TInterval(squared, stats.Level)
	n.Low, n.High = Number(math.Sqrt(max(0, interval.Lo))), Number(math.Sqrt(interval.Hi))
	if in.decisions != nil {
		n.Flipped = Number(float64(flipped) / float64(noiseDraws*in.outputs.Examples))
	}
	return n, nil
}

// noisyData adds normal noise to one input of a data set.
type noisyData struct {
	train.Dataset
	input int
	sigma float64
	seed  [2]uint64
}

// Iter implements train.Dataset.
func (d noisyData) Iter() iter.Seq2[train.Batch, error] {
	return func(yield func(train.Batch, error) bool) {
		rng := rand.New(rand.NewPCG(d.seed[0], d.seed[1]))
		for batch, err := range d.Dataset.Iter() {
			if err == nil {
				var noisy *tensors.Tensor
				if noisy, err = withNoise(batch.Inputs[d.input], d.sigma, rng); err == nil {
					err = batch.Inputs[d.input].FinalizeAll()
					batch.Inputs = slices.Clone(batch.Inputs)
					batch.Inputs[d.input] = noisy
				}
			}
			if !yield(batch, err) {
				return
			}
		}
	}
}

// withNoise returns x + σ·e for standard normal e, in the shape and dtype of x.
func withNoise(x *tensors.Tensor, sigma float64, rng *rand.Rand) (*tensors.Tensor, error) {
	values, err := numbers.Float64s(x)
	if err != nil {
		return nil, err
	}
	for i := range values {
		values[i] += sigma * rng.NormFloat64()
	}
	noisy, err := numbers.Tensor(values, x.DType(), x.Shape().Dimensions...)
	return noisy, errors.WithMessage(err, "inspect: adding noise to an input")
}
