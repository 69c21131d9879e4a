package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"

	"github.com/geometric-complexity/toolkit/experiments/experiment"
	"github.com/geometric-complexity/toolkit/experiments/runs"
	"github.com/geometric-complexity/toolkit/experiments/training"
)

// executionOptions are the flags that say which runs this process does, and with how many workers.
type executionOptions struct {
	workers int
	shard   string
	decide  bool
	keep    bool // the checkpoints of measured steps
}

// keepFlag is the flag of runs that keep their checkpoints, also of a worker process.
const keepFlag = "keep-checkpoints"

func (o *executionOptions) addTo(cmd *cobra.Command) {
	f := cmd.Flags()
	f.IntVar(&o.workers, "workers", 1, "`number` of processes that do runs in parallel")
	f.StringVar(&o.shard, "shard", "", "do only the runs of shard `i/n`: every n-th, beginning with run i, counted from 0")
	f.BoolVar(&o.decide, "decide", false, "do no runs: decide the claims of complete experiments, and say what others lack")
	f.BoolVar(&o.keep, keepFlag, false, "keep the networks of all measured steps but step 0, for gcml compare --checkpoints")
	complete(cmd, "workers", cobra.NoFileCompletions)
	complete(cmd, "shard", cobra.NoFileCompletions)
}

// sweep is what a command line asks for, checked.
type sweep struct {
	planned  []*experiment.Planned
	all      []runs.Item // the runs of all experiments
	shard    []runs.Item // those of them that this process does
	workers  int
	decide   bool // do no runs
	keep     bool // the checkpoints of measured steps
	yes      bool // do not ask before a long sweep
	progress runs.Progress
	print    func(r *experiment.Result, out string) error
}

func (a *app) newSweep(planned []*experiment.Planned, o runOptions, e executionOptions) (*sweep, error) {
	if e.workers < 1 {
		return nil, usagef("--workers is %d, want 1 or more", e.workers)
	}
	if e.decide && e.shard != "" {
		return nil, usagef("--decide does no runs: give it without --shard")
	}
	if e.decide && e.keep {
		return nil, usagef("--decide does no runs: give it without --%s", keepFlag)
	}
	s := &sweep{planned: planned, workers: e.workers, decide: e.decide, keep: e.keep, yes: o.yes, print: a.printResult}
	var shard runs.Shard
	var err error
	if e.shard != "" {
		if shard, err = runs.ParseShard(e.shard); err != nil {
			return nil, usageError{fmt.Errorf("--shard: %w", err)}
		}
	}
	if s.progress, err = a.newProgress(o.progress); err != nil {
		return nil, err
	}
	for _, p := range planned {
		s.all = append(s.all, runs.Items(p.Part)...)
	}
	if e.keep && !slices.ContainsFunc(s.all, trains) {
		return nil, usagef("--%s: none of these runs trains a network: give the command without it", keepFlag)
	}
	if !e.decide {
		s.shard = shard.Of(s.all)
	}
	return s, nil
}

// trains says whether a run leaves a trained network.
func trains(item runs.Item) bool { return item.Task.Kind() == (&training.Train{}).Kind() }

// withoutKept counts the complete runs that have not kept the checkpoints that they were asked for.
func (s *sweep) withoutKept(backendName string) (n int) {
	if !s.keep {
		return 0
	}
	for _, item := range s.shard {
		if !trains(item) {
			continue
		}
		// A worker reports what cannot be read.
		record, err := runs.Lookup(item.Part.Out, backendName, item.Run)
		if err != nil || record == nil {
			continue
		}
		found, err := runs.ListCheckpoints(filepath.Join(item.Part.Out, runs.RunsDir, record.Hash))
		if err == nil && len(found) < 2 {
			n++
		}
	}
	return n
}

