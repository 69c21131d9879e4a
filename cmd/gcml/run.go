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
	yes      bool
}

// addTo adds the flags to a command. chosen finds the experiments of its arguments, whose settings
// the shell completes.
func (o *runOptions) addTo(cmd *cobra.Command, chosen func(args []string) ([]experiment.Experiment, error)) {
	f := cmd.Flags()
	addSeeds(cmd, &o.seeds, "those of the scale")
	f.StringArrayVar(&o.sets, "set", nil, "change a setting of the experiment, as `key=value`; may be repeated")
	f.BoolVar(&o.yes, "yes", false, "begin without a question, however long the runs take")
	complete(cmd, "set", completeSettings(chosen))
	addProgress(cmd, &o.progress)
}

// plan applies the flags to an experiment's configuration at a scale, and plans its runs.
func (o *runOptions) plan(e experiment.Experiment, scale experiment.Scale, out string) (*experiment.Planned, error) {
	cfg, seeds := e.DefaultConfig(scale), o.seeds
	if err := settings.SetAll(cfg, o.sets); err != nil {
		return nil, usageError{fmt.Errorf("--set: %w", err)}
	}
	if len(seeds) == 0 {
		seeds = e.DefaultSeeds(scale)
	}
	planned, err := experiment.Plan(e, scale, cfg, seeds, out)
	if err != nil {
		return nil, usageError{err}
	}
	return planned, nil
}

// singleOptions are the flags of the commands that run one experiment.
type singleOptions struct {
	runOptions
	executionOptions
	json, printConfig bool
}

// addTo adds the flags to a command; folder says where results go without --out.
func (o *singleOptions) addTo(cmd *cobra.Command, chosen func(args []string) ([]experiment.Experiment, error),
	folder string) {
	o.runOptions.addTo(cmd, chosen)
	f := cmd.Flags()
	f.StringVar(&o.out, "out", "", "`folder` for results (default: "+folder+")")
	f.BoolVar(&o.json, "json", false, "print the result as JSON")
	f.BoolVar(&o.printConfig, "print-config", false, "print the configuration and run nothing")
	completeFolders(cmd, "out")
}

func (a *app) runCommand() *cobra.Command {
	var scale string
	var o singleOptions
	cmd := &cobra.Command{
		Use:   "run NAME|NUMBER",
		Short: "Run an experiment of the paper and decide its claims",
		Long: "run does an experiment's runs, decides its claims, and writes the results into the folder\n" +
			"of --out. It does not repeat complete runs, continues interrupted ones from their last\n" +
			"checkpoint with the same numbers, and waits for those that another process is doing.\n" +
			"gcml list shows the experiments; gcml sweep runs several of them.\n\n" +
			"At a terminal it asks before runs that take more than five minutes, as far as similar runs\n" +
			"are known.",
		Example: "  gcml run simplicity-bias --scale smoke\n" +
			"  gcml run 05 --seeds 0,1,2,3,4 --set steps=500 --set coefficients=0,0.01",
		Args:              oneExperiment,
		ValidArgsFunction: completeOneExperiment,
		RunE: func(cmd *cobra.Command, args []string) error {
			e, err := experiments.Find(args[0])
			if err != nil {
				return asUsage(err)
			}
			s := experiment.Scale(scale)
			if o.out == "" {
				o.out = filepath.Join("out", e.Info().Folder(s))
			}
			return a.runExperiment(cmd, e, s, o)
		},
	}
	addScale(cmd, &scale)
	o.addTo(cmd, findAll, "in out/, named after the experiment and the scale")
	o.executionOptions.addTo(cmd)
	return cmd
}

// oneExperiment requires one argument.
func oneExperiment(cmd *cobra.Command, args []string) error {
	if len(args) != 1 {
		return usagef("%s wants one experiment, by name or number; gcml list shows them", cmd.Name())
	}
	return nil
}

// demoFolder is where the results of the demo go without --out.
var demoFolder = filepath.Join("out", "demo")

func (a *app) demoCommand() *cobra.Command {
	o := singleOptions{executionOptions: executionOptions{workers: 1}}
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Train on real images without and with the GC penalty, and compare",
		Long: "demo trains the same network on embedded Fashion-MNIST images, a fifth of which have\n" +
			"wrong labels, without and with the geometric complexity penalty, prints what the\n" +
			"penalty did, and writes a figure.\n" +
			"It takes less than two minutes on two cores.",
		Args:              noArguments,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if o.out == "" {
				o.out = demoFolder
			}
			return a.runExperiment(cmd, experiments.Demo, experiment.Laptop, o)
		},
	}
	o.addTo(cmd, func([]string) ([]experiment.Experiment, error) {
		return []experiment.Experiment{experiments.Demo}, nil
	}, demoFolder)
	return cmd
}

// runExperiment runs one experiment, and prints its result or its configuration.
func (a *app) runExperiment(cmd *cobra.Command, e experiment.Experiment, scale experiment.Scale,
	o singleOptions) error {
	planned, err := o.plan(e, scale, o.out)
	if err != nil {
		return err
	}
	s, err := a.newSweep([]*experiment.Planned{planned}, o.runOptions, o.executionOptions)
	if err != nil {
		return err
	}
	if o.printConfig {
		return a.printJSON(planned.Config)
	}
	if o.json {
		s.print = func(r *experiment.Result, _ string) error { return a.printJSON(r) }
	}
	return a.execute(cmd.Context(), s)
}

// printResult prints the result in an output folder.
func (a *app) printResult(r *experiment.Result, out string) error {
	text := r.TextWith(a.paintVerdict) + "\n"
	if r.Reused > 0 {
		text += fmt.Sprintf("%d of %d runs were complete already; to repeat them, remove %s\n", r.Reused, len(r.Runs), out)
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
