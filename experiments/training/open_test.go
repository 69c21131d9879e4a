package training

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gomlx/compute"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"

	"github.com/geometric-complexity/toolkit/capacity"
	"github.com/geometric-complexity/toolkit/datasets"
	"github.com/geometric-complexity/toolkit/experiments/runs"
	"github.com/geometric-complexity/toolkit/internal/gctest"
)

// TestOpenRunOfImpossibleSize checks that a run from a stranger is refused if its network is larger
// than this machine's memory.
func TestOpenRunOfImpossibleSize(t *testing.T) {
	for want, task := range map[string]*Train{
		"data: needs at least 800 GB": {Data: Data{Name: NameParabola, Train: 100_000_000_000}},
		"network: needs ": {Data: Data{Name: NameParabola},
			Network: Network{Kind: KindMLP, HiddenLayers: 2, Width: 1 << 40}},
		"network.width is -1": {Data: Data{Name: NameParabola}, Network: Network{Kind: KindMLP, Width: -1}},
	} {
		raw, err := json.Marshal(task)
		if err != nil {
			t.Fatal(err)
		}
		run := runs.Record{Kind: task.Kind(), Backend: "go", Task: raw}
		if run.Hash, err = run.Address(); err != nil {
			t.Fatal(err)
		}
		dir := t.TempDir()
		if raw, err = json.Marshal(run); err == nil {
			err = os.WriteFile(filepath.Join(dir, runs.RunFile), raw, 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
		if _, err := OpenRun(dir); err == nil || !strings.Contains(err.Error(), want) ||
			!strings.HasPrefix(err.Error(), dir) {
			t.Errorf("error %v; want %q", err, want)
		}
	}
}

// TestOpenCheckpoints opens the two checkpoints that an interrupted run keeps: the oldest first,
// each with weights of its own, the last with those of OpenRun.
func TestOpenCheckpoints(t *testing.T) {
	env := runs.Env{Backend: gctest.GoBackend(t), Out: t.TempDir()}
	dir := interruptedAt(t, env, runs.Run{Label: "interrupted", Seed: 3, Task: resumableTask()}, 5)
	checkpoints, err := OpenCheckpoints(dir)
	if err != nil || len(checkpoints) != 2 || checkpoints[0].Step >= checkpoints[1].Step {
		t.Fatalf("%d checkpoints, want 2 in the order of their steps (%v)", len(checkpoints), err)
	}
	newest, err := OpenRun(dir)
	if err != nil || newest.Step != checkpoints[1].Step {
		t.Fatalf("the newest checkpoint is of step %d, want %d (%v)", checkpoints[1].Step, newest.Step, err)
	}
	differ := false
	for v := range newest.Store.IterVariables() {
		value := func(store *model.Store) *tensors.Tensor {
			own, err := store.GetVariable(v.Path()).Value()
			if err != nil {
				t.Fatal(err)
			}
			return own
		}
		if !value(newest.Store).Equal(value(checkpoints[1].Store)) {
			t.Errorf("variable %s of the last checkpoint is not that of OpenRun", v.Path())
		}
		differ = differ || !value(newest.Store).Equal(value(checkpoints[0].Store))
	}
	if !differ {
		t.Error("both checkpoints have the same variables")
	}
	if _, err := OpenCheckpoints(t.TempDir()); err == nil || !strings.Contains(err.Error(), "is not the folder of a run") {
		t.Errorf("a folder without checkpoints: error %v", err)
	}
}

// TestOpenedLosses checks that the loss of an opened network, and of its initial weights, on the
// training examples with the labels that it was trained on, are those that its run recorded.
func TestOpenedLosses(t *testing.T) {
	gctest.ForEachBackend(t, func(t *testing.T, backend compute.Backend) {
		task := resumableTask()
		task.Data.LabelNoise, task.SquaredError = 0.5, true
		env := runs.Env{Backend: backend, BackendName: "test", Out: t.TempDir()}
		record := execute(t, env, runs.Run{Label: "noisy labels", Seed: 4, Task: task})
		trained, err := OpenRun(filepath.Join(env.Out, runs.RunsDir, record.Hash))
		if err != nil {
			t.Fatal(err)
		}
		initial, err := trained.Initial(backend)
		if err != nil {
			t.Fatal(err)
		}
		for i, store := range []*model.Store{initial, trained.Store} {
			examples, err := trained.TrainingExamples(20)
			if err != nil {
				t.Fatal(err)
			}
			loss, err := capacity.NewLoss(t.Context(), backend, store, trained.Model, trained.Loss, examples)
			if err != nil {
				t.Fatal(err)
			}
			want := record.Points[i*(len(record.Points)-1)].Value("train_loss")
			gctest.AssertClose(t, []float64{loss.Value()}, []float64{want}, 1e-5, 0, "training loss")
			loss.Finalize()
		}
	})
}

// TestDatasetOfCurve checks that all points of a curve are measured or none: it has no test split,
// and a part of it or a size of batches is refused.
func TestDatasetOfCurve(t *testing.T) {
	trained := &Trained{Task: &Train{Data: Data{Name: NameParabola, Train: 4}, Network: MLP(1, 5)}}
	if _, err := trained.Dataset("", datasets.Train, 0, 0); err != nil {
		t.Error(err)
	}
	for _, part := range []struct {
		split    datasets.Split
		n, batch int
	}{{datasets.Test, 0, 0}, {datasets.Train, 3, 0}, {datasets.Train, 0, 2}} {
		_, err := trained.Dataset("", part.split, part.n, part.batch)
		if err == nil || !strings.Contains(err.Error(), "is a curve") {
			t.Errorf("%+v: %v", part, err)
		}
	}
}