// execute does the runs of the shard, decides the claims of the experiments that are complete then,
// and says what the others lack.
func (a *app) execute(ctx context.Context, s *sweep) error {
	command := a.resumeCommand() // Before GOMLX_BACKEND is set for smoke runs.
	a.resume.Store(&command)
	smoke, err := preferGoAtSmokeScale(s.planned)
	if err != nil {
		return err
	}
	w, err := a.openWorkers(min(s.workers, max(1, len(s.shard))), s.planned, s.keep)
	if err != nil {
		return err
	}
	defer w.close()
	if smoke {
		w.why = "backend go: smoke runs end before XLA would have compiled them (GOMLX_BACKEND chooses another)"
	}
	if err := w.checkBackend(s.planned); err != nil {
		return err
	}
	fmt.Fprintf(a.stderr, "%s\n%s\n", w.why, s.describe(len(w.workers)))
	schedule := &runs.Schedule{Items: s.shard, BackendName: w.backendName, Progress: s.progress}
	if err := a.confirm(ctx, s, schedule, len(w.workers)); err != nil {
		return err
	}
	if err := s.createFolders(); err != nil {
		return err
	}
	withoutKept := s.withoutKept(w.backendName)
	reused, err := schedule.Run(ctx, w.workers...)
	var interrupted *runs.InterruptedError
	var failed *runs.FailedError
	switch {
	case errors.As(err, &interrupted):
		return resumableError{err, command}
	case errors.As(err, &failed):
		if lines := failed.Lines(); len(lines) > 1 {
			for _, line := range lines {
				fmt.Fprintf(a.stderr, "failed: %s\n", line)
			}
		}
	case err != nil:
		return err
	}
	if withoutKept > 0 {
		fmt.Fprintf(a.stderr, "note: --%s: %d runs were complete already and keep only their last checkpoint; "+
			"remove %s to repeat them\n", keepFlag, withoutKept, s.out())
	}
	return joined(err, a.decideAll(ctx, s.withoutFailed(failed), w.backendName, reused))
}

// createFolders creates the output folders, so that a folder that cannot be created is one error,
// and not one for each run.
func (s *sweep) createFolders() error {
	if len(s.shard) == 0 {
		return nil
	}
	for _, p := range s.planned {
		if err := os.MkdirAll(p.Out, 0o777); err != nil {
			return fmt.Errorf("cannot create the folder for results: %w", err)
		}
	}
	return nil
}

// withoutFailed returns the sweep without the experiments that have failed runs.
func (s *sweep) withoutFailed(failed *runs.FailedError) *sweep {
	if failed == nil {
		return s
	}
	rest := *s
	rest.planned = slices.DeleteFunc(slices.Clone(s.planned), func(p *experiment.Planned) bool {
		return slices.ContainsFunc(failed.Failures, func(f runs.Failure) bool { return f.Part == p.Part })
	})
	return &rest
}

// describe says how many runs this process does, and where their results go.
func (s *sweep) describe(workers int) string {
	text := fmt.Sprintf("%d runs", len(s.all))
	if len(s.shard) < len(s.all) {
		text = fmt.Sprintf("%d of %s", len(s.shard), text)
	}
	if n := len(s.planned); n > 1 {
		text += fmt.Sprintf(" of %d experiments", n)
	}
	if workers > 1 {
		text += fmt.Sprintf(" by %d processes", workers)
	}
	return text + ", results in " + s.out()
}

// out is the folder of all results.
func (s *sweep) out() string {
	if len(s.planned) > 1 {
		return filepath.Dir(s.planned[0].Out)
	}
	return s.planned[0].Out
}

// decideAll decides and prints the claims of each complete experiment. Missing runs are an error
// with --decide only.
func (a *app) decideAll(ctx context.Context, s *sweep, backendName string, reused map[*runs.Part]int) error {
	var errs []error
	incomplete, printed := 0, 0
	for _, p := range s.planned {
		result, err := p.Decide(ctx, backendName)
		var missing *experiment.MissingError
		switch {
		case errors.As(err, &missing):
			incomplete++
			fmt.Fprintf(a.stderr, "%v; its claims are decided when it is complete\n", err)
			continue
		case ctx.Err() != nil:
			return resumableError{&runs.InterruptedError{Cause: ctx.Err()}, *a.resume.Load()}
		case err != nil:
			errs = append(errs, err)
			continue
		}
		if printed++; printed > 1 {
			fmt.Fprintln(a.stdout)
		}
		result.Reused = reused[p.Part]
		errs = append(errs, s.print(result, p.Out))
	}
	if s.decide && incomplete > 0 {
		errs = append(errs, fmt.Errorf("%d of %d experiments are not complete", incomplete, len(s.planned)))
	}
	return joined(errs...)
}
