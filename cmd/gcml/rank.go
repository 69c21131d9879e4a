package main

import (
	"context"
	"fmt"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/geometric-complexity/toolkit/backend"
	"github.com/geometric-complexity/toolkit/experiments/ranking"
)

// rankOptions are the flags of rank.
type rankOptions struct {
	ranking.Settings
	out, progress string
	seeds         []int64
	json          bool
}

func (a *app) rankCommand() *cobra.Command {
	o := rankOptions{Settings: ranking.DefaultSettings()}
	cmd := &cobra.Command{
		Use:   "rank OUT",
		Short: "Say which complexity measure ranks an experiment's networks by their test error",
		Long: "rank computes, for the final weights of each run in the output folder of an experiment,\n" +
			"geometric complexity, norms of the weights, sharpness, the local learning coefficient and\n" +
			"other measures, and Kendall's rank correlation of each with the test error: over all pairs\n" +
			"of runs, given the training loss, and over runs that differ in one setting alone. It writes\n" +
			"the measures, the correlations and a figure to out/ranking/NAME, and continues there.",
		Example: "  gcml run 09 --scale laptop && gcml rank out/optimizers-laptop\n" +
			"  gcml rank out/optimizers-laptop --seeds 0 --steps 500 --json",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usagef("rank wants the output folder of one experiment, such as out/optimizers-laptop")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error { return a.rank(cmd.Context(), args[0], o) },
	}
	f := cmd.Flags()
	f.StringVar(&o.out, "out", "", "`folder` of the ranking (default: out/ranking/NAME)")
	addSeeds(cmd, &o.seeds, "all")
	f.Float64Var(&o.Noise, "noise", o.Noise, "`size` of the noise of sharpness, in units of each weight")
	f.Float64Var(&o.StepSize, "step-size", o.StepSize, "`size` of the steps that sample the learning coefficient")
	f.Float64Var(&o.Localization, "localization", o.Localization,
		"`precision` of the normal distribution around the weights that they stay in")
	f.IntVar(&o.Steps, "steps", o.Steps, "`number` of these steps; as many before them are not counted")
	f.BoolVar(&o.json, "json", false, "print as JSON")
	addProgress(cmd, &o.progress)
	completeFolders(cmd, "out")
	return cmd
}

func (a *app) rank(ctx context.Context, dir string, o rankOptions) error {
	if !(o.Noise > 0) || !(o.StepSize > 0) || !(o.Localization > 0) || o.Steps < 1 {
		return usagef("--noise, --step-size and --localization must be positive, and --steps 1 or more")
	}
	o.BurnIn = o.Steps
	if o.out == "" {
		// A folder of its own for rankings, so that out/*-laptop means experiments alone.
		o.out = filepath.Join("out", "ranking", filepath.Base(filepath.Clean(dir)))
	}
	progress, err := a.newProgress(o.progress)
	if err != nil {
		return err
	}
	b, info, err := backend.Open()
	if err != nil {
		return err
	}
	defer b.Finalize()
	fmt.Fprintln(a.stderr, info.Why)
	result, err := ranking.Rank(ctx, ranking.Options{Backend: b, BackendName: info.ResultName(), Runs: dir, Out: o.out,
		Seeds: o.seeds, Settings: o.Settings, Command: a.sameCommand(), Progress: progress})
	if ctx.Err() != nil {
		return resumableError{interruption("interrupted; the measures so far are kept"), a.resumeCommand()}
	}
	if err != nil {
		return err
	}
	if o.json {
		return a.printJSON(result)
	}
	for _, table := range result.Tables() {
		fmt.Fprintln(a.stdout, table)
	}
	_, err = fmt.Fprintf(a.stdout, "%s\n\nresults in %s\n", result.Source(), o.out)
	return err
}
