package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"al.essio.dev/pkg/shellescape"

	"github.com/spf13/cobra"

	"github.com/geometric-complexity/toolkit/internal/atomicfile"
)

// sbatchTimeout limits the time of sbatch. A controller under load takes up to half a minute, and
// sbatch itself gives up before this timeout.
const sbatchTimeout = 2 * time.Minute

// noAnswer is the content of a job file from the call of sbatch until its answer.
const noAnswer = "submitted without an answer"

var jobNumber = regexp.MustCompile(`^[0-9]+$`)

// submit writes the script of a job array and submits it. A job file next to the script records the
// job's number, or that sbatch did not answer, so that the same sweep is not submitted twice.
func (a *app) submit(cmd *cobra.Command, job *slurmJob, dryRun bool) error {
	script, err := job.write()
	if err != nil {
		return err
	}
	fmt.Fprintf(a.stdout, "%d tasks for %d runs: %s\n", job.tasks, job.runs, script)
	if dryRun {
		fmt.Fprintf(a.stdout, "to submit it: %s\n", shellescape.QuoteCommand([]string{"sbatch", script}))
		return nil
	}
	file := strings.TrimSuffix(script, ".sh") + ".job"
	if err := notQueued(cmd.Context(), script, file); err != nil {
		return err
	}
	number, err := a.sbatch(cmd.Context(), script, file)
	if err != nil {
		return err
	}
	isKept := func(word string) bool { return word == "--"+keepFlag } // --decide refuses it.
	decide := append(append([]string{"gcml"}, slices.DeleteFunc(slices.Clone(job.command), isKept)...), "--decide")
	fmt.Fprintf(a.stdout, "submitted as job %s, with logs in %s\nto see what is missing, and the claims: %s\n",
		number, filepath.Join(filepath.Dir(script), number+"_*.log"), withExports(shellescape.QuoteCommand(decide)))
	return nil
}

// notQueued returns an error if a script is in the queue, or may be.
func notQueued(ctx context.Context, script, file string) error {
	content, err := os.ReadFile(file)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, sbatchTimeout)
	defer cancel()
	squeue := exec.CommandContext(ctx, "squeue", "--noheader", "--format=%F %o")
	squeue.WaitDelay = time.Second
	queue, err := squeue.Output()
	if err != nil {
		if strings.TrimSpace(string(content)) == noAnswer {
			return fmt.Errorf("%s may be in the queue: the last sbatch did not say, and squeue fails (%w); "+
				"if it is not, remove %s", script, err, file)
		}
		return nil // The job file has a number. Even if that job is queued, locks keep runs from being done twice.
	}
	if queued := jobsOf(string(queue), script); len(queued) > 0 {
		return fmt.Errorf("%s is in the queue already, as job %s; to submit it again, first: scancel %s",
			script, strings.Join(queued, ", "), strings.Join(queued, " "))
	}
	return nil
}

// jobsOf returns the numbers of the jobs that run a script, from squeue's list of all jobs.
func jobsOf(queue, script string) (numbers []string) {
	for line := range strings.Lines(queue) {
		number, command, _ := strings.Cut(strings.TrimSpace(line), " ")
		if command == script && !slices.Contains(numbers, number) {
			numbers = append(numbers, number)
		}
	}
	return numbers
}

// sbatch submits a script and returns the job's number.
func (a *app) sbatch(ctx context.Context, script, file string) (string, error) {
	if _, err := exec.LookPath("sbatch"); err != nil {
		return "", fmt.Errorf("sbatch is not on the PATH; submit the script on a machine that has it: %s",
			shellescape.QuoteCommand([]string{"sbatch", script}))
	}
	before, err := os.ReadFile(file)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return "", err
	}
	if err := atomicfile.Write(file, []byte(noAnswer+"\n")); err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(ctx, sbatchTimeout)
	defer cancel()
	var messages bytes.Buffer
	sbatch := exec.CommandContext(ctx, "sbatch", "--parsable", script)
	sbatch.Stderr = io.MultiWriter(a.stderr, &messages)
	sbatch.WaitDelay = time.Second
	answer, err := sbatch.Output()
	uncertain := func(what string) error {
		return fmt.Errorf("%s: check with squeue whether %s is in the queue before you submit it again", what, script)
	}
	switch {
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return "", uncertain(fmt.Sprintf("sbatch did not answer within %s", sbatchTimeout))
	case ctx.Err() != nil:
		return "", interruption(uncertain("interrupted before sbatch answered").Error())
	case err != nil && strings.Contains(messages.String(), "timed out"):
		// The controller may have queued the job and answered too late.
		return "", uncertain("sbatch gave up waiting for Slurm's controller")
	case err != nil:
		return "", joined(fmt.Errorf("sbatch rejected %s: %w", script, err), restore(file, before))
	}
	number, _, _ := strings.Cut(strings.TrimSpace(string(answer)), ";") // the cluster's name may follow
	if !jobNumber.MatchString(number) {
		said := strings.TrimSpace(string(answer))
		return "", uncertain(fmt.Sprintf("sbatch answered %q, which is not the number of a job", said))
	}
	return number, atomicfile.Write(file, []byte(number+"\n"))
}

// restore writes the content that a file had before, or removes the file if content is nil.
func restore(file string, content []byte) error {
	if content == nil {
		return os.Remove(file)
	}
	return atomicfile.Write(file, content)
}
