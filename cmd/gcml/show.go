package main

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/geometric-complexity/toolkit/experiments"
	"github.com/geometric-complexity/toolkit/experiments/experiment"
	"github.com/geometric-complexity/toolkit/experiments/report"
)

// showOptions are the flags of show.
type showOptions struct {
	out, scale string
	json       bool
}

func (a *app) showCommand() *cobra.Command {
	var o showOptions
	cmd := &cobra.Command{
		Use:   "show NAME|NUMBER|demo",
		Short: "Print the last result of an experiment again",
		Long: "show prints the newest result of an experiment in the folder of --out, or in the folders\n" +
			"within it. If there is none in out/, it prints the published one in results/.",
		Example:           "  gcml show 05\n  gcml show simplicity-bias --scale smoke",
		Args:              oneExperiment,
		ValidArgsFunction: completeShow,
		RunE: func(cmd *cobra.Command, args []string) error {
			e, err := findWithDemo(args[0])
			if err != nil {
				return asUsage(err)
			}
			folders := []string{o.out}
			if !cmd.Flags().Changed("out") {
				folders = append(folders, resultsFolder)
			}
			return a.show(e, folders, o)
		},
	}
	cmd.Flags().StringVar(&o.out, "out", "out", "`folder` of results")
	completeFolders(cmd, "out")
	addChoice(cmd, cmd.Flags(), scaleChoice(&o.scale), "scale", "only results of this `size` (default: of any)")
	cmd.Flags().BoolVar(&o.json, "json", false, "print the result as JSON")
	return cmd
}

// findWithDemo finds an experiment by its name or number, or the demo.
func findWithDemo(word string) (experiment.Experiment, error) {
	if demo := experiment.Experiment(experiments.Demo); word == demo.Info().Name {
		return demo, nil
	}
	return experiments.Find(word)
}

// show prints the newest result of an experiment in the first folder that has one.
func (a *app) show(e experiment.Experiment, folders []string, o showOptions) error {
	var unreadable []error
	for _, folder := range folders {
		found, errs := resultsIn(folder, e.Info().Name, o.scale)
		unreadable = append(unreadable, errs...)
		if len(found) == 0 {
			continue
		}
		for _, err := range unreadable {
			fmt.Fprintf(a.stderr, "skipped: %s\n", oneLine(err))
		}
		newest := slices.MaxFunc(found, foundResult.compareAge)
		if len(found) > 1 {
			fmt.Fprintf(a.stderr, "the newest of %d results: %s\n", len(found), newest.Dir)
		}
		if o.json {
			return a.printJSON(newest.Result)
		}
		return a.printResult(newest.Result, newest.Dir)
	}
	return joined(append(unreadable, noResult(e.Info(), folders, o.scale))...)
}

// noResult says how to get a result.
func noResult(info experiment.Info, folders []string, scale string) error {
	what, command := info.Name, "gcml demo"
	if info.Number != "" {
		what = info.Number + " " + info.Name
		command = fmt.Sprintf("gcml run %s --scale %s", info.Number, cmp.Or(scale, string(experiment.Smoke)))
	}
	at := ""
	if scale != "" {
		at = " at scale " + scale
	}
	return fmt.Errorf("no result of %s%s in %s; to make one: %s", what, at, strings.Join(folders, " or "), command)
}

// foundResult is a result, with the time when it was written.
type foundResult struct {
	*report.Folder
	written time.Time
}

// compareAge compares when the last runs of two results finished and, if that is the same second,
// when the results were written.
func (r foundResult) compareAge(other foundResult) int {
	return cmp.Or(r.Provenance.Finished.Compare(other.Provenance.Finished), r.written.Compare(other.written))
}

// resultsIn reads the results of an experiment in a folder and in the folders within it, of all
// scales if scale is empty, and returns an error for each result that cannot be read.
func resultsIn(folder, name, scale string) (found []foundResult, unreadable []error) {
	dirs := []string{folder}
	if entries, err := os.ReadDir(folder); err == nil {
		for _, entry := range entries {
			dirs = append(dirs, filepath.Join(folder, entry.Name()))
		}
	}
	for _, dir := range dirs {
		info, err := os.Stat(filepath.Join(dir, experiment.ResultFile))
		if err != nil {
			continue
		}
		f, err := report.Load(dir)
		switch {
		case errors.Is(err, report.ErrUnfinished):
		case err != nil:
			unreadable = append(unreadable, err)
		case f.Name == name && (scale == "" || f.Scale == experiment.Scale(scale)):
			found = append(found, foundResult{f, info.ModTime()})
		}
	}
	return found, unreadable
}
