package experiments

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"

	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
)

// Trained is a network that a run trained, with its weights.
type Trained struct {
	Task  *Train
	Seed  int64
	Step  int64 // the step of its checkpoint
	Store *model.Store
	// Model is the network without penalties: inputs [batch, ...] to logits
	// [batch, outputs].
	Model func(scope *model.Scope, x *graph.Node) *graph.Node
}

// OpenRun loads the network of a run's folder, out/runs/ADDRESS, at its newest
// checkpoint. The caller owns its store.
func OpenRun(dir string) (*Trained, error) {
	run, err := readStarted(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s is no run's folder: it has no %s; runs are in the folder %q below an experiment's output", dir, runFile, runsDir)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", dir, err)
	}
	if kind := (&Train{}).Kind(); run.Kind != kind {
		return nil, fmt.Errorf("%s: a run of kind %q leaves no network, only one of kind %q does", dir, run.Kind, kind)
	}
	t := &Trained{Task: &Train{}, Seed: run.Seed, Store: model.NewStore()}
	if err := json.Unmarshal(run.Task, t.Task); err != nil {
		return nil, fmt.Errorf("%s: %w", dir, err)
	}
	step, checkpoint, err := latestCheckpoint(dir)
	if err != nil {
		return nil, err
	}
	if step < 0 {
		return nil, fmt.Errorf("%s: the run has no checkpoint yet", dir)
	}
	t.Step = step
	if err := loadCheckpoint(t.Store, checkpoint); err != nil {
		return nil, err
	}
	data, err := t.Task.Data.load()
	if err != nil {
		return nil, err
	}
	t.Model, err = t.Task.Network.function(data.outputs)
	return t, err
}
