package main

import (
	"iter"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/ml/train"

	"github.com/geometric-complexity/toolkit/inspect"
	"github.com/geometric-complexity/toolkit/internal/gctest"
)

// sevens are batches of 7 examples: the numbers from 0 on, twice each.
type sevens struct{ batches int }

func (sevens) Name() string { return "sevens" }

func (s sevens) NumExamples() int { return 7 * s.batches }

func (s sevens) Iter() iter.Seq2[train.Batch, error] {
	return func(yield func(train.Batch, error) bool) {
		for range s.batches {
			x := []float32{0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6}
			batch := train.Batch{Inputs: []*tensors.Tensor{tensors.FromFlatDataAndDimensions(x, 7, 2)},
				Labels: []*tensors.Tensor{tensors.FromValue([]int32{0, 1, 2, 3, 4, 5, 6})}}
			if !yield(batch, nil) {
				return
			}
		}
	}
}

func TestFirstExamples(t *testing.T) {
	batches := 0
	for batch, err := range (firstExamples{Dataset: sevens{3}, count: 4}).Iter() {
		if err != nil {
			t.Fatal(err)
		}
		batches++
		gctest.AssertClose(t, gctest.Flat(batch.Inputs[0]), []float64{0, 0, 1, 1, 2, 2, 3, 3}, 0, 0, "inputs")
		gctest.AssertClose(t, gctest.Flat(batch.Labels[0]), []float64{0, 1, 2, 3}, 0, 0, "labels")
	}
	if batches != 1 {
		t.Errorf("%d batches, want 1", batches)
	}
}

// TestTimeOfAll checks that the time is that of one small batch, compiled before, and scaled to all
// examples.
func TestTimeOfAll(t *testing.T) {
	var sizes []int // Of the batches for which the model is built.
	fn := func(_ *model.Scope, _ any, inputs []*graph.Node) []*graph.Node {
		sizes = append(sizes, inputs[0].Shape().Dimensions[0])
		return []*graph.Node{graph.Sin(inputs[0])}
	}
	few := subject{ds: sevens{2}, store: model.NewStore(), examples: 14}
	many := few
	many.examples = 14e9 // At least 1 ns for each.
	for _, s := range []subject{few, many} {
		left, size, err := timeOfAll(t.Context(), gctest.GoBackend(t), s, fn, 4, nil)
		if err != nil || size != 4 {
			t.Fatalf("%d examples, %v", size, err)
		}
		if least := time.Duration(s.examples) / 4; left < least {
			t.Errorf("%v for %d examples, want at least %v", left, s.examples, least)
		}
	}
	for _, size := range sizes {
		if size != 4 {
			t.Errorf("the model is built for batches of %v, want 4 only", sizes)
			break
		}
	}
}

// TestTimeOfSmallBatches checks that the time is that of the examples that were measured, where the
// batches are smaller than the one wanted.
func TestTimeOfSmallBatches(t *testing.T) {
	fn := func(_ *model.Scope, _ any, inputs []*graph.Node) []*graph.Node {
		return []*graph.Node{graph.Sin(inputs[0])}
	}
	s := subject{ds: sevens{2}, store: model.NewStore(), examples: 14}
	if _, size, err := timeOfAll(t.Context(), gctest.GoBackend(t), s, fn, 100, nil); err != nil || size != 7 {
		t.Errorf("the time is from %d examples (%v), want 7", size, err)
	}
}

