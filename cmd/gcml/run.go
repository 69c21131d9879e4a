package main

import (
	"encoding/json"
	"fmt"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/geometric-complexity/toolkit/experiments"
	"github.com/geometric-complexity/toolkit/experiments/experiment"
	"github.com/geometric-complexity/toolkit/internal/settings"
)

// runOptions are the flags of the commands that run experiments.
type runOptions struct {
	seeds    []int64
	sets     []string
	out      string
	progress string
}

func (o *runOptions) addTo(cmd *cobra.Command) {
	f := cmd.Flags()
	f.Int64SliceVar(&o.seeds, "seeds", nil, "`list` of seeds, such as 0,1,2 (default: those of the scale)")
	f.Lookup("seeds").DefValue = "" // pflag would print "(default [])"
	f.StringArrayVar(&o.sets, "set", nil, "change a key of the configuration, as `key=value`; may be given again")
	f.StringVar(&o.progress, "progress", "auto", "`how` to show progress on standard error: auto, bar, lines or none")
}

// addScale adds the flag of the scale, for commands that have more than one.
func addScale(cmd *cobra.Command, scale *string) {
	cmd.Flags().StringVar(scale, "scale", string(experiment.Laptop),
		"`size`: smoke (seconds), laptop (minutes), desk (a night) or paper")
}

// part is an experiment with the configuration that the flags ask for.
func (o *runOptions) part(e experiment.Experiment, scale experiment.Scale, out string) (*experiment.Planned, error) {
	cfg, seeds := e.DefaultConfig(scale), o.seeds
	for _, assignment := range o.sets {
		if err := settings.Set(cfg, assignment); err != nil {
			return nil, usageError{fmt.Errorf("--set %w", err)}
		}
	}
	if len(seeds) == 0 {
		seeds = e.DefaultSeeds(scale)
	}
	part, err := experiment.Plan(e, cfg, seeds, out)
	if err != nil {
		return nil, usageError{err}
	}
	return part, nil
}

// singleOptions are the flags of the commands that run one experiment.
type singleOptions struct {
	runOptions
	shareOptions
	json, print bool
}

func (o *singleOptions) addTo(cmd *cobra.Command) {
	o.runOptions.addTo(cmd)
	f := cmd.Flags()
	f.StringVar(&o.out, "out", "", "`folder` for results (default: out/ and the experiment's name and scale)")
	f.BoolVar(&o.json, "json", false, "print the result as JSON")
	f.BoolVar(&o.print, "print-config", false, "print the configuration and run nothing")
}

func (a *app) runCommand() *cobra.Command {
	var scale string
	var o singleOptions
	cmd := &cobra.Command{
		Use:   "run NAME|NUMBER",
		Short: "Run an experiment of the paper and decide its claims",
		Long: "run does an experiment's runs and decides its claims. Results go to the folder of\n" +
			"--out. A run that is complete there is not done again; an interrupted one goes on\n" +
			"from its checkpoint and ends with the same numbers. A run that another process is\n" +
			"doing is waited for. See gcml list for the names, and gcml sweep for several\n" +
			"experiments at once.",
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
			s, err := experiment.ParseScale(scale)
			if err != nil {
				return asUsage(err)
			}
			if o.out == "" {
				o.out = filepath.Join("out", e.Info().Folder(s))
			}
			return a.runExperiment(cmd, e, s, o)
		},
	}
	addScale(cmd, &scale)
	o.addTo(cmd)
	o.shareOptions.addTo(cmd)
	return cmd
}

func (a *app) demoCommand() *cobra.Command {
	o := singleOptions{shareOptions: shareOptions{workers: 1}}
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
			return a.runExperiment(cmd, experiments.Demo, experiment.Laptop, o)
		},
	}
	o.addTo(cmd)
	return cmd
}

// runExperiment runs one experiment, and prints its result or its configuration.
func (a *app) runExperiment(cmd *cobra.Command, e experiment.Experiment, scale experiment.Scale,
	o singleOptions) error {
	part, err := o.part(e, scale, o.out)
	if err != nil {
		return err
	}
	if o.print {
		return a.printJSON(part.Config)
	}
	s, err := a.newSweep([]*experiment.Planned{part}, o.progress, o.shareOptions)
	if err != nil {
		return err
	}
	if o.json {
		s.print = func(r *experiment.Result, _ *experiment.Planned) error { return a.printJSON(r) }
	}
	return a.doSweep(cmd.Context(), s)
}

func (a *app) printResult(r *experiment.Result, part *experiment.Planned) error {
	out := part.Out
	text := r.Text() + "\n"
	if r.Reused > 0 {
		text += fmt.Sprintf("%d of %d runs were complete already; to do them again, remove %s\n", r.Reused, len(r.Runs), out)
	}
	for _, figure := range r.Figures {
		text += "figure: " + filepath.Join(out, figure) + "\n"
	}
	text += "result: " + filepath.Join(out, experiment.ResultFile) + "\n"
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
