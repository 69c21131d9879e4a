package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"

	"github.com/geometric-complexity/toolkit/experiments"
	"github.com/geometric-complexity/toolkit/experiments/experiment"
	"github.com/geometric-complexity/toolkit/experiments/runs"
)

// A worker process and the process that started it exchange lines of JSON: a request for each run
// on the worker's standard input, and reports on its standard output.

// workerName is the hidden command of a worker process.
const workerName = "worker"

// runRequest asks for a run.
type runRequest struct {
	Experiment string          `json:"experiment"`
	Config     json.RawMessage `json:"config"`
	Seeds      []int64         `json:"seeds"`
	Out        string          `json:"out"`
	Index      int             `json:"index"` // in the experiment's plan
	Address    string          `json:"address"`
}

// workerReport is a message from a worker process. Its first report names the backend that it
// opened. For each run it then reports the units done, and in the run's last report the outcome.
type workerReport struct {
	Backend       string   `json:"backend,omitempty"`
	Why           string   `json:"why,omitempty"`
	FailedPlugins string   `json:"failed_plugins,omitempty"`
	Units         int64    `json:"units,omitempty"`
	Outcome       *outcome `json:"outcome,omitempty"`
}

// outcome says how a run ended. The zero value is a run that is complete.
type outcome struct {
	Busy        bool         `json:"busy,omitempty"` // another process does the run
	Interrupted *interrupted `json:"interrupted,omitempty"`
	Error       string       `json:"error,omitempty"`
}

// interrupted is the step at which a run stopped, and the step at which it would have ended.
type interrupted struct {
	Step, End int64
}

func newOutcome(err error) *outcome {
	var stopped *runs.InterruptedError
	var failed *runs.RunError
	switch {
	case err == nil:
		return &outcome{}
	case errors.Is(err, runs.ErrBusy):
		return &outcome{Busy: true}
	case errors.As(err, &stopped):
		return &outcome{Interrupted: &interrupted{stopped.Step, stopped.End}}
	case errors.As(err, &failed):
		return &outcome{Error: failed.Err.Error()} // The other process knows which run it is.
	}
	return &outcome{Error: err.Error()}
}

// item finds the requested run in the experiment's plan.
func (r runRequest) item() (item runs.Item, err error) {
	e, err := experiments.Find(r.Experiment)
	if err != nil {
		return item, err
	}
	// Decoded into an empty configuration, so that a key that is missing keeps no default.
	config := reflect.New(reflect.TypeOf(e.DefaultConfig(experiment.Smoke)).Elem()).Interface()
	if err := json.Unmarshal(r.Config, config); err != nil {
		return item, fmt.Errorf("configuration of %s: %w", r.Experiment, err)
	}
	planned, err := experiment.Plan(e, experiment.Nearest, config, r.Seeds, r.Out)
	if err != nil {
		return item, err
	}
	items := runs.Items(planned.Part)
	if r.Index >= len(items) {
		return item, fmt.Errorf("%s has no run %d", r.Experiment, r.Index)
	}
	return items[r.Index], nil
}
