package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"al.essio.dev/pkg/shellescape"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/geometric-complexity/toolkit/experiments/runs"
	"github.com/geometric-complexity/toolkit/internal/nearest"
)

// Exit codes: 1 for a run that failed, 2 for a command line that is wrong, and 130, as shells have
// it for SIGINT, for an interrupted run. A crash that nothing can recover ends with 2 as well,
// which is Go's choice.
const (
	exitFailure     = 1
	exitUsage       = 2
	exitInterrupted = 130
)

// usageError is a command line that is wrong.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

func usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// resumableError is an interruption of a run that the command goes on with.
type resumableError struct {
	error
	command string
}

func (e resumableError) Unwrap() error { return e.error }

// interruption says what an interrupted command leaves that, other than runs, cannot go on.
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

// oneLine is an error's message without line breaks.
func oneLine(err error) string { return strings.Join(strings.Fields(err.Error()), " ") }

// joined is several errors in one line, without those that are nil or say what another says.
func joined(errs ...error) error {
	var all error
	said := make(map[string]bool)
	for _, err := range errs {
		switch {
		case err == nil || said[err.Error()]:
			continue
		case all == nil:
			all = err
		default:
			all = fmt.Errorf("%w; %w", all, err)
		}
		said[err.Error()] = true
	}
	return all
}

// app is one call of the command.
type app struct {
	args           []string
	stdout, stderr io.Writer
	// cancel stops what is at work, as SIGINT does.
	cancel context.CancelFunc
	// resume is the command that goes on with an interrupted run; nil before the run begins.
	resume atomic.Pointer[string]
	// workers are the processes that end with this one; nil if there are none.
	workers atomic.Pointer[workerPool]
	// quiet processes leave it to another to say that they were interrupted.
	quiet atomic.Bool
}

// gracePeriod is how long an interrupted run may take to save its state. A step or a compilation
// may last longer than that; then the last checkpoint, which is always a whole one, is what a
// resumed run starts from.
const gracePeriod = 700 * time.Millisecond

// run executes the command line. SIGINT and SIGTERM cancel what is at work.
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
	root.SetOut(results)
	root.SetErr(stderr)
	if err := root.ExecuteContext(ctx); err != nil {
		return err
	}
	return results.err
}

// checkedWriter remembers the first error of a writer, so that results that could not be written
// are an error of the command wherever they were written.
type checkedWriter struct {
	w   io.Writer
	err error
}

func (c *checkedWriter) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	if err != nil && c.err == nil {
		c.err = fmt.Errorf("results cannot be written: %w", err)
	}
	return n, err
}

// enforceStop ends the process if the work goes on after an interruption.
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
				fmt.Fprintf(a.stderr, "\ngcml: interrupted; the last checkpoint is kept\nto go on: %s\n", *command)
			} else {
				fmt.Fprintln(a.stderr, "\ngcml: interrupted")
			}
		}
		os.Exit(exitInterrupted)
	}
}

// sameCommand is the command line as a shell takes it.
func (a *app) sameCommand() string {
	return shellescape.QuoteCommand(append([]string{"gcml"}, a.args...))
}

func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "gcml",
		Short: "Measure, watch and regularize the geometric complexity of networks",
		Long: "gcml measures, watches and regularizes the geometric complexity (GC) of networks,\n" +
			"and runs the experiments of \"Why neural networks find simple solutions: the many\n" +
			"regularizers of geometric complexity\".\n\n" +
			"The backend is that of GOMLX_BACKEND, or the fastest that is found; see gcml doctor.",
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
	root.CompletionOptions.DisableDefaultCmd = true
	root.SetFlagErrorFunc(flagError)
	root.AddCommand(a.demoCommand(), a.listCommand(), a.runCommand(), a.sweepCommand(), a.measureCommand(),
		a.reportCommand(),
		a.fetchCommand(), a.doctorCommand(), a.versionCommand(), a.workerCommand())
	return root
}

func commandNames(cmd *cobra.Command) (names []string) {
	for _, c := range cmd.Commands() {
		if !c.Hidden {
			names = append(names, c.Name())
		}
	}
	return names
}

// unknownWord says which word was not known, and the one it may have been.
func unknownWord(what, got string, known []string) error {
	return usagef("%v", nearest.Unknown(what, got, known))
}

// flagError puts pflag's errors into one line, with the nearest right flag.
func flagError(cmd *cobra.Command, err error) error {
	var missing *pflag.NotExistError
	var invalid *pflag.InvalidValueError
	switch {
	case errors.As(err, &missing):
		var known []string
		cmd.Flags().VisitAll(func(f *pflag.Flag) { known = append(known, "--"+f.Name) })
		got := "--" + missing.GetSpecifiedName()
		if short := missing.GetSpecifiedShortnames(); short != "" {
			got = "-" + short
		}
		return unknownWord("flag", got, known)
	case errors.As(err, &invalid):
		return usagef("--%s: %q is not %s", invalid.GetFlag().Name, invalid.GetValue(),
			valueKind(invalid.GetFlag().Value.Type()))
	}
	return usageError{err}
}

func valueKind(pflagType string) string {
	switch pflagType {
	case "int64Slice":
		return "a list of whole numbers, such as 0,1,2"
	case "int", "int64":
		return "a whole number"
	case "float64":
		return "a number"
	case "bool":
		return "true or false"
	}
	return "a " + pflagType
}

// noArguments rejects words after a command that takes none.
func noArguments(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usagef("%s takes no argument, but %q was given", cmd.Name(), args[0])
	}
	return nil
}

// asUsage marks errors that come of what the user wrote.
func asUsage(err error) error {
	var unknown *nearest.UnknownError
	if errors.As(err, &unknown) {
		return usageError{err}
	}
	return err
}
