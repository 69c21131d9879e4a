package gcml_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"iter"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/gomlx/compute"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/layers"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/ml/train"
	"github.com/gomlx/gomlx/ml/train/loss"
	"github.com/gomlx/gomlx/ml/train/optimizer"

	"github.com/geometric-complexity/toolkit/gcml"
	"github.com/geometric-complexity/toolkit/internal/gctest"
)

// watchedModel draws random numbers in training, so that a changed random state would show.
func watchedModel(scope *model.Scope, x *Node) *Node {
	h := Tanh(layers.Dense(scope.In("hidden"), x, true, 5))
	h = layers.DropoutStatic(scope.In("dropout"), h, 0.3)
	return layers.Dense(scope.In("output"), h, true, 2)
}

// newWatchedLoop returns a loop for watchedModel and the data set it trains on.
func newWatchedLoop(t *testing.T, b compute.Backend) (*train.Loop, train.Dataset) {
	t.Helper()
	store := model.NewStore()
	if err := store.SetRNGStateFromSeed(5); err != nil {
		t.Fatal(err)
	}
	trainer := train.NewTrainer(b, store, watchedModel, loss.MeanSquaredError,
		optimizer.Adam().LearningRate(0.01).Done(), nil, nil)
	return train.NewLoop(trainer), endless{}
}

// endless is a data set that repeats one batch without end.
type endless struct{}

func (endless) Name() string { return "endless" }

func (endless) Iter() iter.Seq2[train.Batch, error] {
	return func(yield func(train.Batch, error) bool) {
		for {
			batch := train.Batch{
				Inputs: []*tensors.Tensor{tensors.FromValue([][]float64{{1, 2, 3}, {0, -1, 1}, {0.5, 0.5, -2}, {1, 0, 0}})},
				Labels: []*tensors.Tensor{tensors.FromValue([][]float64{{1, 0}, {0, 1}, {1, 1}, {0, 0}})},
			}
			if !yield(batch, nil) {
				return
			}
		}
	}
}

func watchedData() train.Dataset {
	return batches{flat: []float64{1, 0, 2, -1, 1, 0.5, 0.2, 0.1, 3, 2, 2, 2, -1, 0, 1}, features: 3,
		sizes: []int{2, 2, 1}}
}

func weightsOf(t *testing.T, store *model.Store) map[string]any {
	t.Helper()
	weights := make(map[string]any)
	for v := range store.IterVariables() {
		if !strings.HasPrefix(v.Path(), "/metrics/") { // Their names are random for each trainer.
			weights[v.Path()] = v.MustValue().Value()
		}
	}
	return weights
}

// TestWatch checks that a watcher reports what Measure gives at each step, and that the training
// ends with the same variables as without it.
func TestWatch(t *testing.T) {
	gctest.ForEachBackend(t, func(t *testing.T, b compute.Backend) {
		plain, ds := newWatchedLoop(t, b)
		if _, err := plain.RunSteps(ds, 6); err != nil {
			t.Fatal(err)
		}
		loop, ds := newWatchedLoop(t, b)
		path := filepath.Join(t.TempDir(), "gc.jsonl")
		var reported []gcml.StepResult
		opts := []gcml.Option{gcml.WithEstimator(gcml.Projection(1)), gcml.WithSeed(3)}
		watcher, err := gcml.Watch(loop, gcml.EveryNSteps(2), watchedModel, watchedData(),
			append(opts, gcml.WithJSONLines(path),
				gcml.WithReport(func(r gcml.StepResult) error { reported = append(reported, r); return nil }))...)
		if err != nil {
			t.Fatal(err)
		}
		defer watcher.Finalize()
		var want []gcml.StepResult
		train.EveryNSteps(loop, 2, "oracle", 50, func(loop *train.Loop, _ []*tensors.Tensor) error {
			r, err := gcml.Measure(t.Context(), b, loop.Trainer.Store(), watchedModel, watchedData(), opts...)
			want = append(want, gcml.StepResult{Step: loop.Trainer.GlobalStep(), Result: r})
			return err
		})
		if _, err := loop.RunSteps(ds, 6); err != nil {
			t.Fatal(err)
		}
		for name, got := range map[string][]gcml.StepResult{"results": watcher.Results(), "reported": reported,
			"file": readSteps(t, path)} {
			if len(got) != 3 || len(want) != 3 {
				t.Fatalf("%s: %d measurements, want %d", name, len(got), len(want))
			}
			for i, r := range got {
				r.Seconds, want[i].Seconds = 0, 0
				if !reflect.DeepEqual(r, want[i]) {
					t.Errorf("%s: measured %+v, want %+v", name, r, want[i])
				}
			}
		}
		if steps := stepsOf(reported); !slices.Equal(steps, []int64{2, 4, 6}) {
			t.Errorf("measured after the steps %v", steps)
		}
		if name, value := watcher.ExtraMetric(); name != "GC" || !strings.Contains(value, "(step 6)") {
			t.Errorf("the progress bar shows %s: %s", name, value)
		}
		got, without := weightsOf(t, loop.Trainer.Store()), weightsOf(t, plain.Trainer.Store())
		if len(got) != len(without) {
			t.Errorf("with watching %d variables, without %d", len(got), len(without))
		}
		for path, value := range without {
			if !reflect.DeepEqual(got[path], value) {
				t.Errorf("watching changed the training: %s is %v, without %v", path, got[path], value)
			}
		}
	})
}