// TestEstimateTime checks that long work gets an estimate, in proportion to the part of it that the
// small batch is, and short work none.
func TestEstimateTime(t *testing.T) {
	fn := func(_ *model.Scope, _ any, inputs []*graph.Node) []*graph.Node {
		return []*graph.Node{graph.Sin(inputs[0])}
	}
	for _, c := range []struct {
		work, part float64
		want       string
	}{
		{pilotFrom / 1000, pilotFrom / 1000, "compiling the network and timing a few of the 1000 examples\nestimate: about "},
		// Each of 1000 examples takes at least 1 ns, and the work is 1e18 times that: 30 years.
		{1e18, 1, "compiling the network and timing a few of the 1000 examples\nestimate: about "},
		{pilotFrom/1000 - 1, 1, ""},
	} {
		store := model.NewStore()
		store.RootScope().VariableWithValue("w", make([]float32, 1000))
		s := subject{name: "the network", ds: sevens{2}, store: store, examples: 1000}
		var text strings.Builder
		a := &app{stderr: &text}
		if err := a.estimateTime(t.Context(), gctest.GoBackend(t), s, fn, nil, c.work, c.part); err != nil {
			t.Fatal(err)
		}
		if got := text.String(); !strings.HasPrefix(got, c.want) || c.want == "" && got != "" {
			t.Errorf("work %g: got %q, want %q", c.work, got, c.want)
		}
		if _, estimate, _ := strings.Cut(text.String(), "estimate"); c.work == 1e18 && !strings.Contains(estimate, "h") {
			t.Errorf("got %q for work of years", text.String())
		}
	}
}

// TestAnnounceComparison checks that the time of a comparison is that of all networks.
func TestAnnounceComparison(t *testing.T) {
	var built []string
	network := func(name string) *openedNetwork {
		store := model.NewStore()
		store.RootScope().VariableWithValue("w", make([]float32, 1000))
		n := &openedNetwork{found: checked{outputs: 2000}}
		n.Name, n.Store, n.Data = name, store, sevens{2}
		n.Model = func(_ *model.Scope, _ any, inputs []*graph.Node) []*graph.Node {
			built = append(built, name)
			return []*graph.Node{graph.Sin(inputs[0])}
		}
		return n
	}
	for _, c := range []struct {
		examples int
		want     string
	}{
		{1000, "cost: 2 networks x 1000 examples, estimator exact\n" +
			"note: --estimator projection:64 estimates GC without bias by 64 products instead of 2000\n" +
			"compiling a and timing a few of the 1000 examples\ncompiling b and timing a few of the 1000 examples\nestimate: about "},
		{10, "cost: 2 networks x 10 examples, estimator exact\n" +
			"note: --estimator projection:64 estimates GC without bias by 64 products instead of 2000\n"},
	} {
		built = nil
		var text strings.Builder
		a := &app{stderr: &text}
		networks := []*openedNetwork{network("a"), network("b")}
		err := a.announceComparison(t.Context(), gctest.GoBackend(t), networks, c.examples, inspect.CompareOptions{})
		if err != nil {
			t.Fatal(err)
		}
		isLong := strings.Contains(c.want, "estimate: ")
		if !strings.HasPrefix(text.String(), c.want) || !isLong && text.String() != c.want {
			t.Errorf("%d examples: got %q, want %q", c.examples, text.String(), c.want)
		}
		if got := slices.Compact(built); isLong && !slices.Equal(got, []string{"a", "b"}) || !isLong && len(got) > 0 {
			t.Errorf("%d examples: measured small batches of %v", c.examples, got)
		}
	}
}

func TestPilotSize(t *testing.T) {
	store := model.NewStore()
	store.RootScope().VariableWithValue("w", make([]float32, 1000))
	for _, c := range []struct {
		name     string
		s        subject
		products float64
		want     int
	}{
		{"little work", subject{store: store, examples: 1000}, pilotFrom/1000 - 1, 0},
		{"much work", subject{store: store, examples: 1000}, pilotFrom / 1000, pilotExamples},
		{"few weights at many positions", subject{store: store, examples: 1000, bytes: 1e9}, pilotBytesFrom / 1e9,
			pilotExamples},
		{"few weights at few positions", subject{store: store, examples: 1000, bytes: 1e9}, pilotBytesFrom/1e9 - 1, 0},
		{"few examples", subject{store: store, examples: 29}, 1e9, 2},
		{"fewer examples", subject{store: store, examples: 9}, 1e9, 0},
		{"a fixed batch", subject{store: store, examples: 1000, batch: 50}, pilotFrom / 1000, 50},
		{"few fixed batches", subject{store: store, examples: 100, batch: 50}, pilotFrom / 1000, 0},
	} {
		if got := pilotSize(c.s, c.products); got != c.want {
			t.Errorf("%s: %d examples, want %d", c.name, got, c.want)
		}
	}
}
