package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"

	"github.com/geometric-complexity/toolkit/experiments/experiment"
	"github.com/geometric-complexity/toolkit/experiments/runs"
)

// shareOptions are the flags that say which runs are done here, and by how many processes.
type shareOptions struct {
	workers int
	shard   string
	decide  bool
}

func (o *shareOptions) addTo(cmd *cobra.Command) {
	f := cmd.Flags()
	f.IntVar(&o.workers, "workers", 1, "`number` of processes that do runs side by side")
	f.StringVar(&o.shard, "shard", "", "do only the share `i/n` of the runs, every n-th from the i-th on, with i from 0")
	f.BoolVar(&o.decide, "decide", false, "do no runs: decide the claims of what is complete, and say what is missing")
}

// sweep is what a command line asks for, checked.
type sweep struct {
	parts    []*experiment.Planned
	all      []runs.Item
	share    []runs.Item // those of all that are done here
	workers  int
	decide   bool
	progress runs.Progress
	print    func(*experiment.Result, *experiment.Planned) error
}

func (a *app) newSweep(parts []*experiment.Planned, progress string, o shareOptions) (*sweep, error) {
	if o.workers < 1 {
		return nil, usagef("--workers %d: at least 1 process is needed", o.workers)
	}
	if o.decide && o.shard != "" {
		return nil, usagef("--decide does no runs, so --shard does not go with it")
	}
	s := &sweep{parts: parts, workers: o.workers, decide: o.decide, print: a.printResult}
	var shard runs.Shard
	var err error
	if o.shard != "" {
		if shard, err = runs.ParseShard(o.shard); err != nil {
			return nil, usageError{fmt.Errorf("--shard: %w", err)}
		}
	}
	if s.progress, err = a.newProgress(progress); err != nil {
		return nil, err
	}
	for _, part := range parts {
		s.all = append(s.all, runs.Items(part.Part)...)
	}
	if !o.decide {
		s.share = shard.Of(s.all)
	}
	return s, nil
}

// doSweep does the runs, decides the claims of the experiments that are complete then, and says
// what the others lack.
func (a *app) doSweep(ctx context.Context, s *sweep) error {
	command := a.sameCommand()
	a.resume.Store(&command)
	small, err := chooseGoIfSmall(s.parts)
	if err != nil {
		return err
	}
	c, err := a.openWorkers(min(s.workers, max(1, len(s.share))), s.parts)
	if err != nil {
		return err
	}
	defer c.close()
	if small {
		c.why = "backend go: runs of the smoke scale are done before XLA has compiled them (GOMLX_BACKEND names another)"
	}
	if err := c.checkBackend(s.parts); err != nil {
		return err
	}
	fmt.Fprintf(a.stderr, "%s\n%s\n", c.why, s.describe(len(c.workers)))
	reused, err := (&runs.Schedule{Items: s.share, BackendName: c.backendName, Progress: s.progress}).Run(ctx,
		c.workers...)
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
	return joined(err, a.decideAll(ctx, s.withoutFailed(failed), c.backendName, reused))
}

// withoutFailed is the sweep without the experiments that have runs that failed.
func (s *sweep) withoutFailed(failed *runs.FailedError) *sweep {
	if failed == nil {
		return s
	}
	rest := *s
	rest.parts = slices.DeleteFunc(slices.Clone(s.parts), func(part *experiment.Planned) bool {
		return slices.ContainsFunc(failed.Failures, func(f runs.Failure) bool { return f.Part == part.Part })
	})
	return &rest
}

// describe says how much is done here, and where its results go.
func (s *sweep) describe(workers int) string {
	text := fmt.Sprintf("%d runs", len(s.all))
	if len(s.share) < len(s.all) {
		text = fmt.Sprintf("%d of %s", len(s.share), text)
	}
	out := s.parts[0].Out
	if n := len(s.parts); n > 1 {
		text += fmt.Sprintf(" of %d experiments", n)
		out = filepath.Dir(out)
	}
	if workers > 1 {
		text += fmt.Sprintf(" by %d processes", workers)
	}
	return text + ", results in " + out
}

// decideAll decides and prints the claims of each experiment that is complete. Runs that are
// missing are an error if nothing else was asked for than to decide.
func (a *app) decideAll(ctx context.Context, s *sweep, backendName string, reused map[*runs.Part]int) error {
	var errs []error
	incomplete, printed := 0, 0
	for _, part := range s.parts {
		result, err := part.Decide(ctx, backendName)
		var missing *experiment.MissingError
		switch {
		case errors.As(err, &missing):
			incomplete++
			fmt.Fprintf(a.stderr, "%v; its claims are decided when it is complete\n", err)
			continue
		case ctx.Err() != nil:
			return resumableError{&runs.InterruptedError{Cause: ctx.Err()}, a.sameCommand()}
		case err != nil:
			errs = append(errs, err)
			continue
		}
		if printed++; printed > 1 {
			fmt.Fprintln(a.stdout)
		}
		result.Reused = reused[part.Part]
		errs = append(errs, s.print(result, part))
	}
	if s.decide && incomplete > 0 {
		errs = append(errs, fmt.Errorf("%d of %d experiments are not complete", incomplete, len(s.parts)))
	}
	return joined(errs...)
}