func stepsOf(results []gcml.StepResult) []int64 {
	var steps []int64
	for _, r := range results {
		steps = append(steps, r.Step)
	}
	return steps
}

func readSteps(t *testing.T, path string) []gcml.StepResult {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var results []gcml.StepResult
	for line := range bytes.Lines(data) {
		var r gcml.StepResult
		if err := json.Unmarshal(line, &r); err != nil {
			t.Fatal(err)
		}
		results = append(results, r)
	}
	return results
}

// TestWatchGoesOn checks that a run that resumes after a kill drops the lines that it measures
// again, and an incomplete one.
func TestWatchGoesOn(t *testing.T) {
	b := gctest.GoBackend(t)
	path := filepath.Join(t.TempDir(), "gc.jsonl")
	run := func(interval gcml.Interval, silent, watched int) []gcml.StepResult {
		loop, ds := newWatchedLoop(t, b)
		if _, err := loop.RunSteps(ds, silent); err != nil {
			t.Fatal(err)
		}
		watcher, err := gcml.Watch(loop, interval, watchedModel, watchedData(), gcml.WithJSONLines(path))
		if err != nil {
			t.Fatal(err)
		}
		defer watcher.Finalize()
		if _, err := loop.RunSteps(ds, watched); err != nil {
			t.Fatal(err)
		}
		return watcher.Results()
	}
	run(gcml.EveryNSteps(2), 0, 6)
	before := readSteps(t, path)
	file, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	_, err = file.WriteString(`{"step":8,"gc":1.`)
	if err := errors.Join(err, file.Close()); err != nil {
		t.Fatal(err)
	}
	again := run(gcml.EveryNSteps(2), 2, 6) // From a checkpoint at step 2 to step 8.
	after := readSteps(t, path)
	if steps := stepsOf(after); !slices.Equal(steps, []int64{2, 4, 6, 8}) ||
		!slices.Equal(stepsOf(again), []int64{4, 6, 8}) {
		t.Fatalf("the file has the steps %v, measured were %v", steps, stepsOf(again))
	}
	if !reflect.DeepEqual(after[0], before[0]) || after[1].GC != before[1].GC {
		t.Errorf("the file has %+v, want %+v", after[:2], before[:2])
	}
	for name, interval := range map[string]gcml.Interval{"every 2 steps": gcml.EveryNSteps(2),
		"exponentially, and at the end": gcml.Exponentially(1, 2)} {
		run(interval, 8, 0) // Nothing to do.
		if steps := stepsOf(readSteps(t, path)); len(steps) != 4 {
			t.Errorf("%s: the file has the steps %v", name, steps)
		}
	}
}

