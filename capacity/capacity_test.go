package capacity_test

import (
	"context"
	"errors"
	"iter"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/gomlx/compute"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/ml/train"
	"gonum.org/v1/gonum/mat"

	"github.com/geometric-complexity/toolkit/capacity"
	"github.com/geometric-complexity/toolkit/internal/gctest"
)

// rows is a data set of inputs and targets [batch, columns], in batches of the given sizes.
type rows struct {
	x, y  [][]float64
	sizes []int
}

func (rows) Name() string { return "rows" }

func (r rows) Iter() iter.Seq2[train.Batch, error] {
	return func(yield func(train.Batch, error) bool) {
		from := 0
		for _, size := range r.sizes {
			b := train.Batch{Inputs: []*tensors.Tensor{tensors.FromValue(r.x[from : from+size])},
				Labels: []*tensors.Tensor{tensors.FromValue(r.y[from : from+size])}}
			from += size
			if !yield(b, nil) {
				return
			}
		}
	}
}

// linear maps x [batch, n] to x·w [batch, 1]. Its store has an unused variable, too.
func linear(scope *model.Scope, x *Node) *Node {
	return Dot(x, scope.GetVariable("w").NodeValue(x.Graph())).Product()
}

func linearStore(w ...float64) *model.Store {
	store := model.NewStore()
	column := make([][]float64, len(w))
	for i, v := range w {
		column[i] = []float64{v}
	}
	store.VariableWithValue("/w", column)
	store.VariableWithValue("/momentum", column)
	return store
}

// halfSquare is the loss ½(f - y)² of each example.
func halfSquare(labels, predictions []*Node) *Node {
	return MulScalar(Square(Sub(predictions[0], labels[0])), 0.5)
}

// newLoss returns the loss of a model on rows, until the test ends.
func newLoss(t *testing.T, b compute.Backend, store *model.Store, fn func(*model.Scope, *Node) *Node, ds rows,
	lossFn train.LossFn) *capacity.Loss {
	t.Helper()
	l, err := capacity.NewLoss(context.Background(), b, store, fn, lossFn, ds)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.Finalize)
	return l
}

// regression is a linear regression with batches of unlike sizes, and what is true of it.
var regression = struct {
	rows
	w []float64
}{rows{x: [][]float64{{1, 2}, {0, -1}, {3, 1}}, y: [][]float64{{1}, {0}, {-1}}, sizes: []int{2, 1}}, []float64{0.5, -2}}

