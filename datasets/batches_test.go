package datasets

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/gomlx/gomlx/ml/train"
)

// step is a batch as numbers, with the first pixel of each image.
type step struct {
	images, labels []float64
}

func (s step) String() string { return fmt.Sprint(s.images, s.labels) }

// take returns the first n batches of a dataset, or all if n is negative.
func take(t testing.TB, ds train.Dataset, n int) []step {
	t.Helper()
	var steps []step
	if n == 0 {
		return nil
	}
	for batch, err := range ds.Iter() {
		if err != nil {
			t.Fatal(err)
		}
		dims := batch.Inputs[0].Shape().Dimensions
		pixels, labels := values(t, batch.Inputs[0]), values(t, batch.Labels[0])
		if dims[0] != len(labels) {
			t.Fatalf("%d inputs and %d labels", dims[0], len(labels))
		}
		var s step
		s.labels = labels
		for i := range dims[0] {
			s.images = append(s.images, math.Round(pixels[i*len(pixels)/dims[0]]*255))
		}
		if steps = append(steps, s); len(steps) == n {
			break
		}
	}
	return steps
}

func done(t testing.TB, config *BatchesConfig) *Batches {
	t.Helper()
	ds, err := config.Done()
	if err != nil {
		t.Fatal(err)
	}
	return ds
}

func sizes(steps []step) (n []int) {
	for _, s := range steps {
		n = append(n, len(s.labels))
	}
	return n
}

// firstPixels are the first pixels of 10 test images, in order.
var firstPixels = []float64{0, 12, 24, 36, 48, 60, 72, 84, 96, 108}

func TestBatchesInOrder(t *testing.T) {
	images := testImages(10)
	for _, test := range []struct {
		name   string
		config *BatchesConfig
		take   int
		sizes  []int
		steps  int
	}{
		{"short last batch", NewBatches(images, 4), -1, []int{4, 4, 2}, 3},
		{"drop last", NewBatches(images, 4).DropLast(), -1, []int{4, 4}, 2},
		{"divides", NewBatches(images, 5), -1, []int{5, 5}, 2},
		{"divides, drop last", NewBatches(images, 5).DropLast(), -1, []int{5, 5}, 2},
		{"larger than the set", NewBatches(images, 64), -1, []int{10}, 1},
		{"infinite", NewBatches(images, 4).Infinite(), 7, []int{4, 4, 2, 4, 4, 2, 4}, 3},
		{"infinite, drop last", NewBatches(images, 4).Infinite().DropLast(), 5, []int{4, 4, 4, 4, 4}, 2},
		{"start", NewBatches(images, 4).StartAt(1), -1, []int{4, 2}, 3},
		{"start in a later epoch", NewBatches(images, 4).StartAt(5), -1, []int{2}, 3},
	} {
		t.Run(test.name, func(t *testing.T) {
			ds := done(t, test.config)
			if got := sizes(take(t, ds, test.take)); !slices.Equal(got, test.sizes) {
				t.Errorf("batch sizes %v, want %v", got, test.sizes)
			}
			if ds.StepsPerEpoch() != test.steps || ds.NumExamples() != 10 {
				t.Errorf("%d steps of %d examples, want %d of 10", ds.StepsPerEpoch(), ds.NumExamples(), test.steps)
			}
		})
	}
	var all, labels []float64
	for _, s := range take(t, done(t, NewBatches(images, 4)), -1) {
		all, labels = append(all, s.images...), append(labels, s.labels...)
	}
	if !slices.Equal(all, firstPixels) || !slices.Equal(labels, []float64{0, 1, 2, 0, 1, 2, 0, 1, 2, 0}) {
		t.Errorf("got images %v with labels %v", all, labels)
	}
}

func TestBatchesShuffled(t *testing.T) {
	images := testImages(10)
	config := func(seed uint64) *BatchesConfig { return NewBatches(images, 4).Shuffle(seed).Infinite() }
	steps := take(t, done(t, config(1)), 3*5)
	var orders [][]float64
	for epoch := range 5 {
		var order []float64
		for _, s := range steps[3*epoch : 3*epoch+3] {
			order = append(order, s.images...)
			for i, pixel := range s.images { // Each image must keep its label.
				if want := float64(int(pixel/12) % 3); s.labels[i] != want {
					t.Errorf("image %g has label %g, want %g", pixel, s.labels[i], want)
				}
			}
		}
		orders = append(orders, order)
		if sorted := slices.Sorted(slices.Values(order)); !slices.Equal(sorted, firstPixels) {
			t.Errorf("epoch %d visits %v", epoch, sorted)
		}
		for before := range epoch {
			if slices.Equal(order, orders[before]) {
				t.Errorf("epochs %d and %d have the same order", before, epoch)
			}
		}
	}
	if again := take(t, done(t, config(1)), 15); fmt.Sprint(again) != fmt.Sprint(steps) {
		t.Error("the same seed gave different orders")
	}
	other := take(t, done(t, config(2)), 15)
	for epoch := range 4 {
		if fmt.Sprint(other[3*epoch:3*epoch+3]) == fmt.Sprint(steps[3*epoch+3:3*epoch+6]) {
			t.Error("the next seed gave the same orders one epoch earlier")
		}
	}
	if fmt.Sprint(other) == fmt.Sprint(steps) {
		t.Error("different seeds gave the same order")
	}
}

