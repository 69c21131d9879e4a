package capacity_test

import (
	"context"
	"math"
	"testing"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"

	"github.com/geometric-complexity/toolkit/capacity"
	"github.com/geometric-complexity/toolkit/internal/gctest"
)

// TestLearningCoefficientOfQuadratic compares with the closed form for L(w) = ½Σ h_i·(w_i - w*_i)²
// + L(w*). Each coordinate of the chain is multiplied by 1 - ε/2·(nβ·h_iB + γ) in a step with batch
// B, which has the curvature h_iB, before noise of variance ε is added: its variance is
// ε/(1 - E[factor²]). Without localization and for small steps the coefficient is 1/2 for each
// coordinate, but for flat directions, which count 0. The minimum w* is not at 0, and each example
// stands there twice, with opposite residuals, so that the loss of a batch at w* is not 0 although
// its gradient is.
func TestLearningCoefficientOfQuadratic(t *testing.T) {
	curvatures := []float64{10, 1, 3, 0}
	const nBeta, gamma, step = 1000.0, 20.0, 2e-5
	minimum := []float64{2, -3, 1.5, 4}
	d := float64(len(curvatures))
	var all rows
	for i, h := range curvatures {
		x := make([]float64, len(curvatures))
		x[i] = math.Sqrt(h * d)
		target, residual := x[i]*minimum[i], float64(1+i)
		all.x = append(all.x, x, x)
		all.y = append(all.y, []float64{target + residual}, []float64{target - residual})
	}
	for _, sizes := range [][]int{{4}, {1, 3}} {
		want := 0.0
		for i, h := range curvatures {
			// The example of the coordinate is in one batch, the share of which is size/d.
			size, square := float64(sizes[min(i, len(sizes)-1)]), 0.0
			for _, batch := range []struct{ probability, curvature float64 }{{size / d, h * d / size}, {1 - size/d, 0}} {
				factor := 1 - step/2*(nBeta*batch.curvature+gamma)
				square += batch.probability * factor * factor
			}
			want += 0.5 * nBeta * h * step / (1 - square)
		}
		if want < 1.45 || want > 1.75 {
			t.Fatalf("the closed form is %g, want about half the three directions that are not flat", want)
		}
		all.sizes = nil
		for _, size := range sizes {
			all.sizes = append(all.sizes, 2*size)
		}
		l := newLoss(t, gctest.GoBackend(t), linearStore(minimum...), linear, all, halfSquare)
		got, err := l.LearningCoefficient(context.Background(), capacity.Langevin{StepSize: step, Localization: gamma,
			InverseTemperature: nBeta / (2 * d), BurnIn: 500, Steps: 8000, Chains: 4, Seed: 1})
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%d batches: %.4g ± %.2g, want %.4g", len(sizes), got.Value, got.StdErr, want)
		if math.Abs(got.Value-want) > 0.2 || got.StdErr > 0.1 {
			t.Errorf("%d batches: learning coefficient %g ± %g, want %g", len(sizes), got.Value, got.StdErr, want)
		}
	}
}

// powers is the model of one example whose loss, ½f², is L(w) = Π w_i^(2k_i).
func powers(exponents ...int) func(*model.Scope, *Node) *Node {
	return func(scope *model.Scope, x *Node) *Node {
		w := scope.GetVariable("w").NodeValue(x.Graph())
		f := MulScalar(x, math.Sqrt2)
		for i, k := range exponents {
			for range k {
				f = Mul(f, Slice(w, AxisElem(i)))
			}
		}
		return f
	}
}

// TestLearningCoefficientOfSingularLosses has losses without a Hessian that can be inverted.
func TestLearningCoefficientOfSingularLosses(t *testing.T) {
	for _, c := range []struct {
		name      string
		exponents []int
		nBeta     float64
		options   capacity.Langevin
		want      float64
	}{
		// The mean of b·w⁴ with the density exp(-b·w⁴) is 1/4 for every b: λ = 1/4 and not d/2 =
		// 1/2.
		{"w⁴", []int{2}, 1e4, capacity.Langevin{StepSize: 1e-4, Localization: 1e-3}, 0.25},
		// λ = 1/2 of multiplicity 2, and not d/2 = 1; at this temperature the quadrature says what
		// to expect.
		{"w₁²w₂²", []int{1, 1}, 20, capacity.Langevin{StepSize: 2e-3, Localization: 1}, crossingValley(20, 1)},
	} {
		t.Run(c.name, func(t *testing.T) {
			ds := rows{x: [][]float64{{1}}, y: [][]float64{{0}}, sizes: []int{1}}
			l := newLoss(t, gctest.GoBackend(t), linearStore(make([]float64, len(c.exponents))...), powers(c.exponents...), ds,
				halfSquare)
			o := c.options
			o.InverseTemperature, o.BurnIn, o.Steps, o.Chains, o.Seed = c.nBeta, 500, 6000, 4, 2
			got, err := l.LearningCoefficient(context.Background(), o)
			if err != nil {
				t.Fatal(err)
			}
			t.Logf("%.4g ± %.2g, want %.4g", got.Value, got.StdErr, c.want)
			if math.Abs(got.Value-c.want) > 0.05 || got.StdErr > 0.05 {
				t.Errorf("learning coefficient %g ± %g, want %g", got.Value, got.StdErr, c.want)
			}
		})
	}
}

// crossingValley is the mean of b·x²y² with the density exp(-b·x²y² - γ/2·(x² + y²)). The integral
// over y is that of a normal distribution, and that over x a sum over a grid.
func crossingValley(b, gamma float64) float64 {
	var above, below float64
	for x := 5e-5; x < 10; x += 1e-4 {
		precision := b*x*x + gamma/2
		weight := math.Exp(-gamma/2*x*x) / math.Sqrt(precision)
		above += weight * b * x * x / (2 * precision)
		below += weight
	}
	return above / below
}
