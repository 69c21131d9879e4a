package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/spf13/cobra"

	"example.com/geometric-complexity/experiments"
	"example.com/geometric-complexity/internal/backend"
)

// runOptions are the flags of the commands that run an experiment.
type runOptions struct {
	seeds    []int64
	sets     []string
	out      string
	progress string
	json     bool
	print    bool
}

func (o *runOptions) addTo(cmd *cobra.Command) {
	f := cmd.Flags()
	f.Int64SliceVar(&o.seeds, "seeds", nil, "`list` of seeds, such as 0,1,2 (default: those of the scale)")
	f.Lookup("seeds").DefValue = "" // pflag would print "(default [])"
	f.StringArrayVar(&o.sets, "set", nil, "change a key of the configuration, as `key=value`; may be given again")
	f.StringVar(&o.out, "out", "", "`folder` for results (default: out/ and the experiment's name and scale)")
	f.StringVar(&o.progress, "progress", "auto", "`how` to show progress on standard error: auto, bar, lines or none")
	f.BoolVar(&o.json, "json", false, "print the result as JSON")
	f.BoolVar(&o.print, "print-config", false, "print the configuration and run nothing")
}

func (a *app) runCommand() *cobra.Command {
	var scale string
	var o runOptions
	cmd := &cobra.Command{
		Use:   "run NAME|NUMBER",
		Short: "Run an experiment of the paper and decide its claims",
		Long: "run does an experiment's runs and decides its claims. Results go to the folder of\n" +
			"--out. A run that is complete there is not done again; an interrupted one goes on\n" +
			"from its checkpoint and ends with the same numbers. See gcml list for the names.",
		Example: "  gcml run simplicity-bias --scale smoke\n  gcml run 05 --seeds 0,1,2,3,4 --set steps=500 --set coefficients=0,0.01",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usagef("run wants one experiment, by name or number; gcml list shows them")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			e, err := experiments.Find(args[0])
			if err != nil {
				return asUsage(err)
			}
			s, err := experiments.ParseScale(scale)
			if err != nil {
				return asUsage(err)
			}
			if o.out == "" {
				o.out = filepath.Join("out", e.Info().Folder(s))
			}
			return a.runExperiment(cmd.Context(), e, s, o)
		},
	}
	cmd.Flags().StringVar(&scale, "scale", string(experiments.Laptop), "`size`: smoke (seconds), laptop (minutes) or paper")
	o.addTo(cmd)
	return cmd
}

func (a *app) demoCommand() *cobra.Command {
	var o runOptions
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Train on real images without and with the GC penalty, and compare",
		Long: "demo trains the same network on the embedded Fashion-MNIST images without and with\n" +
			"the geometric complexity penalty, prints what the penalty did, and writes a figure.\n" +
			"It takes less than two minutes on two cores.",
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if o.out == "" {
				o.out = filepath.Join("out", "demo")
			}
			return a.runExperiment(cmd.Context(), experiments.Demo, experiments.Laptop, o)
		},
	}
	o.addTo(cmd)
	return cmd
}

// runExperiment opens the backend, runs, and prints the result.
func (a *app) runExperiment(ctx context.Context, e experiments.Experiment, scale experiments.Scale, o runOptions) error {
	cfg := e.DefaultConfig(scale)
	for _, assignment := range o.sets {
		if err := experiments.Set(cfg, assignment); err != nil {
			return usageError{fmt.Errorf("--set %w", err)}
		}
	}
	if len(o.seeds) == 0 {
		o.seeds = e.DefaultSeeds(scale)
	}
	runs, err := e.Plan(cfg, o.seeds)
	if err != nil {
		return usageError{err}
	}
	if o.print {
		return a.printJSON(cfg)
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
	fmt.Fprintf(a.stderr, "%s\n%d runs, results in %s\n", info.Why, len(runs), o.out)
	command := a.sameCommand()
	a.resume.Store(&command)
	env := experiments.Env{Backend: b, BackendName: info.ResultName(), Out: o.out, Progress: progress}
	result, err := e.RunConfig(ctx, env, cfg, o.seeds)
	var interrupted *experiments.InterruptedError
	if errors.As(err, &interrupted) {
		return resumableError{err, command}
	}
	if err != nil {
		return err
	}
	return a.printResult(result, o)
}

func (a *app) printResult(r *experiments.Result, o runOptions) error {
	if o.json {
		return a.printJSON(r)
	}
	text := r.Text() + "\n"
	if r.Reused > 0 {
		text += fmt.Sprintf("%d of %d runs were complete already; to do them again, remove %s\n", r.Reused, len(r.Runs), o.out)
	}
	for _, figure := range r.Figures {
		text += "figure: " + filepath.Join(o.out, figure) + "\n"
	}
	text += "result: " + filepath.Join(o.out, "result.json") + "\n"
	_, err := fmt.Fprint(a.stdout, text)
	return err
}

func (a *app) printJSON(value any) error {
	data, err := json.MarshalIndent(value, "", "  ")
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(a.stdout, "%s\n", data)
	return err
}
