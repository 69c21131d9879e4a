// Package runstest does single runs, for tests and examples.
package runstest

import (
	"context"
	"errors"

	"github.com/geometric-complexity/toolkit/experiments/runs"
)

// Do does one run in this process, by a schedule of this run alone, and returns its record. If the
// run is complete already, Do only reads the record; if the run fails, Do returns its
// *runs.RunError.
func Do(ctx context.Context, env runs.Env, run runs.Run) (*runs.Record, error) {
	env, err := env.WithDefaults()
	if err != nil {
		return nil, err
	}
	part := &runs.Part{Runs: []runs.Run{run}, Out: env.Out}
	schedule := runs.Schedule{Items: runs.Items(part), BackendName: env.BackendName, Progress: env.Progress}
	_, err = schedule.Run(ctx, runs.NewWorker(env))
	var failed *runs.FailedError
	switch {
	case errors.As(err, &failed):
		return nil, &failed.Failures[0].RunError
	case err != nil:
		return nil, err
	}
	return runs.Lookup(env.Out, env.BackendName, run)
}