func TestLoss(t *testing.T) {
	// The residuals are -4.5, 2 and 0.5.
	const want = 0.5 * (20.25 + 4 + 0.25) / 3
	gradient := []float64{(-4.5 + 1.5) / 3, (-9 - 2 + 0.5) / 3}
	gctest.ForEachBackend(t, func(t *testing.T, b compute.Backend) {
		store := linearStore(regression.w...)
		l := newLoss(t, b, store, linear, regression.rows, halfSquare)
		got, err := l.SquaredGradientNorm(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		gctest.AssertClose(t, []float64{l.Value(), got, float64(l.Examples()), capacity.SquaredNorm(l.Weights())},
			[]float64{want, gradient[0]*gradient[0] + gradient[1]*gradient[1], 3, 4.25}, 1e-12, 0,
			"loss, squared gradient norm, examples, squared norm")
		if _, err := l.Sharpness(context.Background(), capacity.SharpnessOptions{}); err != nil {
			t.Fatal(err)
		}
		after, err := l.SquaredGradientNorm(context.Background())
		gctest.AssertClose(t, []float64{after}, []float64{got}, 0, 0, "squared gradient norm after noise")
		if w := store.GetVariable("/w").MustValue().Value().([][]float64); err != nil || w[0][0] != 0.5 || w[1][0] != -2 {
			t.Errorf("the store's weights have become %v (%v)", w, err)
		}
	})
}

func TestSharpness(t *testing.T) {
	// A quadratic loss rises by ½·Σ σ²w_i²·∂²L/∂w_i², with the second derivatives mean(x_i²) over
	// the examples.
	const sigma = 0.3
	ones := [][]float64{{1}, {1}, {1}, {1}, {1}}
	unequal := rows{x: [][]float64{{0, 1}, {0, 1}, {0, 1}, {0, 1}, {5, 0}}, y: ones, sizes: []int{4, 1}}
	gctest.ForEachBackend(t, func(t *testing.T, b compute.Backend) {
		for _, c := range []struct {
			name string
			ds   rows
			w    []float64
			want float64
		}{
			{"three examples", regression.rows, regression.w, 0.5 * sigma * sigma * (0.25*10/3 + 4*2)},
			// The mean over the batches would be more than twice as large.
			{"batches that differ", unequal, []float64{2, -0.5}, 0.5 * sigma * sigma * (4*25/5. + 0.25*4/5)},
		} {
			l := newLoss(t, b, linearStore(c.w...), linear, c.ds, halfSquare)
			options := capacity.SharpnessOptions{Sigma: sigma, Draws: 1000, Seed: 3}
			got, err := l.Sharpness(context.Background(), options)
			if err != nil {
				t.Fatal(err)
			}
			if math.Abs(got.Value-c.want) > 4*got.StdErr || got.StdErr > 0.1*c.want {
				t.Errorf("%s: sharpness %g ± %g, want %g", c.name, got.Value, got.StdErr, c.want)
			}
		}
	})
}

func TestSquaredPathNorm(t *testing.T) {
	w1, b1 := [][]float32{{1, -2}, {3, 0.5}}, []float32{-1, 2}
	w2, b2 := [][]float32{{2, 1}, {-1, 3}}, []float32{0.5, 0}
	const scale = 4
	network := func(scope *model.Scope, x *Node) *Node {
		v := func(name string) *Node { return scope.GetVariable(name).NodeValue(x.Graph()) }
		hidden := Max(Add(Dot(x, v("w1")).Product(), InsertAxes(v("b1"), 0)), ScalarZero(x.Graph(), x.DType()))
		return Add(Dot(hidden, v("w2")).Product(), InsertAxes(v("b2"), 0))
	}
	// The sum over all paths, one by one.
	want := 0.0
	square := func(a float32) float64 { return float64(a) * float64(a) }
	for out := range 2 {
		want += square(b2[out])
		for unit := range 2 {
			want += square(b1[unit]) * square(w2[unit][out])
			for in := range 2 {
				want += square(w1[in][unit]) * square(w2[unit][out])
			}
		}
	}
	gctest.ForEachBackend(t, func(t *testing.T, b compute.Backend) {
		for _, factor := range []float32{1, scale} {
			store := model.NewStore()
			store.VariableWithValue("/w1", [][]float32{{1 * factor, -2}, {3 * factor, 0.5}})
			store.VariableWithValue("/b1", []float32{-1 * factor, 2})
			store.VariableWithValue("/w2", [][]float32{{2 / factor, 1 / factor}, {-1, 3}})
			store.VariableWithValue("/b2", b2)
			mean := func(_, predictions []*Node) *Node { return ReduceAllMean(predictions[0]) }
			x := tensors.FromValue([][]float32{{1, -1}})
			ds := one{train.Batch{Inputs: []*tensors.Tensor{x}}}
			l, err := capacity.NewLoss(context.Background(), b, store, network, mean, ds)
			if err != nil {
				t.Fatal(err)
			}
			defer l.Finalize()
			got, err := capacity.SquaredPathNorm(b, store, network, l.Weights(), 2)
			if err != nil {
				t.Fatal(err)
			}
			gctest.AssertClose(t, []float64{got}, []float64{want}, 1e-6, 0, "squared path norm")
		}
	})
}

// TestSquaredPathNormOfFrozenWeights has a first layer that is not trainable: the paths are 3·2 and
// -2·2.
func TestSquaredPathNormOfFrozenWeights(t *testing.T) {
	network := func(scope *model.Scope, x *Node) *Node {
		w, v := scope.GetVariable("w").NodeValue(x.Graph()), scope.GetVariable("v").NodeValue(x.Graph())
		return Dot(MaxScalar(Dot(x, w).Product(), 0), v).Product()
	}
	gctest.ForEachBackend(t, func(t *testing.T, b compute.Backend) {
		store := model.NewStore()
		store.VariableWithValue("/w", [][]float32{{3}, {-2}}).SetTrainable(false)
		store.VariableWithValue("/v", [][]float32{{2}})
		store.VariableWithValue("/unused", []float32{7}).SetTrainable(false)
		weights := []capacity.Weight{{Path: "/v", Dims: []int{1, 1}, Values: []float64{2}}}
		got, err := capacity.SquaredPathNorm(b, store, network, weights, 2)
		if err != nil {
			t.Fatal(err)
		}
		gctest.AssertClose(t, []float64{got}, []float64{36 + 16}, 1e-6, 0, "squared path norm")
	})
}

// specs is a data set of two examples, 1 and 2, of the label 5, for each spec.
type specs []string

func (specs) Name() string { return "specs" }

func (s specs) Iter() iter.Seq2[train.Batch, error] {
	return func(yield func(train.Batch, error) bool) {
		for _, spec := range s {
			b := train.Batch{Spec: spec, Inputs: []*tensors.Tensor{tensors.FromValue([][]float64{{1}, {2}})},
				Labels: []*tensors.Tensor{tensors.FromValue([][]float64{{5}, {5}})}}
			if !yield(b, nil) {
				return
			}
		}
	}
}

// TestLossOfBatchesWithOtherWeights has a network that uses the weight of the batch's spec. For a
// the residuals are -3 and -1, and for b they are -2 and 1.
func TestLossOfBatchesWithOtherWeights(t *testing.T) {
	network := func(scope *model.Scope, spec any, inputs []*Node) []*Node {
		return []*Node{Mul(inputs[0], scope.GetVariable(spec.(string)).NodeValue(inputs[0].Graph()))}
	}
	gctest.ForEachBackend(t, func(t *testing.T, b compute.Backend) {
		store := model.NewStore()
		store.VariableWithValue("/a", 2.0)
		store.VariableWithValue("/b", 3.0)
		for _, order := range []specs{{"a", "b"}, {"b", "a"}} {
			l, err := capacity.NewLoss(t.Context(), b, store, network, halfSquare, order)
			if err != nil {
				t.Fatal(err)
			}
			defer l.Finalize()
			weights := l.Weights()
			if len(weights) != 2 || weights[0].Path != "/a" || weights[1].Path != "/b" {
				t.Errorf("%v: weights %v, want /a and /b", order, weights)
			}
			got, err := l.SquaredGradientNorm(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			// The sums of residual·x are -5 and 0, over 4 examples.
			gctest.AssertClose(t, []float64{got}, []float64{25.0 / 16}, 1e-12, 0, "squared gradient norm")
		}
	})
}

// one is a data set of one batch.
type one struct{ batch train.Batch }

func (one) Name() string { return "one" }

func (o one) Iter() iter.Seq2[train.Batch, error] {
	return func(yield func(train.Batch, error) bool) { yield(o.batch, nil) }
}

func TestSpectralNorms(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	random := func(dims ...int) capacity.Weight {
		n := 1
		for _, d := range dims {
			n *= d
		}
		w := capacity.Weight{Path: "/w", Dims: dims}
		for range n {
			w.Values = append(w.Values, rng.NormFloat64())
		}
		return w
	}
	weights := []capacity.Weight{random(5, 3), random(3, 5), random(4), random(2, 2, 3, 4)}
	for _, w := range weights {
		norms, err := capacity.SpectralNorms([]capacity.Weight{w})
		if err != nil {
			t.Fatal(err)
		}
		if len(w.Dims) == 1 {
			if len(norms) != 0 {
				t.Errorf("a vector has norms %v", norms)
			}
			continue
		}
		columns := w.Dims[len(w.Dims)-1]
		m := mat.NewDense(len(w.Values)/columns, columns, w.Values)
		var svd mat.SVD
		if !svd.Factorize(m, mat.SVDNone) {
			t.Fatal("no singular values")
		}
		gctest.AssertClose(t, []float64{norms[0].Spectral, norms[0].Frobenius}, []float64{svd.Values(nil)[0], mat.Norm(m, 2)},
			1e-12, 0, "norms")
	}
	zero, err := capacity.SpectralNorms([]capacity.Weight{{Path: "/0", Dims: []int{2, 2}, Values: make([]float64, 4)}})
	if err != nil || zero[0].Spectral != 0 {
		t.Errorf("the zero matrix has norms %v (%v)", zero, err)
	}
	_, err = capacity.SpectralNorms([]capacity.Weight{{Path: "/nan", Dims: []int{1, 1}, Values: []float64{math.NaN()}}})
	checkError(t, err, `"/nan" is not finite`)
}

func TestSquaredDistance(t *testing.T) {
	weights := []capacity.Weight{{Path: "/w", Dims: []int{2, 1}, Values: []float64{1, 5}}}
	got, err := capacity.SquaredDistance(weights, linearStore(4, 1))
	if err != nil || got != 25 {
		t.Errorf("squared distance %g (%v), want 25", got, err)
	}
	_, err = capacity.SquaredDistance(weights, linearStore(4))
	checkError(t, err, "shape")
	_, err = capacity.SquaredDistance(weights, model.NewStore())
	checkError(t, err, `lacks the variable "/w"`)
}

func TestErrors(t *testing.T) {
	b, ctx := gctest.GoBackend(t), context.Background()
	constant := func(_ *model.Scope, x *Node) *Node { return x }
	empty := rows{}
	_, err := capacity.NewLoss(ctx, b, linearStore(1, 2), linear, halfSquare, empty)
	checkError(t, err, "empty")
	_, err = capacity.NewLoss(ctx, b, linearStore(1, 2), constant, halfSquare, regression.rows)
	checkError(t, err, "uses no trainable variable")
	_, err = capacity.NewLoss(ctx, b, linearStore(math.Inf(1), 2), linear, halfSquare, regression.rows)
	checkError(t, err, "the loss of batch 0")
	cancelled, cancel := context.WithCancel(ctx)
	cancel()
	_, err = capacity.NewLoss(cancelled, b, linearStore(1, 2), linear, halfSquare, regression.rows)
	checkError(t, err, context.Canceled.Error())

	l := newLoss(t, b, linearStore(1, 2), linear, regression.rows, halfSquare)
	_, err = l.Sharpness(ctx, capacity.SharpnessOptions{Sigma: -1})
	checkError(t, err, "want finite numbers of 0 or more")
	_, err = l.LearningCoefficient(ctx, capacity.Langevin{StepSize: -1})
	checkError(t, err, "want positive numbers")
	_, err = l.LearningCoefficient(ctx, capacity.Langevin{Steps: -1})
	checkError(t, err, "want none below 0")
	_, err = l.LearningCoefficient(ctx, capacity.Langevin{StepSize: 1e6})
	checkError(t, err, "smaller StepSize")
	_, tooMuch := l.Sharpness(ctx, capacity.SharpnessOptions{Sigma: 1e200})
	checkError(t, tooMuch, "smaller Sigma")
	if !errors.Is(err, capacity.ErrDiverged) || !errors.Is(tooMuch, capacity.ErrDiverged) {
		t.Errorf("errors %v and %v, want ErrDiverged", err, tooMuch)
	}
	_, err = l.LearningCoefficient(cancelled, capacity.Langevin{})
	checkError(t, err, context.Canceled.Error())
}

func checkError(t *testing.T, err error, text string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), text) {
		t.Errorf("error %v, want one with %q", err, text)
	}
}

// TestSquaredPathNormNeedsAllWeights leaves out a trainable weight, which would enter unsquared.
func TestSquaredPathNormNeedsAllWeights(t *testing.T) {
	store := model.NewStore()
	network := func(scope *model.Scope, x *Node) *Node {
		w := scope.VariableWithValue("w", [][]float32{{2, 3}, {-4, 5}}).NodeValue(x.Graph())
		v := scope.VariableWithValue("v", [][]float32{{-1}, {3}}).NodeValue(x.Graph())
		return Dot(Dot(x, w).Product(), v).Product()
	}
	b := gctest.GoBackend(t)
	if _, err := model.CallOnce(b, store, network, [][]float32{{1, 2}}); err != nil {
		t.Fatal(err)
	}
	w := capacity.Weight{Path: "/w", Dims: []int{2, 2}, Values: []float64{2, 3, -4, 5}}
	_, err := capacity.SquaredPathNorm(b, store, network, []capacity.Weight{w}, 2)
	checkError(t, err, `uses the variable "/v", which is not among the weights`)
}
