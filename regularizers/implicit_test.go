package regularizers_test

import (
	"context"
	"errors"
	"iter"
	"math"
	"testing"

	"github.com/gomlx/compute"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/ml/train"
	"github.com/gomlx/gomlx/ml/train/loss"

	"github.com/geometric-complexity/toolkit/internal/gctest"
	"github.com/geometric-complexity/toolkit/regularizers"
)

// twoParameters is E = (y - abx)²/2 at x = 1, y = 0.6.
func twoParameters(a, b *graph.Node) *graph.Node {
	residual := graph.AddScalar(graph.Neg(graph.Mul(a, b)), 0.6)
	return graph.MulScalar(graph.Square(residual), 0.5)
}

// gradientField returns a function from θ to the modified loss E + (h/4)‖∇E‖² and its negative
// gradient.
func gradientField(t testing.TB, backend compute.Backend, h float64,
) func(theta []float64) (value float64, minusGradient []float64) {
	t.Helper()
	exec := graph.MustNewExec(backend, func(a, b *graph.Node) []*graph.Node {
		modified := regularizers.ModifiedLoss(twoParameters(a, b), h, a, b)
		return append([]*graph.Node{modified}, graph.Gradient(modified, a, b)...)
	})
	t.Cleanup(exec.Finalize)
	return func(theta []float64) (float64, []float64) {
		r := exec.MustCall(theta[0], theta[1])
		return r[0].Value().(float64), []float64{-r[1].Value().(float64), -r[2].Value().(float64)}
	}
}

func TestModifiedLossClosedForm(t *testing.T) {
	gctest.ForEachBackend(t, func(t *testing.T, backend compute.Backend) {
		const h, a, b = 0.03, 2.8, 3.5
		value, minusGradient := gradientField(t, backend, h)([]float64{a, b})
		closedForm := func(theta []float64) float64 {
			r := 0.6 - theta[0]*theta[1]
			return r*r/2 + h/4*(r*r*(theta[0]*theta[0]+theta[1]*theta[1]))
		}
		gctest.AssertClose(t, []float64{value}, []float64{closedForm([]float64{a, b})}, 1e-13, 0, "modified loss")
		want := gctest.CentralDifference(func(theta []float64) float64 { return -closedForm(theta) }, []float64{a, b}, 1e-5)
		gctest.AssertClose(t, minusGradient, want, 1e-8, 0, "gradient")
	})
}

// rungeKutta4 follows the flow of f from theta for a time, in equal steps.
func rungeKutta4(f func([]float64) (float64, []float64), theta []float64, time float64, steps int) []float64 {
	h := time / float64(steps)
	shifted := func(theta, k []float64, by float64) []float64 {
		return []float64{theta[0] + by*k[0], theta[1] + by*k[1]}
	}
	for range steps {
		_, k1 := f(theta)
		_, k2 := f(shifted(theta, k1, h/2))
		_, k3 := f(shifted(theta, k2, h/2))
		_, k4 := f(shifted(theta, k3, h))
		next := make([]float64, 2)
		for i := range next {
			next[i] = theta[i] + h/6*(k1[i]+2*k2[i]+2*k3[i]+k4[i])
		}
		theta = next
	}
	return theta
}

// Gradient descent from (2.8, 3.5) for a fixed time integrates the flow of E to first order and the
// flow of the modified loss to second order: halving h halves its distance to the former and
// quarters its distance to the latter.
func TestGradientDescentFollowsTheModifiedFlow(t *testing.T) {
	const time = 0.4
	backend := gctest.GoBackend(t)
	start := []float64{2.8, 3.5}
	flow := rungeKutta4(gradientField(t, backend, 0), start, time, 500)
	// 500 steps of fourth order leave an error far below the distances compared.
	var original, modified []float64
	for _, steps := range []int{64, 128, 256, 512} {
		h := time / float64(steps)
		descent := start
		gradient := gradientField(t, backend, 0)
		for range steps {
			_, g := gradient(descent)
			descent = []float64{descent[0] + h*g[0], descent[1] + h*g[1]}
		}
		modifiedFlow := rungeKutta4(gradientField(t, backend, h), start, time, 500)
		original = append(original, math.Hypot(descent[0]-flow[0], descent[1]-flow[1]))
		modified = append(modified, math.Hypot(descent[0]-modifiedFlow[0], descent[1]-modifiedFlow[1]))
	}
	for i := 1; i < len(original); i++ {
		first, second := math.Log2(original[i-1]/original[i]), math.Log2(modified[i-1]/modified[i])
		if math.Abs(first-1) > 0.15 || math.Abs(second-2) > 0.15 {
			t.Errorf("the distances to the flows of E and of the modified loss have orders %.3f and %.3f, "+
				"want 1 and 2 (distances %.3g and %.3g)",
				first, second, original, modified)
		}
		if modified[i] > original[i]/10 {
			t.Errorf("the distance to the modified flow is %g, want at most a tenth of the distance to the flow of E, %g",
				modified[i], original[i])
		}
	}
}

