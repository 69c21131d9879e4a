package main

import (
	"context"
	"errors"
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
		Long: "fetch downloads the published files of a data set and checks their SHA-256. They go to a\n" +
			"folder named after the data set, within the folder that GCML_DATA names, or else within\n" +
			"data/. Files that are already there are kept, and a download that was interrupted is\n" +
			"completed. No other command downloads anything.",
		Example:           "  gcml fetch fashion-mnist",
		ValidArgsFunction: completeOneDataset,
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
			if err := a.download(cmd.Context(), name, progressKind); err != nil {
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
	addProgress(cmd, &progressKind)
	return cmd
}

// download downloads a data set, and says how else to get it if that fails.
func (a *app) download(ctx context.Context, name, progressKind string) error {
	display := &fileProgress{app: a, kind: progressKind}
	defer display.finish()
	err := datasets.Download(ctx, name, "", display.show)
	var failed *datasets.DownloadError
	switch {
	case err != nil && ctx.Err() != nil:
		return interruption("interrupted; gcml fetch " + name + " continues the download")
	case errors.As(err, &failed):
		return hintedError{failed.Err, failed.Hint}
	}
	return err
}

// fileProgress shows a display for each file, one after the other.
type fileProgress struct {
	app     *app
	kind    string
	file    string
	done    int64
	display runs.Progress // nil before the first file, and with --progress none
}

// show implements datasets.Progress.
func (p *fileProgress) show(file string, done, total int64) {
	if file != p.file {
		p.finish()
		p.file, p.done = file, 0
		p.display, _ = p.app.newProgress(p.kind) // The flag has checked the kind.
		if p.display != nil {
			p.display.Start(total, file)
			p.display.Describe(file)
		}
	}
	// From a second address the file starts again at 0: the display waits for what it has shown.
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
