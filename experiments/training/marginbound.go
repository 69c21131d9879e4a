package training

import (
	"context"
	"errors"
	"fmt"
	"math"

	"github.com/gomlx/compute"
	"github.com/gomlx/gomlx/ml/model"
	"gonum.org/v1/gonum/floats"
	"gonum.org/v1/gonum/stat"

	"github.com/geometric-complexity/toolkit/datasets"
	"github.com/geometric-complexity/toolkit/experiments/runs"
	"github.com/geometric-complexity/toolkit/internal/stats"
	"github.com/geometric-complexity/toolkit/representation"
)

// marginBound measures what Train.Margin describes. For k classes and m training examples the bound
// reads, with probability 1-δ,
//
//	P[error] ≤ R_γ + 36·C·√(kπ)/(γ·m) + 3·√(log(2/δ)/(2m)),  C = ‖E f‖ + √(GC·ρ/δ)
//
// with the ramp loss R_γ at the margin γ and the constant ρ of the Poincaré inequality that the
// inputs satisfy (Theorem 1.1 and Proposition 3.4 there). It is a diagnostic, for these reasons:
//
//   - GC and E f are those of the distribution. Here they are measured on training examples.
//   - ρ cannot be computed from data. Here it is the largest variance of the inputs along a
//     direction, which is ρ for normal inputs and below it for all others.
//   - γ must be chosen before the data are seen. Here it is the one that makes the bound smallest.
//   - The proof covers scalar outputs rather than the vector of all examples' outputs, which makes
//     the second term fall as 1/m, where bounds of this kind have 1/√m.
//
// All of them make the value smaller than a bound with a full proof would be.
type marginBound struct {
	network  *representation.Evaluator
	set      *datasets.Batches
	classes  int
	examples int // m
	poincare float64
}

// boundFailure is the probability δ with which the bound may fail.
const boundFailure = 0.05

func newMarginBound(backend compute.Backend, store *model.Store, t *Train, fn modelFn, data *loaded) (*marginBound,
	error) {
	if !data.classes {
		return nil, errors.New("margin: the data set has no classes; leave it out")
	}
	measured := data.images.measured["train"]
	set, err := inOrder(measured, t.Network.format())
	if err != nil {
		return nil, err
	}
	return &marginBound{network: representation.NewEvaluator(backend, store, fn), set: set, classes: data.outputs,
		examples: data.trained, poincare: largestVariance(pixelRows(measured))}, nil
}

func (d *marginBound) finalize() { d.network.Finalize() }

func (d *marginBound) measure(ctx context.Context, p *runs.Point) error {
	gc := p.Value("train_gc")
	if !stats.Finite(p.Value("train_loss")) || !stats.Finite(gc) {
		return nil // A network that has diverged has no margins.
	}
	evaluation, err := d.network.Evaluate(ctx, d.set)
	if err != nil {
		return fmt.Errorf("measuring margins: %w", err)
	}
	logits := evaluation.Outputs[0].Values
	margins, err := representation.Margins(logits, d.classes, evaluation.Labels)
	if err != nil {
		return err
	}
	margin := stat.Mean(margins, nil)
	p.Values["margin"] = runs.Number(margin)
	p.Values["excess_risk"] = runs.Number(p.Value("train_accuracy") - p.Value("test_accuracy"))
	if margin > 0 {
		p.Values["gc_over_margin"] = runs.Number(gc / margin)
		p.Values["root_gc_over_margin"] = runs.Number(math.Sqrt(gc) / margin)
	}
	capacity := normOfMean(logits, d.classes) + math.Sqrt(gc*d.poincare/boundFailure)
	bound, at, err := smallestMarginBound(margins, d.classes, d.examples, capacity)
	p.Values["margin_capacity"], p.Values["margin_bound"] = runs.Number(capacity), runs.Number(bound)
	if !math.IsInf(at, 1) {
		p.Values["margin_bound_at"] = runs.Number(at)
	}
	return err
}

// normOfMean returns the norm of the mean over the examples of the outputs, [examples, classes].
func normOfMean(outputs []float64, classes int) float64 {
	mean := make([]float64, classes)
	for i, v := range outputs {
		mean[i%classes] += v
	}
	return floats.Norm(mean, 2) / float64(len(outputs)/classes)
}

// smallestMarginBound returns the smallest value of the bound over a grid of margins γ, and the γ
// it has there. For γ to infinity the ramp loss comes to 1 and the second term to 0: if no γ of the
// grid is better than that limit, which says nothing, the limit is the value, and γ is infinite.
func smallestMarginBound(margins []float64, classes, examples int, capacity float64) (bound, at float64, err error) {
	const decades, perDecade = 4, 50
	scale := 0.0
	for _, m := range margins {
		scale = max(scale, math.Abs(m))
	}
	if scale == 0 {
		scale = 1
	}
	m := float64(examples)
	slack := 3 * math.Sqrt(math.Log(2/boundFailure)/(2*m))
	second := 36 * capacity * math.Sqrt(float64(classes)*math.Pi) / m
	bound, at = 1+slack, math.Inf(1)
	for i := -decades * perDecade; i <= decades*perDecade; i++ {
		gamma := scale * math.Pow(10, float64(i)/perDecade)
		ramp, err := representation.RampLoss(margins, gamma)
		if err != nil {
			return 0, 0, err
		}
		if b := ramp + second/gamma + slack; b < bound {
			bound, at = b, gamma
		}
	}
	return bound, at, nil
}
