package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"al.essio.dev/pkg/shellescape"

	"github.com/spf13/cobra"

	"github.com/geometric-complexity/toolkit/experiments/runs"
	"github.com/geometric-complexity/toolkit/internal/nearest"
)

// Exit codes. 130 is what shells report for a program that SIGINT ended. A crash that cannot be
// recovered exits with 2 as well, because the Go runtime does so.
const (
	exitFailure     = 1   // a run or another command failed
	exitUsage       = 2   // the command line is wrong
	exitInterrupted = 130 // SIGINT or SIGTERM
)

// usageError reports a wrong command line.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

func usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// resumableError reports an interruption of runs that the command continues when it is given again.
type resumableError struct {
	error
	command string
}

func (e resumableError) Unwrap() error { return e.error }

// interruption is the message of an interrupted command that has no runs to continue.
type interruption string

func (i interruption) Error() string { return string(i) }
func (i interruption) Unwrap() error { return context.Canceled }

func exitCode(err error) int {
	var usage usageError
	var interrupted *runs.InterruptedError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &usage):
		return exitUsage
	case errors.As(err, &interrupted), errors.Is(err, context.Canceled):
		return exitInterrupted
	}
	return exitFailure
}

// hintedError is an error with a line that says how to fix it.
type hintedError struct {
	error
	hint string
}

func (e hintedError) Unwrap() error { return e.error }

// oneLine returns an error's message without line breaks.
func oneLine(err error) string { return strings.Join(strings.Fields(err.Error()), " ") }

// joined joins errors in one line. It leaves out nil and repeated messages.
func joined(errs ...error) error {
	var all error
	seen := make(map[string]bool)
	for _, err := range errs {
		switch {
		case err == nil || seen[err.Error()]:
			continue
		case all == nil:
			all = err
		default:
			all = fmt.Errorf("%w; %w", all, err)
		}
		seen[err.Error()] = true
	}
	return all
}

// app is one execution of the command line.
type app struct {
	args           []string
	stdout, stderr io.Writer
	color          string // the value of --color
	// cancel cancels the context of the command, as SIGINT does.
	cancel context.CancelFunc
	// resume is the command that continues interrupted runs; nil before runs begin.
	resume atomic.Pointer[string]
	// workers are the processes to kill when this one exits; nil if there are none.
	workers atomic.Pointer[workerPool]
	// quiet is set in a worker process: the process that started it reports an interruption.
	quiet atomic.Bool
}

// gracePeriod is how long an interrupted run may take to save its state. If a step or a compilation
// lasts longer, the process exits without, and the run continues from its last checkpoint.
const gracePeriod = 700 * time.Millisecond

// run executes the command line. SIGINT and SIGTERM cancel the context of the command.
func run(args []string, stdout, stderr io.Writer) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("internal error: %v", r)
		}
	}()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	results := &checkedWriter{w: stdout}
	a := &app{args: args, stdout: results, stderr: stderr, cancel: cancel}
	finished := make(chan struct{})
	defer close(finished)
	go a.enforceStop(ctx, finished)
	root := a.root()
	root.SetArgs(args)
	if err := root.ExecuteContext(ctx); err != nil {
		return err
	}
	return results.err
}

// checkedWriter remembers the first error of a writer, so that the command fails if any of its
// output could not be written.
type checkedWriter struct {
	w   io.Writer
	err error
}

func (c *checkedWriter) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	if err != nil && c.err == nil {
		c.err = fmt.Errorf("cannot write the output: %w", err)
	}
	return n, err
}

// enforceStop exits if the command does not end within the grace period after an interruption.
func (a *app) enforceStop(ctx context.Context, finished <-chan struct{}) {
	select {
	case <-finished:
		return
	case <-ctx.Done():
	}
	select {
	case <-finished:
	case <-time.After(gracePeriod):
		if pool := a.workers.Load(); pool != nil {
			pool.kill()
		}
		if !a.quiet.Load() {
			if command := a.resume.Load(); command != nil {
				fmt.Fprintf(a.stderr, "\ngcml: interrupted; the last checkpoint is kept\nto continue: %s\n", *command)
			} else {
				fmt.Fprintln(a.stderr, "\ngcml: interrupted")
			}
		}
		os.Exit(exitInterrupted)
	}
}

// sameCommand returns the command line, quoted for a shell.
func (a *app) sameCommand() string {
	return shellescape.QuoteCommand(append([]string{"gcml"}, a.args...))
}

// resumeCommand returns the command line that continues interrupted work: with the variables that
// select the backend and the data, because other ones would begin other runs.
func (a *app) resumeCommand() string { return withExports(a.sameCommand()) }

// withExports returns a command for a shell with the variables of exports before it.
func withExports(command string) string { return strings.Join(append(exports(), command), " ") }

func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "gcml",
		Short: "Measure, watch and regularize the geometric complexity of networks",
		Long: "gcml measures, watches and regularizes the geometric complexity (GC) of networks,\n" +
			"and runs the experiments of \"Why neural networks find simple solutions: the many\n" +
			"regularizers of geometric complexity\".\n\n" +
			"It computes on the backend that GOMLX_BACKEND names, or else on the fastest one that it finds;\n" +
			"gcml doctor says which.",
		SilenceErrors: true,
		SilenceUsage:  true,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return unknownWord("command", args[0], commandNames(cmd))
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetOut(a.stdout)
	root.SetErr(a.stderr)
	root.SetFlagErrorFunc(flagError)
	root.SetHelpCommand(helpCommand())
	root.SetVersionTemplate("{{.Version}}")
	if info, ok := debug.ReadBuildInfo(); ok {
		root.Version = versionText(info)
	}
	a.wrapFlagUsages(root)
	a.addColor(root)
	addGroup(root, "Experiments", a.demoCommand(), a.listCommand(), a.runCommand(), a.sweepCommand(), a.showCommand(),
		a.reportCommand())
	addGroup(root, "Networks", a.measureCommand(), a.inspectCommand(), a.compareCommand(), a.rankCommand())
	addGroup(root, "This machine", a.doctorCommand(), a.fetchCommand(), a.versionCommand())
	root.AddCommand(a.workerCommand())
	addCompletionCommand(root)
	return root
}

// addGroup adds commands under a title in the help.
func addGroup(root *cobra.Command, title string, commands ...*cobra.Command) {
	root.AddGroup(&cobra.Group{ID: title, Title: title + ":"})
	for _, c := range commands {
		c.GroupID = title
		root.AddCommand(c)
	}
}

func commandNames(cmd *cobra.Command) (names []string) {
	for _, c := range cmd.Commands() {
		if !c.Hidden {
			names = append(names, c.Name())
		}
	}
	return names
}

// unknownWord returns the error for a word that is not one of the known words. It names the nearest
// known word.
func unknownWord(what, got string, known []string) error {
	return usagef("%v", nearest.Unknown(what, got, known))
}

// noArguments requires that there are no arguments.
func noArguments(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usagef("%s takes no argument, but %q was given", cmd.Name(), args[0])
	}
	return nil
}

// asUsage marks the error for an unknown word as a wrong command line.
func asUsage(err error) error {
	var unknown *nearest.UnknownError
	if errors.As(err, &unknown) {
		return usageError{err}
	}
	return err
}