// TestWatchIntervals checks the steps of each interval, in a run of 11 steps and in one of 4 more.
func TestWatchIntervals(t *testing.T) {
	for _, c := range []struct {
		name     string
		interval gcml.Interval
		want     []int64
	}{
		{"every 3", gcml.EveryNSteps(3), []int64{3, 6, 9, 12, 15}},
		{"twice", gcml.NTimes(2), []int64{6, 11, 13, 15}},
		{"at every step", gcml.NTimes(math.MaxInt), []int64{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}},
		{"exponentially", gcml.Exponentially(2, 1.5), []int64{2, 5, 10, 11, 15}},    // 2, 5, 9.5, 16.25.
		{"slowly growing", gcml.Exponentially(1, 1.4), []int64{1, 2, 4, 7, 11, 15}}, // 1, 2.4, 4.36, 7.1, 10.9, 16.3.
	} {
		loop, ds := newWatchedLoop(t, gctest.GoBackend(t))
		watcher, err := gcml.Watch(loop, c.interval, watchedModel, watchedData())
		if err != nil {
			t.Fatal(err)
		}
		for _, steps := range []int{11, 4} {
			if _, err := loop.RunSteps(ds, steps); err != nil {
				t.Fatal(err)
			}
		}
		got := stepsOf(watcher.Results())
		watcher.Finalize()
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: measured after %v, want %v", c.name, got, c.want)
		}
	}
}

// TestWatchEpochs checks NTimes where the loop knows its last step only after the first epoch.
func TestWatchEpochs(t *testing.T) {
	loop, _ := newWatchedLoop(t, gctest.GoBackend(t))
	watcher, err := gcml.Watch(loop, gcml.NTimes(5), watchedModel, watchedData())
	if err != nil {
		t.Fatal(err)
	}
	defer watcher.Finalize()
	if _, err := loop.RunEpochs(epochOf(130), 2); err != nil {
		t.Fatal(err)
	}
	// Of 260 steps every 52nd, from step 131 on.
	if got := stepsOf(watcher.Results()); !slices.Equal(got, []int64{128, 156, 208, 260}) {
		t.Errorf("measured after %v", got)
	}
}

// epochOf is a data set of so many of the batches of endless.
type epochOf int

func (epochOf) Name() string { return "epoch" }

func (n epochOf) Iter() iter.Seq2[train.Batch, error] {
	return func(yield func(train.Batch, error) bool) {
		left := int(n)
		for batch, err := range (endless{}).Iter() {
			if left--; left < 0 || !yield(batch, err) {
				return
			}
		}
	}
}

func TestWatchErrors(t *testing.T) {
	b := gctest.GoBackend(t)
	foreign := filepath.Join(t.TempDir(), "notes.txt")
	if err := os.WriteFile(foreign, []byte("my notes\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name     string
		interval gcml.Interval
		data     train.Dataset
		opts     []gcml.Option
		want     string
	}{
		{"interval", gcml.EveryNSteps(0), watchedData(), nil, "EveryNSteps(0): want 1 step or more"},
		{"factor", gcml.Exponentially(1, 1), watchedData(), nil,
			"want a first step of 1 or more and a finite factor above 1"},
		{"infinite factor", gcml.Exponentially(1, math.Inf(1)), watchedData(), nil, "a finite factor above 1"},
		{"no interval", gcml.Interval{}, watchedData(), nil, "invalid interval"},
		{"option", gcml.EveryNSteps(1), watchedData(), []gcml.Option{gcml.WithCoefficient(1)},
			"WithCoefficient does not apply"},
		{"data", gcml.EveryNSteps(1), batches{err: errors.New("unplugged")}, nil,
			"after step 1: gcml.Measure: data set \"test rows\": unplugged"},
		{"report", gcml.EveryNSteps(1), watchedData(), []gcml.Option{gcml.WithReport(func(gcml.StepResult) error {
			return errors.New("no paper")
		})}, "reporting step 1: no paper"},
		{"foreign file", gcml.EveryNSteps(1), watchedData(), []gcml.Option{gcml.WithJSONLines(foreign)},
			"line 1 is not a measurement of gcml.Watch"},
		{"no folder", gcml.EveryNSteps(1), watchedData(), []gcml.Option{gcml.WithJSONLines(filepath.Join(foreign, "x"))},
			"not a directory"},
	} {
		loop, ds := newWatchedLoop(t, b)
		_, err := gcml.Watch(loop, c.interval, watchedModel, c.data, c.opts...)
		if err == nil {
			_, err = loop.RunSteps(ds, 2)
		}
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: got error %v, want one line with %q", c.name, err, c.want)
		}
	}
	if data, err := os.ReadFile(foreign); err != nil || string(data) != "my notes\n" {
		t.Errorf("the foreign file holds %q, %v", data, err)
	}
}
