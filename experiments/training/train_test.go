package training

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/gomlx/compute"

	"github.com/geometric-complexity/toolkit/datasets"
	"github.com/geometric-complexity/toolkit/experiments/runs"
	"github.com/geometric-complexity/toolkit/experiments/runs/runstest"
	"github.com/geometric-complexity/toolkit/internal/gctest"
	"github.com/geometric-complexity/toolkit/layers"
)

// linearFit computes, by hand, full-batch gradient descent of f(x) = w·x + b on the parabola's
// points with the penalty c·w². The GC of f is w².
func linearFit(points int, lr, c float64, steps int, w, b float64) (float64, float64) {
	curve, _ := datasets.Parabola(points)
	n := float64(points)
	for range steps {
		dw, db := 2*c*w, 0.0
		for i, x := range curve.X {
			residual := w*x + b - curve.Y[i]
			dw += 2 * residual * x / n
			db += 2 * residual / n
		}
		w, b = w-lr*dw, b-lr*db
	}
	return w, b
}

// TestTrainingEqualsGradientDescentByHand compares a run with a computation by hand, which a linear
// network allows for every number: constant learning rate, mean squared error, the penalty's
// gradient, and GC.
func TestTrainingEqualsGradientDescentByHand(t *testing.T) {
	gctest.ForEachBackend(t, func(t *testing.T, backend compute.Backend) {
		for _, c := range []float64{0, 0.3} {
			task := &Train{Data: Data{Name: NameParabola, Train: 10}, Network: MLP(0, 0), LearningRate: 0.1, Steps: 40,
				Measurements: 2, KeepFunction: true}
			if c != 0 {
				task.Penalties = map[string]float64{"gc": c}
			}
			record := execute(t, runs.Env{Backend: backend, Out: t.TempDir()}, runs.Run{Label: "linear", Seed: 5, Task: task})
			if len(record.Points) != 3 {
				t.Fatalf("%d points; want those of steps 0, 20, 40", len(record.Points))
			}
			line := func(p runs.Point) (w, b float64) {
				f := runs.Floats(p.Arrays["f"])
				first, last := -1+1.0/GridPoints, 1-1.0/GridPoints
				w = (f[len(f)-1] - f[0]) / (last - first)
				return w, f[0] - w*first
			}
			w, b := line(record.Points[0])
			for _, p := range record.Points {
				wantW, wantB := linearFit(10, 0.1, c, int(p.Step), w, b)
				gotW, gotB := line(p)
				gctest.AssertClose(t, []float64{gotW, gotB}, []float64{wantW, wantB}, 2e-5, 1e-6, "w and b")
				gctest.AssertClose(t, []float64{p.Value("train_gc"), p.Value("interval_gc")},
					[]float64{wantW * wantW, wantW * wantW}, 1e-4, 1e-7, "GC")
			}
		}
	})
}

func execute(t *testing.T, env runs.Env, run runs.Run) *runs.Record {
	t.Helper()
	record, err := runstest.Do(context.Background(), env, run)
	if err != nil {
		t.Fatal(err)
	}
	return record
}

// cancelAt is a progress display that cancels after a number of steps.
type cancelAt struct {
	runs.NoProgress
	cancel context.CancelFunc
	left   int64
}

func (c *cancelAt) Add(n int64) {
	if c.left -= n; c.left <= 0 {
		c.cancel()
	}
}

// resumableTask draws random numbers in training, shuffles batches over several epochs, and can be
// interrupted at measured and unmeasured steps.
func resumableTask() *Train {
	return &Train{Data: Data{Name: datasets.NameFashionMNISTSubset, Train: 100, Test: 50, Measure: 50},
		Network:      MLP(1, 16),
		LearningRate: 0.1, BatchSize: 30, Steps: 12, Measurements: 3,
		Penalties: map[string]float64{"gc": 0.01}, GCEstimator: "rademacher:1"}
}

func TestResumedEqualsUninterrupted(t *testing.T) {
	backend := gctest.GoBackend(t)
	run := runs.Run{Label: "resumed", Seed: 3, Task: resumableTask()}
	want := execute(t, runs.Env{Backend: backend, Out: t.TempDir()}, run)
	if want.Status != runs.Complete || want.Step != 12 || len(want.Points) != 4 {
		t.Fatalf("the uninterrupted run ended %s at step %d with %d points", want.Status, want.Step, len(want.Points))
	}
	out := t.TempDir()
	// The starts take 1, 2, 5 and the remaining 4 steps. They end within an epoch, at its end, in a
	// later epoch, and at a measured step.
	for _, steps := range []int64{1, 2, 5} {
		ctx, cancel := context.WithCancel(context.Background())
		progress := &cancelAt{cancel: cancel, left: steps}
		if before := newestCheckpoint(t, runDir(t, out, run)); before > 0 {
			progress.left += before // a resumed run first reports the earlier steps
		}
		record, err := runstest.Do(ctx, runs.Env{Backend: backend, Out: out, Progress: progress}, run)
		var interrupted *runs.InterruptedError
		if !errors.As(err, &interrupted) || record != nil {
			t.Fatalf("after %d more steps: %v; want an interruption", steps, err)
		}
	}
	got := execute(t, runs.Env{Backend: backend, Out: out}, run)
	if got.Provenance.Starts != 4 {
		t.Errorf("%d starts; want 4", got.Provenance.Starts)
	}
	assertSameNumbers(t, got, want)
}