// A dataset that starts at a step yields the batches that the uninterrupted one yields from that
// step on, with and without fresh label noise and short batches.
func TestBatchesResume(t *testing.T) {
	images := testImages(10)
	for name, config := range map[string]func() *BatchesConfig{
		"shuffled":  func() *BatchesConfig { return NewBatches(images, 4).Shuffle(3).Infinite() },
		"drop last": func() *BatchesConfig { return NewBatches(images, 4).Shuffle(3).Infinite().DropLast() },
		"label noise": func() *BatchesConfig {
			return NewBatches(images, 4).Shuffle(3).Infinite().FreshLabelNoise(0.5, OtherClass, 8)
		},
		"in order": func() *BatchesConfig { return NewBatches(images, 4).Infinite() },
	} {
		t.Run(name, func(t *testing.T) {
			whole := take(t, done(t, config()), 12)
			for start := range 12 {
				resumed := take(t, done(t, config().StartAt(start)), 12-start)
				if fmt.Sprint(resumed) != fmt.Sprint(whole[start:]) {
					t.Errorf("from step %d: %v, want %v", start, resumed, whole[start:])
				}
			}
			ds, err := done(t, config()).StartingAt(7)
			if err != nil {
				t.Fatal(err)
			}
			for range 2 { // Every Iter begins at the start step.
				if got := take(t, ds, 5); fmt.Sprint(got) != fmt.Sprint(whole[7:]) {
					t.Errorf("StartingAt(7): %v, want %v", got, whole[7:])
				}
			}
		})
	}
	t.Run("a late step is reached at once", func(t *testing.T) {
		const late = 3 * 1_000_000_000_000 // A loop over the earlier epochs would never end.
		if got := take(t, done(t, NewBatches(images, 4).Shuffle(3).Infinite().StartAt(late)), 1); len(got) != 1 {
			t.Errorf("got the batches %v, want one", got)
		}
	})
}

func TestFreshLabelNoise(t *testing.T) {
	images := testImages(3000)
	ds := done(t, NewBatches(images, 3000).Infinite().FreshLabelNoise(0.2, OtherClass, 1))
	steps := take(t, ds, 3)
	for i, s := range steps {
		wrong := 0
		for j, label := range s.labels {
			if label != float64(images.Labels[j]) {
				wrong++
			}
		}
		// Binomial(3000, 0.2): mean 600, standard deviation 21.9.
		if math.Abs(float64(wrong)-600) > 5*21.9 {
			t.Errorf("step %d: %d wrong labels, want about 600", i, wrong)
		}
	}
	if slices.Equal(steps[0].labels, steps[1].labels) {
		t.Error("two steps have the same noise")
	}
	if images.Labels[0] != 0 || images.Counts()[0] != 1000 {
		t.Error("the source's labels changed")
	}
}

func TestBatchesNames(t *testing.T) {
	images := testImages(3)
	for _, test := range []struct{ name, short string }{{"tiny/train", "train"}, {"held", "hel"}, {"ab", "ab"}} {
		ds := done(t, NewBatches(images, 1).Name(test.name))
		if ds.Name() != test.name || ds.ShortName() != test.short {
			t.Errorf("got %q, %q; want %q, %q", ds.Name(), ds.ShortName(), test.name, test.short)
		}
	}
	if got := done(t, NewBatches(images, 1)).Name(); got != "tiny/train" {
		t.Errorf("default name %q, want tiny/train", got)
	}
}

func TestBatchesErrors(t *testing.T) {
	images := testImages(5)
	for _, test := range []struct {
		name   string
		config *BatchesConfig
		want   string
	}{
		{"nil", NewBatches(nil, 4), "empty"},
		{"empty", NewBatches(&Images{}, 4), "empty"},
		{"batch size 0", NewBatches(images, 0), "batch size 0"},
		{"nothing left", NewBatches(images, 6).DropLast(), "leaves no batch"},
		{"negative start", NewBatches(images, 2).StartAt(-1), "step -1"},
		{"noise", NewBatches(images, 2).FreshLabelNoise(2, AnyClass, 1), "label noise 2"},
		{"noise not a number", NewBatches(images, 2).FreshLabelNoise(math.NaN(), AnyClass, 1), "label noise NaN"},
		{"format", NewBatches(images, 2).Format(Format{Normalization: &Normalization{}}), "normalization"},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := test.config.Done()
			wantError(t, err, test.want)
		})
	}
}

func BenchmarkBatches(b *testing.B) {
	images, err := Load(NameFashionMNISTSubset, Train)
	if err != nil {
		b.Fatal(err)
	}
	ds := done(b, NewBatches(images, 512).Shuffle(1).DropLast().Infinite().Format(Format{Flat: true}))
	n := 0
	for batch, err := range ds.Iter() {
		if err != nil {
			b.Fatal(err)
		}
		if err := batch.Finalize(); err != nil {
			b.Fatal(err)
		}
		if n++; n == b.N {
			break
		}
	}
}
