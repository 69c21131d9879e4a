package regularizers_test

import (
	"fmt"
	"testing"

	"github.com/gomlx/compute"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/layers"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/ml/train"
	"github.com/gomlx/gomlx/ml/train/loss"

	"github.com/geometric-complexity/toolkit/internal/gctest"
	"github.com/geometric-complexity/toolkit/regularizers"
)

// reluMLP and convNet are models of GoMLX's layers, as mlp is.
func reluMLP(scope *model.Scope, x *graph.Node) *graph.Node {
	x = graph.Max(layers.Dense(scope.In("hidden"), x, true, 6), graph.ScalarZero(x.Graph(), x.DType()))
	return layers.Dense(scope.In("out"), x, true, 3)
}

func convNet(scope *model.Scope, x *graph.Node) *graph.Node {
	x = layers.Convolution(scope.In("one"), x).Channels(2).KernelSize(3).PadSame().Done()
	x = graph.Tanh(x)
	x = layers.Convolution(scope.In("two"), x).Channels(3).KernelSize(2).NoPadding().Done()
	return graph.ReduceMean(x, 1, 2)
}

// The penalty equals c times the squared norm of the loss's central differences, and its gradient,
// which takes the second derivative of the network, equals the central differences of loss +
// penalty.
func TestFlatness(t *testing.T) {
	const c = 0.2
	oneHot := func() *tensors.Tensor {
		return tensors.FromValue([][]float64{{1, 0, 0}, {0, 0, 1}, {0, 1, 0}, {1, 0, 0}})
	}
	cases := []struct {
		name   string
		model  func(*model.Scope, *graph.Node) *graph.Node
		loss   train.LossFn
		x      func() *tensors.Tensor
		labels func() *tensors.Tensor
	}{
		{"tanh MLP, squared error", mlp, loss.MeanSquaredError,
			func() *tensors.Tensor { return gaussian(1, 4, 4) }, func() *tensors.Tensor { return gaussian(2, 4, 3) }},
		{"tanh MLP, cross entropy of each example", mlp, loss.SparseCategoricalCrossEntropyLogits,
			func() *tensors.Tensor { return gaussian(1, 4, 4) }, func() *tensors.Tensor { return classes(2, 4, 3) }},
		{"ReLU MLP, cross entropy", reluMLP, loss.CategoricalCrossEntropyLogits,
			func() *tensors.Tensor { return gaussian(1, 4, 4) }, oneHot},
		{"convolutions, squared error", convNet, loss.MeanSquaredError,
			func() *tensors.Tensor { return gaussian(1, 4, 5, 4, 1) }, func() *tensors.Tensor { return gaussian(2, 4, 3) }},
	}
	gctest.ForEachBackend(t, func(t *testing.T, b compute.Backend) {
		for _, tc := range cases {
			t.Run(tc.name, func(t *testing.T) {
				store := seeded(t, map[string]any{regularizers.ParamFlatness: c})
				p := newProbe(t, b, store, tc.model, regularizers.Flatness(tc.loss), true)
				x, y := tc.x(), tc.labels()
				p.call(t, x, y)
				moveBiases(t, store)
				got := p.call(t, x, y)

				theta := parameters(store)
				ofParameters := func(value func(s step) float64) func([]float64) float64 {
					return func(theta []float64) float64 {
						setParameters(t, store, theta)
						return value(p.call(t, x, y))
					}
				}
				mainLoss := ofParameters(func(s step) float64 { return s.main })
				total := ofParameters(func(s step) float64 { return s.main + s.penalty })
				want := 0.0
				for _, d := range gctest.CentralDifference(mainLoss, theta, 1e-5) {
					want += c * d * d
				}
				gctest.AssertClose(t, []float64{got.penalty}, []float64{want}, 1e-8, 0, "penalty")
				gctest.AssertClose(t, got.gradient, gctest.CentralDifference(total, theta, 1e-5), 1e-8, 0,
					"gradient of loss + penalty")

				// The penalty changes the gradient, so the comparison above would notice if it were
				// missing.
				plain := newProbe(t, b, store, tc.model, tc.loss, true)
				setParameters(t, store, theta)
				base := plain.call(t, x, y)
				if base.main != got.main {
					t.Errorf("the main loss is %g, want %g", got.main, base.main)
				}
				change := 0.0
				for i := range base.gradient {
					change = max(change, base.gradient[i]-got.gradient[i], got.gradient[i]-base.gradient[i])
				}
				if change < 1e-4 {
					t.Errorf("the penalty changes the gradient by %g at most, want 1e-4 or more", change)
				}
			})
		}
	})
}

func TestSquaredParameterGradientNorm(t *testing.T) {
	gctest.ForEachBackend(t, func(t *testing.T, b compute.Backend) {
		// L = mean of x_i²·y over i: ∂L/∂x_i = 2·x_i·y/n, ∂L/∂y = mean of x_i².
		got := graph.MustExecOnce(b, func(x, y *graph.Node) *graph.Node {
			return regularizers.SquaredParameterGradientNorm(graph.Mul(graph.Square(x), y), x, y)
		}, []float64{1, -2, 3, 0.5}, 3.0).Value().(float64)
		want := 0.0
		for _, x := range []float64{1, -2, 3, 0.5} {
			want += (2 * x * 3 / 4) * (2 * x * 3 / 4)
		}
		mean := (1 + 4 + 9 + 0.25) / 4
		want += mean * mean
		gctest.AssertClose(t, []float64{got}, []float64{want}, 1e-14, 0, "‖∇L‖²")
	})
}

func TestFlatnessOffAndEvaluation(t *testing.T) {
	b := gctest.GoBackend(t)
	for _, tc := range []struct {
		c        float64
		training bool
	}{{0, true}, {0, false}, {1, false}} {
		t.Run(fmt.Sprintf("c %g, training %v", tc.c, tc.training), func(t *testing.T) {
			store := seeded(t, map[string]any{regularizers.ParamFlatness: tc.c})
			got := newProbe(t, b, store, mlp, regularizers.Flatness(loss.MeanSquaredError), tc.training).
				call(t, gaussian(1, 4, 4), gaussian(2, 4, 3))
			if got.penalty != 0 {
				t.Errorf("penalty %g, want 0", got.penalty)
			}
		})
	}
}
