package training

import (
	"bytes"
	"math"
	"testing"

	"github.com/gomlx/compute"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"

	"github.com/geometric-complexity/toolkit/datasets"
	"github.com/geometric-complexity/toolkit/experiments/runs"
	"github.com/geometric-complexity/toolkit/internal/gctest"
)

// contains reports whether a set has an image.
func contains(set *datasets.Images, image []byte) bool {
	for i := range set.N {
		if bytes.Equal(set.Image(i), image) {
			return true
		}
	}
	return false
}

func TestValidationIsHeldOut(t *testing.T) {
	load := func(train int, seed int64) *loaded {
		t.Helper()
		data := Data{Name: datasets.NameFashionMNISTSubset, Train: train, Test: 20, Validation: 50, DrawPerSeed: true}
		l, err := data.load(Network{Kind: KindMLP}, seed)
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	few, many, other := load(20, 1), load(100, 1), load(100, 2)
	validation, train := many.images.measured["validation"], many.images.measured["train"]
	if validation.N != 50 || train.N != 100 {
		t.Fatalf("%d validation and %d training images", validation.N, train.N)
	}
	for i := range validation.N {
		if contains(train, validation.Image(i)) {
			t.Errorf("validation image %d is a training image", i)
		}
	}
	if !bytes.Equal(few.images.measured["validation"].Pixels, validation.Pixels) {
		t.Error("another number of training images has other validation images")
	}
	for i := range few.images.measured["train"].N {
		if !contains(train, few.images.measured["train"].Image(i)) {
			t.Errorf("training image %d of 20 is not among the 100", i)
		}
	}
	if bytes.Equal(other.images.measured["train"].Pixels, train.Pixels) {
		t.Error("another seed draws the same training images")
	}
	if _, ok := many.gc["validation"]; ok || len(many.gc) != 2 {
		t.Errorf("GC is measured on %d sets, want train and test", len(many.gc))
	}
	all, err := Data{Name: datasets.NameFashionMNISTSubset, Validation: 50}.load(Network{Kind: KindMLP}, 1)
	if err != nil {
		t.Fatal(err)
	}
	whole, err := subset(datasets.NameFashionMNISTSubset, datasets.Train, 0)
	if err != nil {
		t.Fatal(err)
	}
	if got := all.images.measured["train"].N; got != whole.N-50 {
		t.Errorf("without a number there are %d training images, want all %d but 50", got, whole.N)
	}
}

func TestValidationIsMeasured(t *testing.T) {
	env := runs.Env{Backend: gctest.GoBackend(t), Out: t.TempDir()}
	task := &Train{Data: Data{Name: datasets.NameFashionMNISTSubset, Train: 20, Test: 20, Validation: 30},
		Network: MLP(1, 4), LearningRate: 0.1, BatchSize: 10, Steps: 2, Measurements: 1}
	final := execute(t, env, runs.Run{Label: "validation", Seed: 1, Task: task}).Final()
	for _, name := range []string{"validation_loss", "validation_accuracy", "train_gc", "test_gc"} {
		if math.IsNaN(final.Value(name)) {
			t.Errorf("no %s", name)
		}
	}
	if !math.IsNaN(final.Value("validation_gc")) {
		t.Error("GC is measured on the validation images")
	}
}

// TestDropout compares the hidden layer's sum with its binomial distribution: the second layer's
// weights are 1, so the output is the sum of the activations that are left, divided by 1 - p.
func TestDropout(t *testing.T) {
	const units, examples, p = 50, 400, 0.3
	gctest.ForEachBackend(t, func(t *testing.T, backend compute.Backend) {
		n := MLP(1, units)
		n.Dropout = p
		fn, err := n.function(1)
		if err != nil {
			t.Fatal(err)
		}
		store := model.NewStore()
		if err := store.SetRNGStateFromSeed(3); err != nil {
			t.Fatal(err)
		}
		outputs := func(training bool) []float32 {
			exec, err := model.NewExec(backend, store, func(scope *model.Scope, x *graph.Node) *graph.Node {
				scope.Store().SetTraining(x.Graph(), training)
				return fn(scope, x)
			})
			if err != nil {
				t.Fatal(err)
			}
			defer exec.Finalize()
			x := make([]float32, examples)
			for i := range x {
				x[i] = 1
			}
			out, err := exec.Call(tensors.FromFlatDataAndDimensions(x, examples, 1))
			if err != nil {
				t.Fatal(err)
			}
			return tensors.MustCopyFlatData[float32](out[0])
		}
		outputs(false) // makes the variables
		for v := range store.IterVariables() {
			if v.Trainable && v.Shape().Rank() == 2 {
				if err := v.SetValue(tensors.FromScalarAndDimensions(float32(1), v.Shape().Dimensions...)); err != nil {
					t.Fatal(err)
				}
			}
		}
		for i, y := range outputs(false) {
			if y != units {
				t.Fatalf("example %d: %g without training, want all %d units", i, y, units)
			}
		}
		var sum, squares float64
		for _, y := range outputs(true) {
			left := float64(y) * (1 - p)
			if math.Abs(left-math.Round(left)) > 1e-3 {
				t.Fatalf("%g units are left, want a whole number", left)
			}
			sum, squares = sum+left, squares+left*left
		}
		mean := sum / examples
		variance := squares/examples - mean*mean
		// Five standard errors of a binomial distribution's mean and variance.
		want, wantVariance := units*(1-p), units*p*(1-p)
		if math.Abs(mean-want) > 5*math.Sqrt(wantVariance/examples) {
			t.Errorf("%g units are left in the mean, want %g", mean, want)
		}
		if math.Abs(variance-wantVariance) > 5*wantVariance*math.Sqrt(2.0/examples) {
			t.Errorf("the variance is %g, want %g", variance, wantVariance)
		}
	})
}

func TestDropoutHasNoEmbedding(t *testing.T) {
	n := MLP(1, 4)
	n.Dropout = 0.5
	if _, err := n.withEmbedding(2); err == nil {
		t.Error("no error")
	}
	_, err := (&Train{Data: Data{Name: datasets.NameFashionMNISTSubset}, Network: n}).function(2)
	if err != nil {
		t.Errorf("without an embedding: %v", err)
	}
}