// batches is a data set of fixed batches.
type batches struct {
	list []func() train.Batch
	err  error
}

func (ds *batches) Name() string { return "fixed batches" }

func (ds *batches) Iter() iter.Seq2[train.Batch, error] {
	return func(yield func(train.Batch, error) bool) {
		for _, batch := range ds.list {
			if !yield(batch(), nil) {
				return
			}
		}
		if ds.err != nil {
			yield(train.Batch{}, ds.err)
		}
	}
}

// regression returns batches of (x, y) with these sizes, taken from x and y in order.
func regression(x, y []float64, sizes ...int) *batches {
	ds := &batches{}
	at := 0
	for _, n := range sizes {
		from := at
		ds.list = append(ds.list, func() train.Batch {
			return train.Batch{
				Inputs: []*tensors.Tensor{tensors.FromFlatDataAndDimensions(append([]float64(nil), x[from:from+n]...), n, 1)},
				Labels: []*tensors.Tensor{tensors.FromFlatDataAndDimensions(append([]float64(nil), y[from:from+n]...), n, 1)},
			}
		})
		at += n
	}
	return ds
}

// line is f(x) = wx + c with w = 0.5, c = -1.
func line(scope *model.Scope, x *graph.Node) *graph.Node {
	w := scope.VariableWithValue("w", 0.5).NodeValue(x)
	c := scope.VariableWithValue("c", -1.0).NodeValue(x)
	return graph.Add(graph.Mul(x, w), c)
}

func TestMeasureImplicit(t *testing.T) {
	const h = 0.2
	x := []float64{1, -2, 0.5, 3, -1, 2, 0, 1.5}
	y := []float64{0, 1, -1, 2, 0.5, -0.5, 1, 2}
	// gradient returns n, the sum of the losses (wx + c - y)², and the sums of its derivatives.
	gradient := func(from, to int) (n, l, dw, dc float64) {
		for i := from; i < to; i++ {
			r := 0.5*x[i] - 1 - y[i]
			n, l, dw, dc = n+1, l+r*r, dw+2*r*x[i], dc+2*r
		}
		return n, l, dw, dc
	}
	n, l, dw, dc := gradient(0, 8)
	full := (dw*dw + dc*dc) / (n * n)
	cases := []struct {
		name  string
		sizes []int
	}{
		{"equal batches", []int{2, 2, 2, 2}},
		{"a short last batch", []int{3, 3, 2}},
		{"one batch", []int{8}},
	}
	gctest.ForEachBackend(t, func(t *testing.T, b compute.Backend) {
		for _, tc := range cases {
			t.Run(tc.name, func(t *testing.T) {
				variance, from := 0.0, 0
				for _, size := range tc.sizes {
					ni, _, wi, ci := gradient(from, from+size)
					variance += ni / n * (math.Pow(wi/ni-dw/n, 2) + math.Pow(ci/ni-dc/n, 2))
					from += size
				}
				store := model.NewStore()
				got, err := regularizers.MeasureImplicit(context.Background(), b, store, line, loss.MeanSquaredError,
					regression(x, y, tc.sizes...), h)
				if err != nil {
					t.Fatal(err)
				}
				if got.Examples != 8 || got.Batches != len(tc.sizes) {
					t.Errorf("%d examples in %d batches", got.Examples, got.Batches)
				}
				gctest.AssertClose(t,
					[]float64{got.Loss, got.SquaredParameterGradientNorm, got.DescentTerm, got.Modified},
					[]float64{l / n, full, h / 4 * full, l/n + h/4*(full+variance)}, 1e-13, 0, "loss, ‖∇L‖², its term, modified loss")
				gctest.AssertClose(t, []float64{got.BatchVariance, got.SGDTerm}, []float64{variance, h / 4 * variance}, 1e-13,
					1e-13, "variance of the batches, its term")
			})
		}
	})
}

