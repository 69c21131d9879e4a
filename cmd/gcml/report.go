package main

import (
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/cli/browser"
	"github.com/spf13/cobra"

	"github.com/geometric-complexity/toolkit/experiments/report"
	"github.com/geometric-complexity/toolkit/internal/atomicfile"
	"github.com/geometric-complexity/toolkit/internal/nearest"
)

// resultsFolder is the repository's folder of published results.
const resultsFolder = "results"

func (a *app) reportCommand() *cobra.Command {
	var out string
	var open bool
	cmd := &cobra.Command{
		Use:   "report [FOLDER...]",
		Short: "Write results as one HTML page, and publish them",
		Long: "report writes one HTML page with the results in the folders, and in the folders within\n" +
			"them: an overview of the verdicts, the claims that do not hold, then each experiment with\n" +
			"its claims, figures, tables, configuration and provenance. Verdicts are corrected for the\n" +
			"number of all claims on the page (Holm 1979). The page is a single file, and needs no\n" +
			"network. Without folders it shows the published results of results/.",
		Example: "  gcml report --open\n  gcml report out --out mine.html",
		Args:    cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, dirs []string) error {
			if len(dirs) == 0 {
				if _, err := os.Stat(resultsFolder); errors.Is(err, fs.ErrNotExist) {
					return usagef("there is no folder %s here: give a folder of results, such as out", resultsFolder)
				}
				dirs = []string{resultsFolder}
			}
			for _, dir := range dirs {
				if err := isFolder(cmd, dir); err != nil {
					return err
				}
			}
			if err := a.writePage(dirs, out); err != nil || !open {
				return err
			}
			return openPage(out)
		},
	}
	cmd.Flags().StringVar(&out, "out", filepath.Join("out", "report.html"), "`file` for the page")
	cmd.Flags().BoolVar(&open, "open", false, "open the page in a browser")
	cmd.AddCommand(a.publishCommand(), a.readmeCommand())
	return cmd
}

// isFolder returns an error if an argument is no folder. It suggests a subcommand that the argument
// may have been meant to be.
func isFolder(cmd *cobra.Command, word string) error {
	info, err := os.Stat(word)
	if err == nil && !info.IsDir() {
		return usagef("%s is a file; report wants folders of results", word)
	}
	if err == nil || !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if near, ok := nearest.Word(word, commandNames(cmd)); ok {
		return usagef("there is no folder %s; did you mean gcml report %s?", word, near)
	}
	return usagef("there is no folder %s", word)
}

func (a *app) writePage(dirs []string, out string) error {
	folders, skipped, err := report.LoadAll(dirs...)
	if err != nil {
		return err
	}
	for _, s := range skipped {
		fmt.Fprintf(a.stderr, "skipped: %v\n", s.Err)
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

// openPage opens a file in the user's browser.
func openPage(path string) error {
	if !hasDisplay() {
		return fmt.Errorf("no display to open the page on (DISPLAY and WAYLAND_DISPLAY are not set); its path is %s", path)
	}
	absolute, err := filepath.Abs(path)
	if err != nil {
		return err
	}
	address := url.URL{Scheme: "file", Path: filepath.ToSlash(absolute)}
	browser.Stdout = os.Stderr // What the browser prints is no output of this command.
	if err := browser.OpenURL(address.String()); err != nil {
		return fmt.Errorf("no browser opens the page (%w); its path is %s", err, path)
	}
	return nil
}

// hasDisplay reports whether a browser has a display. Elsewhere than on macOS and Windows the
// environment names it, except in Windows Subsystem for Linux, which uses that of Windows.
func hasDisplay() bool {
	if runtime.GOOS == "darwin" || runtime.GOOS == "windows" {
		return true
	}
	for _, name := range []string{"DISPLAY", "WAYLAND_DISPLAY", "WSL_DISTRO_NAME"} {
		if os.Getenv(name) != "" {
			return true
		}
	}
	return false
}

func (a *app) publishCommand() *cobra.Command {
	var to string
	var o report.Options
	cmd := &cobra.Command{
		Use:   "publish OUT...",
		Short: "Copy finished results into the repository",
		Long: "publish copies the result, the claims, the records and the figures of output folders to\n" +
			"results/NN-name, or results/NN-name-SCALE at another scale than laptop. It replaces what was\n" +
			"there, except for discussion.md. It does not copy checkpoints and logs, and it refuses results\n" +
			"that nobody could repeat.",
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
				a.remindOfDiscussion(dir)
			}
			return err
		},
	}
	cmd.Flags().StringVar(&to, "to", resultsFolder, "`folder` to publish into")
	cmd.Flags().BoolVar(&o.Smoke, "smoke", false, "accept results of the smoke scale, too")
	cmd.Flags().BoolVar(&o.Force, "force", false, "accept results of code that is in no commit, and of changed settings, too")
	return cmd
}

// remindOfDiscussion says which claims of a published result still lack their discussion, which
// people write.
func (a *app) remindOfDiscussion(dir string) {
	f, err := report.Load(dir)
	if err != nil {
		fmt.Fprintf(a.stderr, "to fix: %v\n", err)
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
		Short: "Update the tables of results in README.md and results/README.md",
		Args:  noArguments,
		RunE: func(*cobra.Command, []string) error {
			folders, skipped, err := report.LoadAll(folder)
			if err != nil {
				return err
			}
			for _, s := range skipped {
				if errors.Is(s.Err, report.ErrUnfinished) {
					return fmt.Errorf("%s has no result; publish it again or remove it", s.Dir)
				}
				fmt.Fprintf(a.stderr, "skipped: %v\n", s.Err)
			}
			changed, err := report.UpdateReadmes(folders, readme, folder)
			for _, path := range changed {
				fmt.Fprintf(a.stdout, "changed: %s\n", path)
			}
			if err == nil && len(changed) == 0 {
				fmt.Fprintln(a.stdout, "the tables are up to date")
			}
			return err
		},
	}
	cmd.Flags().StringVar(&readme, "readme", "README.md", "`file` with the table of experiments")
	cmd.Flags().StringVar(&folder, "results", resultsFolder, "`folder` of published results; its README.md lists them and their claims")
	return cmd
}
