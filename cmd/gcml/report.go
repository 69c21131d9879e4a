package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/geometric-complexity/toolkit/experiments/report"
	"github.com/geometric-complexity/toolkit/internal/atomicfile"
	"github.com/geometric-complexity/toolkit/internal/nearest"
)

// resultsFolder is where published results are, in the repository.
const resultsFolder = "results"

func (a *app) reportCommand() *cobra.Command {
	var out string
	cmd := &cobra.Command{
		Use:   "report [FOLDER...]",
		Short: "Show results as one HTML page, and publish them",
		Long: "report writes one HTML page of the results in the folders, or in those within them: an\n" +
			"overview of the verdicts, the claims that do not hold, then each experiment with its\n" +
			"claims, figures, tables, configuration and provenance. Verdicts are corrected for the\n" +
			"number of all claims on the page (Holm 1979). The page needs nothing beside it.",
		Example: "  gcml report\n  gcml report out --out mine.html",
		Args:    cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, dirs []string) error {
			if len(dirs) == 0 {
				dirs = []string{resultsFolder}
			}
			for _, dir := range dirs {
				if err := isFolder(cmd, dir); err != nil {
					return err
				}
			}
			return a.writePage(dirs, out)
		},
	}
	cmd.Flags().StringVar(&out, "out", filepath.Join("out", "report.html"), "`file` for the page")
	cmd.AddCommand(a.publishCommand(), a.readmeCommand())
	return cmd
}

// isFolder tells a folder that is not there from a mistyped command.
func isFolder(cmd *cobra.Command, word string) error {
	info, err := os.Stat(word)
	if err == nil && !info.IsDir() {
		return usagef("%s is a file; report wants folders of results", word)
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if near, ok := nearest.Word(word, commandNames(cmd)); ok {
		return usagef("there is no folder %s; did you mean gcml report %s?", word, near)
	}
	return usagef("there is no folder %s", word)
}

func (a *app) writePage(dirs []string, out string) error {
	folders, unfinished, err := report.LoadAll(dirs...)
	if err != nil {
		return err
	}
	for _, dir := range unfinished {
		fmt.Fprintf(a.stderr, "%s is left out: it has no result yet\n", dir)
	}
	page, err := report.HTML(folders)
	if err != nil {
		return err
	}
	if err := atomicfile.Replace(out, page); err != nil {
		return err
	}
	_, err = fmt.Fprintf(a.stdout, "page of %d result(s), %d kB: %s\n", len(folders), len(page)/1000, out)
	return err
}

func (a *app) publishCommand() *cobra.Command {
	var to string
	var o report.Options
	cmd := &cobra.Command{
		Use:   "publish OUT...",
		Short: "Copy what is worth keeping of finished results into the repository",
		Long: "publish copies the result, the claims, the records and the figures of output folders to\n" +
			"results/NN-name, in the place of what was there; a discussion.md stays. Checkpoints and\n" +
			"logs are left where they are. It refuses results that cannot be repeated.",
		Example: "  gcml report publish out/gc-regularizer-laptop\n  gcml report readme",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usagef("publish wants output folders, such as out/gc-regularizer-laptop")
			}
			return nil
		},
		RunE: func(_ *cobra.Command, outs []string) error {
			published, err := report.Publish(outs, to, o)
			for _, dir := range published {
				fmt.Fprintf(a.stdout, "published: %s\n", dir)
				a.remindOf(dir)
			}
			return err
		},
	}
	cmd.Flags().StringVar(&to, "to", resultsFolder, "`folder` to publish into")
	cmd.Flags().BoolVar(&o.Smoke, "smoke", false, "also results of the smoke scale")
	cmd.Flags().BoolVar(&o.Force, "force", false, "also results of code that is in no commit")
	return cmd
}

// remindOf says what is left to write by hand of a published result.
func (a *app) remindOf(dir string) {
	f, err := report.Load(dir)
	if err != nil {
		fmt.Fprintf(a.stderr, "to mend: %v\n", err)
		return
	}
	if ids := f.Undiscussed(); len(ids) > 0 {
		fmt.Fprintf(a.stderr, "to write: in %s, under \"## ID: does not hold\", why these claims may not hold: %s\n",
			filepath.Join(dir, report.DiscussionFile), strings.Join(ids, ", "))
	}
}

func (a *app) readmeCommand() *cobra.Command {
	var readme, folder string
	cmd := &cobra.Command{
		Use:   "readme",
		Short: "Write the tables of README.md and results/README.md from the results",
		Args:  noArguments,
		RunE: func(*cobra.Command, []string) error {
			folders, unfinished, err := report.LoadAll(folder)
			if err != nil {
				return err
			}
			if len(unfinished) > 0 {
				return fmt.Errorf("%s has no result; publish it again or remove it", strings.Join(unfinished, ", "))
			}
			changed, err := report.UpdateReadmes(folders, readme, folder)
			for _, path := range changed {
				fmt.Fprintf(a.stdout, "changed: %s\n", path)
			}
			if err == nil && len(changed) == 0 {
				fmt.Fprintln(a.stdout, "the tables are as the results say")
			}
			return err
		},
	}
	cmd.Flags().StringVar(&readme, "readme", "README.md", "`file` for the table of experiments")
	cmd.Flags().StringVar(&folder, "results", resultsFolder, "`folder` of published results, whose README.md lists them and their claims")
	return cmd
}
