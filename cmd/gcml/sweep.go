package main

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/geometric-complexity/toolkit/experiments"
	"github.com/geometric-complexity/toolkit/experiments/experiment"
)

// allExperiments is the argument that stands for every experiment.
const allExperiments = "all"

func (a *app) sweepCommand() *cobra.Command {
	var scale string
	var o runOptions
	var execution executionOptions
	var slurm slurmOptions
	cmd := &cobra.Command{
		Use:   "sweep NAME|NUMBER...|all",
		Short: "Run several experiments, in several processes or on a cluster",
		Long: "sweep does the runs of the named experiments, or of all, and decides the claims of each.\n" +
			"Results go to the same folders as those of gcml run. Complete runs are not repeated,\n" +
			"interrupted ones continue from their last checkpoint, and those that another process is\n" +
			"doing are waited for. A run that fails does not stop the others.\n\n" +
			"With --slurm a Slurm job array does the runs. The task that completes an experiment\n" +
			"decides its claims.",
		Example: "  gcml sweep 01 05 --scale smoke --workers 2\n" +
			"  gcml sweep all --shard 0/2     # and on another machine --shard 1/2, with the same folder\n" +
			"  gcml sweep 05 --scale paper --slurm --tasks 16 --sbatch partition=gpu --sbatch gpus=1",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usagef("sweep wants experiments, by name or number, or all; gcml list shows them")
			}
			return nil
		},
		ValidArgsFunction: completeSweep,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := slurm.check(cmd); err != nil {
				return err
			}
			planned, err := o.planAll(args, experiment.Scale(scale))
			if err != nil {
				return err
			}
			s, err := a.newSweep(planned, o, execution)
			if err != nil {
				return err
			}
			if !slurm.array {
				return a.execute(cmd.Context(), s)
			}
			job, err := o.slurmJob(s, scale, slurm)
			if err != nil {
				return err
			}
			return a.submit(cmd, job, slurm.dryRun)
		},
	}
	addScale(cmd, &scale)
	o.addTo(cmd, findAll)
	cmd.Flags().StringVar(&o.out, "out", "out", "`folder` for results, in which each experiment gets a folder")
	completeFolders(cmd, "out")
	execution.addTo(cmd)
	slurm.addTo(cmd)
	return cmd
}

// planAll plans the runs of the experiments of a sweep's arguments.
func (o *runOptions) planAll(args []string, scale experiment.Scale) ([]*experiment.Planned, error) {
	chosen, err := findAll(args)
	if err != nil {
		return nil, asUsage(err)
	}
	var all []*experiment.Planned
	for _, e := range chosen {
		planned, err := o.plan(e, scale, filepath.Join(o.out, e.Info().Folder(scale)))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", e.Info().Name, err)
		}
		all = append(all, planned)
	}
	return all, nil
}

// findAll finds experiments by their names and numbers, or all of them.
func findAll(args []string) (found []experiment.Experiment, err error) {
	if slices.Equal(args, []string{allExperiments}) {
		return experiments.All(), nil
	}
	for _, arg := range args {
		if arg == allExperiments {
			return nil, usagef("%q means every experiment: give it alone", allExperiments)
		}
		e, err := experiments.Find(arg)
		if err != nil {
			return nil, err
		}
		if slices.Contains(found, e) {
			return nil, usagef("%s is given twice", e.Info().Name)
		}
		found = append(found, e)
	}
	return found, nil
}

// slurmJob returns the sweep as a job array.
func (o *runOptions) slurmJob(s *sweep, scale string, slurm slurmOptions) (*slurmJob, error) {
	out, err := filepath.Abs(o.out)
	if err != nil {
		return nil, err
	}
	command := []string{"sweep"}
	var numbers []string
	for _, p := range s.planned {
		info := p.Experiment.Info()
		command, numbers = append(command, info.Name), append(numbers, info.Number)
	}
	command = append(command, "--scale", scale, "--out", out)
	if len(o.seeds) > 0 {
		seeds := strings.Trim(fmt.Sprint(o.seeds), "[]")
		command = append(command, "--seeds", strings.ReplaceAll(seeds, " ", ","))
	}
	for _, assignment := range o.sets {
		command = append(command, "--set", assignment)
	}
	if s.keep {
		command = append(command, "--"+keepFlag)
	}
	runs, tasks := len(s.all), slurm.tasks
	if tasks == 0 {
		tasks = maxTasks
	}
	return &slurmJob{name: strings.Join(numbers, "-") + "-" + scale, dir: filepath.Join(out, "slurm"), command: command,
		workers: s.workers, runs: runs, tasks: min(tasks, runs), options: slurm.sbatch}, nil
}