// If the spec chooses the variables, the gradients of different variables are kept apart, whatever
// the order of the batches.
func TestMeasureImplicitSpecs(t *testing.T) {
	const h = 0.2
	// f(x) = w·x, where the spec chooses w.
	modelFn := func(scope *model.Scope, spec any, inputs []*graph.Node) []*graph.Node {
		w := scope.VariableWithValue(spec.(string), 0.5).NodeValue(inputs[0])
		return []*graph.Node{graph.Mul(inputs[0], w)}
	}
	x, specs := [][]float64{{1, -2}, {3, 1}, {2, 2}}, []string{"a", "b", "a"}
	ds := &batches{}
	sums := map[string]float64{} // Of the gradients of mean (w·x)² = 2·w·mean x², over batches of equal size.
	var squares float64
	for i := range x {
		gradient := (x[i][0]*x[i][0] + x[i][1]*x[i][1]) / 2
		sums[specs[i]] += gradient
		squares += gradient * gradient / 3
		ds.list = append(ds.list, func() train.Batch {
			return train.Batch{Spec: specs[i],
				Inputs: []*tensors.Tensor{tensors.FromFlatDataAndDimensions(append([]float64(nil), x[i]...), 2, 1)},
				Labels: []*tensors.Tensor{tensors.FromFlatDataAndDimensions(make([]float64, 2), 2, 1)}}
		})
	}
	full := (sums["a"]*sums["a"] + sums["b"]*sums["b"]) / 9
	gctest.ForEachBackend(t, func(t *testing.T, b compute.Backend) {
		got, err := regularizers.MeasureImplicit(context.Background(), b, model.NewStore(), train.ModelFn(modelFn),
			loss.MeanSquaredError, ds, h)
		if err != nil {
			t.Fatal(err)
		}
		gctest.AssertClose(t, []float64{got.SquaredParameterGradientNorm, got.BatchVariance}, []float64{full, squares - full},
			1e-13, 0, "‖∇L‖² and the variance of the batches")
	})
}

// MeasureImplicit agrees with ModifiedLoss on a network without penalties and noise, because it
// runs the model in evaluation mode.
func TestMeasureImplicitAgreesWithModifiedLoss(t *testing.T) {
	const h = 0.1
	gctest.ForEachBackend(t, func(t *testing.T, b compute.Backend) {
		store := seeded(t, map[string]any{regularizers.ParamL2: 1.0, regularizers.ParamInputNoise: 1.0})
		exec := model.MustNewExec(b, store, func(scope *model.Scope, x, y *graph.Node) *graph.Node {
			l := loss.MeanSquaredError([]*graph.Node{y}, []*graph.Node{mlp(scope, x)})
			var nodes []*graph.Node
			for v := range scope.IterVariables() {
				if v.Trainable {
					nodes = append(nodes, v.NodeValue(x))
				}
			}
			return regularizers.ModifiedLoss(l, h, nodes...)
		})
		want := exec.MustCall1(gaussian(1, 6, 4), gaussian(2, 6, 3)).Value().(float64)
		ds := &batches{list: []func() train.Batch{func() train.Batch {
			return train.Batch{Inputs: []*tensors.Tensor{gaussian(1, 6, 4)}, Labels: []*tensors.Tensor{gaussian(2, 6, 3)}}
		}}}
		penalized := regularizers.Combine(mlp, regularizers.With(regularizers.L2), regularizers.With(regularizers.InputNoise))
		got, err := regularizers.MeasureImplicit(context.Background(), b, store, penalized, loss.MeanSquaredError, ds, h)
		if err != nil {
			t.Fatal(err)
		}
		gctest.AssertClose(t, []float64{got.Loss + got.DescentTerm}, []float64{want}, 1e-12, 0, "modified loss")
	})
}

func TestMeasureImplicitErrors(t *testing.T) {
	b := gctest.GoBackend(t)
	ctx := context.Background()
	cancelled, cancel := context.WithCancel(ctx)
	cancel()
	ds := regression([]float64{1}, []float64{1}, 1)
	constant := func(_ *model.Scope, x *graph.Node) *graph.Node { return x }
	broken := &batches{err: errors.New("the disk is full")}
	cases := []struct {
		name string
		call func() (regularizers.Implicit, error)
		want []string
	}{
		{"negative learning rate", func() (regularizers.Implicit, error) {
			return regularizers.MeasureImplicit(ctx, b, model.NewStore(), line, loss.MeanSquaredError, ds, -1)
		}, []string{"learning rate is -1"}},
		{"no loss", func() (regularizers.Implicit, error) {
			return regularizers.MeasureImplicit(ctx, b, model.NewStore(), line, nil, ds, 1)
		}, []string{"loss function is nil"}},
		{"cancelled", func() (regularizers.Implicit, error) {
			return regularizers.MeasureImplicit(cancelled, b, model.NewStore(), line, loss.MeanSquaredError, ds, 1)
		}, []string{"stopped after 0 batches", "canceled"}},
		{"empty data", func() (regularizers.Implicit, error) {
			return regularizers.MeasureImplicit(ctx, b, model.NewStore(), line, loss.MeanSquaredError, &batches{}, 1)
		}, []string{"fixed batches", "is empty"}},
		{"failing data", func() (regularizers.Implicit, error) {
			return regularizers.MeasureImplicit(ctx, b, model.NewStore(), line, loss.MeanSquaredError, broken, 1)
		}, []string{"batch 0", "fixed batches", "disk is full"}},
		{"nothing trainable", func() (regularizers.Implicit, error) {
			return regularizers.MeasureImplicit(ctx, b, model.NewStore(), constant, loss.MeanSquaredError, ds, 1)
		}, []string{"no trainable variable"}},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			_, err := tc.call()
			assertOneLineError(t, err, append(tc.want, "regularizers.MeasureImplicit: ")...)
		})
	}
}
