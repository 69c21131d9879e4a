package regularizers_test

import (
	"math"
	"slices"
	"testing"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/ml/train"
	"gonum.org/v1/gonum/stat"

	"github.com/geometric-complexity/toolkit/internal/gctest"
	"github.com/geometric-complexity/toolkit/regularizers"
)

// run executes a model function in the given mode and returns its first output
// as float64 values.
func run(t testing.TB, b compute.Backend, store *model.Store, fn train.ModelFn, training bool,
	inputs ...any) []float64 {
	t.Helper()
	exec, err := model.NewExec(b, store, func(scope *model.Scope, nodes []*graph.Node) *graph.Node {
		scope.SetTraining(nodes[0].Graph(), training)
		return graph.ConvertDType(fn(scope, nil, nodes)[0], dtypes.Float64)
	})
	if err != nil {
		t.Fatal(err)
	}
	defer exec.Finalize()
	result, err := exec.Call1(inputs...)
	if err != nil {
		t.Fatal(err)
	}
	return tensors.MustCopyFlatData[float64](result)
}

func TestInputNoise(t *testing.T) {
	const sigma, n = 0.3, 40000
	identity := func(_ *model.Scope, x *graph.Node) *graph.Node { return x }
	gctest.ForEachBackend(t, func(t *testing.T, b compute.Backend) {
		x := make([]float32, n)
		for i := range x {
			x[i] = float32(i % 7)
		}
		store := seeded(t, map[string]any{regularizers.ParamInputNoise: sigma})
		fn := regularizers.InputNoise(identity)
		noise := func(store *model.Store) []float64 {
			e := run(t, b, store, fn, true, x)
			for i := range e {
				e[i] -= float64(x[i])
			}
			return e
		}
		first, second := noise(store), noise(store)
		for name, e := range map[string][]float64{"first step": first, "second step": second} {
			mean, sd := stat.MeanStdDev(e, nil)
			kurtosis := stat.ExKurtosis(e, nil)
			// Five standard errors each; the excess kurtosis of a uniform distribution would be
			// -1.2.
			if math.Abs(mean) > 5*sigma/math.Sqrt(n) || math.Abs(sd/sigma-1) > 5/math.Sqrt(2*n) ||
				math.Abs(kurtosis) > 5*math.Sqrt(24.0/n) {
				t.Errorf("%s: mean %g, standard deviation %g, kurtosis %g, want 0, %g, 0", name, mean, sd, kurtosis, sigma)
			}
		}
		if r := stat.Correlation(first, second, nil); math.Abs(r) > 5/math.Sqrt(n) {
			t.Errorf("the noise of two steps has correlation %g", r)
		}
		again := noise(seeded(t, map[string]any{regularizers.ParamInputNoise: sigma}))
		gctest.AssertClose(t, again, first, 0, 0, "noise from the same seed")

		for i, got := range run(t, b, store, fn, false, x) {
			if got != float64(x[i]) {
				t.Fatalf("in evaluation input %d is %g, want %g", i, got, x[i])
			}
		}
	})
}

// For a linear f, E‖f(x+σε) - y‖² = ‖f(x) - y‖² + σ²·‖J‖² exactly, even for large σ: the mean over
// many draws must agree within four standard errors.
func TestInputNoiseIsTikhonovForLinearModels(t *testing.T) {
	const sigma, copies = 1.5, 60000
	weights := [][]float64{{0.5, -1, 2}, {1.5, 0.3, -0.7}} // [2 inputs, 3 outputs]
	bias := []float64{0.1, -0.2, 0.4}
	examples := [][]float64{{1, -0.5}, {-2, 0.25}}
	y := []float64{0.7, -0.1, 1.2}

	clean, jacobian := 0.0, 0.0
	for _, row := range weights {
		for _, w := range row {
			jacobian += w * w
		}
	}
	for _, x := range examples {
		for k := range y {
			d := bias[k] + x[0]*weights[0][k] + x[1]*weights[1][k] - y[k]
			clean += d * d / float64(len(examples))
		}
	}
	want := clean + sigma*sigma*jacobian

	gctest.ForEachBackend(t, func(t *testing.T, b compute.Backend) {
		squaredErrors := regularizers.InputNoise(func(_ *model.Scope, x *graph.Node) *graph.Node {
			g := x.Graph()
			f := graph.Add(graph.Dot(x, graph.Const(g, weights)).Product(), graph.ExpandLeftToRank(graph.Const(g, bias), 2))
			return graph.ReduceSum(graph.Square(graph.Sub(f, graph.ExpandLeftToRank(graph.Const(g, y), 2))), -1)
		})
		var x [][]float64
		for range copies {
			x = append(x, examples...)
		}
		store := seeded(t, map[string]any{regularizers.ParamInputNoise: sigma})
		mean, sd := stat.MeanStdDev(run(t, b, store, squaredErrors, true, x), nil)
		standardError := sd / math.Sqrt(float64(len(x)))
		if math.Abs(mean-want) > 4*standardError {
			t.Errorf("mean squared error %g ± %g, want %g", mean, standardError, want)
		}
		if standardError > 0.01*sigma*sigma*jacobian {
			t.Errorf("the standard error %g is too large to test the term %g", standardError, sigma*sigma*jacobian)
		}
		if got := stat.Mean(run(t, b, store, squaredErrors, false, x), nil); math.Abs(got-clean) > 1e-12*clean {
			t.Errorf("in evaluation the squared error is %g, want %g", got, clean)
		}
	})
}