func runDir(t *testing.T, out string, run runs.Run) string {
	t.Helper()
	address, err := run.Address("Go Backend")
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(out, runs.RunsDir, address)
}

// newestCheckpoint returns the step of a run's newest checkpoint, -1 if it has none.
func newestCheckpoint(t *testing.T, dir string) int64 {
	t.Helper()
	found, err := runs.ListCheckpoints(dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(found) == 0 {
		return -1
	}
	return found[0].Step
}

// assertSameNumbers compares two records bit for bit, without their provenance.
func assertSameNumbers(t *testing.T, got, want *runs.Record) {
	t.Helper()
	a, b := *got, *want
	a.Provenance, b.Provenance = runs.Provenance{}, runs.Provenance{}
	if a.Weights == "" || a.Weights != b.Weights {
		t.Errorf("weights %q; want %q", a.Weights, b.Weights)
	}
	// As JSON, the form in which records are stored, because NaN in memory does not equal itself.
	if first, second := asJSON(t, a), asJSON(t, b); first != second {
		t.Errorf("records differ:\n%s\n%s", first, second)
	}
}

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestCheckpointsByTimeDoNotChangeTheNumbers(t *testing.T) {
	backend := gctest.GoBackend(t)
	run := runs.Run{Label: "often", Seed: 2, Task: resumableTask()}
	want := execute(t, runs.Env{Backend: backend, Out: t.TempDir()}, run)
	got := execute(t, runs.Env{Backend: backend, Out: t.TempDir(), CheckpointEvery: time.Nanosecond}, run)
	assertSameNumbers(t, got, want)
}

func TestCompleteRunIsNotDoneAgain(t *testing.T) {
	backend := gctest.GoBackend(t)
	env := runs.Env{Backend: backend, Out: t.TempDir()}
	run := runs.Run{Label: "once", Seed: 0, Task: &Train{Data: Data{Name: NameParabola, Train: 4}, Network: MLP(0, 0),
		LearningRate: 0.1, Steps: 3, Measurements: 1}}
	first := execute(t, env, run)
	run.Label = "the same under another name"
	second := execute(t, env, run)
	if !second.Provenance.Finished.Equal(first.Provenance.Finished) ||
		second.Provenance.Seconds != first.Provenance.Seconds {
		t.Errorf("the run was done again: %+v, then %+v", first.Provenance, second.Provenance)
	}
	run.Seed = 1
	if third := execute(t, env, run); third.Weights == first.Weights {
		t.Error("another seed gave the same weights")
	}
}

func TestDivergenceIsARecord(t *testing.T) {
	gctest.ForEachBackend(t, func(t *testing.T, backend compute.Backend) {
		task := &Train{Data: Data{Name: NameParabola, Train: 10}, Network: MLP(1, 8), LearningRate: 1e6, Steps: 50,
			Measurements: 5}
		record := execute(t, runs.Env{Backend: backend, Out: t.TempDir()}, runs.Run{Label: "diverges", Task: task})
		if record.Status != runs.Diverged || record.Step < 1 || record.Step >= 50 {
			t.Fatalf("status %s at step %d; want diverged before the end", record.Status, record.Step)
		}
		if v := record.FinalValue("train_gc"); !math.IsNaN(v) {
			t.Errorf("final value of a diverged run = %v; want NaN", v)
		}
		t.Log(record.Message)
		if want := fmt.Sprintf("in step %d ", record.Step); !strings.HasPrefix(record.Message, want) ||
			!strings.Contains(record.Message, " is not finite: it begins at ") {
			t.Errorf("message %q; want it to name the step and the node", record.Message)
		}
	})
}

func TestStopLoss(t *testing.T) {
	backend := gctest.GoBackend(t)
	task := &Train{Data: Data{Name: NameParabola, Train: 10}, Network: MLP(2, 32), LearningRate: 0.1, Steps: 2000,
		Measurements: 200, StopLoss: 0.02}
	record := execute(t, runs.Env{Backend: backend, Out: t.TempDir()}, runs.Run{Label: "stops", Task: task})
	points := record.Points
	last, before := points[len(points)-1], points[len(points)-2]
	if record.Step == 2000 || last.Value("train_loss") > 0.02 || before.Value("train_loss") <= 0.02 {
		t.Errorf("stopped at step %d with loss %g after %g; want the first measurement of at most 0.02",
			record.Step, last.Value("train_loss"), before.Value("train_loss"))
	}
}

func TestMeasuredSteps(t *testing.T) {
	for _, tc := range []struct {
		name  string
		steps int64
		n     int
		log   bool
		want  []int64
	}{
		{"even", 10, 3, false, []int64{0, 3, 7, 10}},
		{"more than steps", 3, 10, false, []int64{0, 1, 2, 3}},
		{"only the last", 100, 1, true, []int64{0, 100}},
		{"logarithmic", 1000, 4, true, []int64{0, 1, 10, 100, 1000}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			task := &Train{Steps: tc.steps, Measurements: tc.n, LogSpaced: tc.log}
			if got := task.measuredSteps(); !reflect.DeepEqual(got, tc.want) {
				t.Errorf("measured at %v; want %v", got, tc.want)
			}
		})
	}
}

