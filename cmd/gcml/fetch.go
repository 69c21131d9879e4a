package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/geometric-complexity/toolkit/datasets"
	"github.com/geometric-complexity/toolkit/experiments/runs"
)

func (a *app) fetchCommand() *cobra.Command {
	var progressKind string
	cmd := &cobra.Command{
		Use:   "fetch DATASET",
		Short: "Download a data set and check it by SHA-256",
		Long: "fetch downloads the published files of a data set into the folder of its name below\n" +
			"GCML_DATA, or data/ where that is not set, and checks their SHA-256. Files that are there\n" +
			"and right are kept, and one that has arrived in part is completed. No other command\n" +
			"downloads anything.",
		Example: "  gcml fetch fashion-mnist",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usagef("fetch wants one data set: %s", strings.Join(datasets.Names(), ", "))
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			name := args[0]
			if !slices.Contains(datasets.Names(), name) {
				return unknownWord("data set", name, datasets.Names())
			}
			if _, err := a.newProgress(progressKind); err != nil {
				return err
			}
			display := &fileProgress{app: a, kind: progressKind}
			defer display.finish()
			if err := datasets.Download(cmd.Context(), name, "", display.show); err != nil {
				if cmd.Context().Err() != nil {
					return interruption("interrupted; what has arrived is kept, and gcml fetch " + name + " goes on from there")
				}
				return err
			}
			source, err := datasets.Locate(name)
			if err != nil {
				return err
			}
			_, err = fmt.Fprintln(a.stdout, source)
			return err
		},
	}
	cmd.Flags().StringVar(&progressKind, "progress", "auto",
		"`how` to show progress on standard error: auto, bar, lines or none")
	return cmd
}

// fileProgress is a display for each file in turn.
type fileProgress struct {
	app     *app
	kind    string
	file    string
	done    int64
	display runs.Progress // nil before the first file, and if none is wanted
}

// show implements datasets.Progress.
func (p *fileProgress) show(file string, done, total int64) {
	if file != p.file {
		p.finish()
		p.file, p.done = file, 0
		p.display, _ = p.app.newProgress(p.kind) // The kind was found right before.
		if p.display != nil {
			p.display.Start(total, file)
			p.display.Describe(file)
		}
	}
	// From a second address a file begins anew: the display waits until it is as far.
	if p.display != nil && done > p.done {
		p.display.Add(done - p.done)
		p.done = done
	}
}

func (p *fileProgress) finish() {
	if p.display != nil {
		p.display.Finish()
	}
}