func TestInputNoiseOfSomeInputs(t *testing.T) {
	b := gctest.GoBackend(t)
	store := seeded(t, map[string]any{regularizers.ParamInputNoise: 1.0})
	secondInput := regularizers.InputNoise(func(_ *model.Scope, _, indices *graph.Node) *graph.Node { return indices },
		regularizers.WithInputs(0))
	gctest.AssertClose(t, run(t, b, store, secondInput, true, []float64{1, 2}, []int32{3, 4}), []float64{3, 4}, 0, 0,
		"integer input")
}

// noisyLabels returns the labels that LabelNoise passes to its loss.
func noisyLabels(t testing.TB, b compute.Backend, store *model.Store, training bool, labels any,
	predictions any) []float64 {
	t.Helper()
	lossFn := regularizers.LabelNoise(func(labels, _ []*graph.Node) *graph.Node { return labels[0] })
	return run(t, b, store, func(_ *model.Scope, _ any, nodes []*graph.Node) []*graph.Node {
		return []*graph.Node{lossFn(nodes[:1], nodes[1:])}
	}, training, labels, predictions)
}

func TestLabelNoise(t *testing.T) {
	const n, k = 30000, 5
	gctest.ForEachBackend(t, func(t *testing.T, b compute.Backend) {
		for _, p := range []float64{0.3, 1} {
			labels, oneHot, logits := make([]uint8, n), make([]float64, n*k), make([]float64, n*k)
			for i := range labels {
				labels[i] = uint8(i % k)
				oneHot[i*k+i%k] = 1
			}
			matrix := func(flat []float64) *tensors.Tensor { return tensors.FromFlatDataAndDimensions(flat, n, k) }
			store := seeded(t, map[string]any{regularizers.ParamLabelNoise: p})

			first := noisyLabels(t, b, store, true, tensors.FromFlatDataAndDimensions(labels, n, 1), matrix(logits))
			checkNoise(t, "integer labels", first, p, k)
			if p == 1 {
				continue
			}
			second := noisyLabels(t, b, store, true, labels, matrix(logits))
			checkNoise(t, "integer labels, second step", second, p, k)
			if slices.Equal(first, second) {
				t.Error("two steps changed the same labels in the same way")
			}
			dense := noisyLabels(t, b, store, true, matrix(oneHot), matrix(logits))
			checkNoise(t, "one-hot labels", fromOneHot(t, dense, k), p, k)
			unchanged := noisyLabels(t, b, store, false, matrix(oneHot), matrix(logits))
			gctest.AssertClose(t, unchanged, oneHot, 0, 0, "labels in evaluation")
		}
	})
}

// checkNoise checks labels that were i mod k before the noise: a fraction p(1-1/k) must be wrong,
// and the wrong ones spread evenly over the other classes, within five standard errors.
func checkNoise(t *testing.T, what string, labels []float64, p float64, k int) {
	t.Helper()
	n := float64(len(labels))
	wrong := 0.0
	shift, count := make([]float64, k), make([]float64, k)
	for i, label := range labels {
		if label != math.Trunc(label) || label < 0 || int(label) >= k {
			t.Fatalf("%s: label %d is %g", what, i, label)
		}
		d := (int(label) - i%k + k) % k
		shift[d]++
		count[int(label)]++
		if d != 0 {
			wrong++
		}
	}
	rate := p * (1 - 1/float64(k))
	if math.Abs(wrong/n-rate) > 5*math.Sqrt(rate*(1-rate)/n) {
		t.Errorf("%s: a fraction %g is wrong, want %g", what, wrong/n, rate)
	}
	// The noise must keep the classes balanced.
	for c := range count {
		if math.Abs(count[c]-n/float64(k)) > 5*math.Sqrt(n*p/float64(k)) {
			t.Errorf("%s: %g labels are of class %d, want about %g", what, count[c], c, n/float64(k))
		}
	}
	each := p / float64(k)
	for d := 1; d < k; d++ {
		if math.Abs(shift[d]/n-each) > 5*math.Sqrt(each*(1-each)/n) {
			t.Errorf("%s: a fraction %g of the labels moved by %d classes, want %g", what, shift[d]/n, d, each)
		}
	}
}

// fromOneHot returns the class of each row, which must be one-hot.
func fromOneHot(t *testing.T, rows []float64, k int) []float64 {
	t.Helper()
	var labels []float64
	for ; len(rows) > 0; rows = rows[k:] {
		label, sum := -1, 0.0
		for c, x := range rows[:k] {
			sum += x
			if x == 1 {
				label = c
			}
		}
		if sum != 1 || label < 0 {
			t.Fatalf("row %v is not one-hot", rows[:k])
		}
		labels = append(labels, float64(label))
	}
	return labels
}

func TestLabelNoisePassesOtherLabels(t *testing.T) {
	b := gctest.GoBackend(t)
	store := seeded(t, map[string]any{regularizers.ParamLabelNoise: 1.0})
	lossFn := regularizers.LabelNoise(func(labels, _ []*graph.Node) *graph.Node { return labels[1] })
	got := run(t, b, store, func(_ *model.Scope, _ any, nodes []*graph.Node) []*graph.Node {
		return []*graph.Node{lossFn(nodes[:2], nodes[2:])}
	}, true, []int32{0, 1, 2}, []float64{0.5, 1, 2}, [][]float64{{1, 2, 3}, {4, 5, 6}, {7, 8, 9}})
	gctest.AssertClose(t, got, []float64{0.5, 1, 2}, 0, 0, "weights of the examples")
}