func TestWrongTasks(t *testing.T) {
	env := runs.Env{Backend: gctest.GoBackend(t), Out: t.TempDir()}
	good := func() *Train {
		return &Train{Data: Data{Name: NameParabola, Train: 10}, Network: MLP(1, 4), LearningRate: 0.1, Steps: 1,
			Measurements: 1}
	}
	for _, tc := range []struct {
		name   string
		change func(*Train)
		want   string
	}{
		{"rate", func(t *Train) { t.LearningRate = 0 }, "learning rate 0 is not a positive number"},
		{"steps", func(t *Train) { t.Steps = 0 }, "0 steps"},
		{"penalty", func(t *Train) { t.Penalties = map[string]float64{"flatnes": 1} },
			`unknown penalty "flatnes"; did you mean "flatness"?`},
		{"coefficient", func(t *Train) { t.Penalties = map[string]float64{"gc": -1} }, "coefficient -1"},
		{"estimator", func(t *Train) { t.GCEstimator = "exakt" }, "exakt"},
		{"data", func(t *Train) { t.Data.Name = "fashion-mist-subset" }, `did you mean "fashion-mnist-subset"`},
		{"uneven classes", func(t *Train) { t.Data = Data{Name: datasets.NameFashionMNISTSubset, Train: 15} },
			"take a multiple of 10"},
		{"batch", func(t *Train) { t.BatchSize = 3 }, "batch size 3: the curve is trained on all its 10 points"},
		{"network", func(t *Train) { t.Network.Kind = "mpl" }, `did you mean "mlp"?`},
		{"initialization", func(t *Train) { t.Network.Initialization = "xavier" }, "xavier"},
		{"activation", func(t *Train) { t.Network.Activation = "rellu" }, `did you mean "relu"?`},
		{"width", func(t *Train) { t.Network.Width = 0 }, "width is 0, want 1 or more"},
		{"dropout of all", func(t *Train) { t.Network.Dropout = 1 }, "dropout is 1"},
		{"dropout without hidden layers", func(t *Train) { t.Network = MLP(0, 0); t.Network.Dropout = 0.5 },
			"dropout is 0.5 with 0 hidden layers"},
		{"dropout of a ResNet", func(t *Train) { t.Network = ResNet18(1, layers.NormBatch); t.Network.Dropout = 0.5 },
			"only an MLP has it"},
		{"validation of a curve", func(t *Train) { t.Data.Validation = 10 }, "parabola is a curve; leave them out"},
		{"uneven validation", func(t *Train) {
			t.Data = Data{Name: datasets.NameFashionMNISTSubset, Train: 10, Validation: 15}
		}, "validation: fashion-mnist-subset/train: 15 examples cannot be drawn evenly"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			task := good()
			tc.change(task)
			_, err := runstest.Do(context.Background(), env, runs.Run{Label: "wrong", Task: task})
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("error %v; want %q", err, tc.want)
			}
		})
	}
}

func TestOpenRun(t *testing.T) {
	backend := gctest.GoBackend(t)
	env := runs.Env{Backend: backend, Out: t.TempDir()}
	run := runs.Run{Label: "opened", Seed: 3, Task: resumableTask()}
	record := execute(t, env, run)
	trained, err := OpenRun(runDir(t, env.Out, run))
	if err != nil {
		t.Fatal(err)
	}
	digest, err := weightsDigest(trained.Store)
	if err != nil {
		t.Fatal(err)
	}
	if digest != record.Weights || trained.Step != 12 || trained.Seed != 3 || !reflect.DeepEqual(trained.Task, run.Task) {
		t.Errorf("opened weights %s of step %d, task %+v; want %s of step 12, %+v", digest, trained.Step, trained.Task,
			record.Weights, run.Task)
	}
	if _, err := OpenRun(t.TempDir()); err == nil || !strings.Contains(err.Error(), "is not the folder of a run") {
		t.Errorf("opening an empty folder: %v", err)
	}
	if _, err := trained.Dataset("parabole", datasets.Train, 0, 10); err == nil ||
		!strings.Contains(err.Error(), `did you mean "parabola"?`) {
		t.Errorf("unknown data set: %v", err)
	}
}

func asJSON(t *testing.T, value any) string {
	t.Helper()
	data, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}
