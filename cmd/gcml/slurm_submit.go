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

// sbatchTimeout is how long sbatch may take. A controller under load answers after half a minute;
// Slurm's own commands give up after less than that.
const sbatchTimeout = 2 * time.Minute

// noAnswer is the content of a job file from before sbatch is called until it has answered.
const noAnswer = "submitted without an answer"

var jobNumber = regexp.MustCompile(`^[0-9]+$`)

// submit writes the script of a job array and submits it. A file beside the script has the job's
// number, or that sbatch did not answer, so that the sweep is not in the queue twice.
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
	decide := append(append([]string{"gcml"}, job.command...), "--decide")
	fmt.Fprintf(a.stdout, "submitted as job %s, which writes %s\nto see what is missing, and the claims: %s\n",
		number, filepath.Join(filepath.Dir(script), number+"_*.log"), shellescape.QuoteCommand(decide))
	return nil
}

// notQueued refuses to submit a script that is in the queue, and one that may be.
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
			return fmt.Errorf("the last sbatch of %s did not say whether it queued it, and squeue does not answer (%w); "+
				"if it is not in the queue, remove %s", script, err, file)
		}
		return nil // Slurm took that one, and the tasks of two jobs do no run twice.
	}
	if queued := jobsOf(string(queue), script); len(queued) > 0 {
		return fmt.Errorf("%s is in the queue already, as job %s; to submit it anew: scancel %s",
			script, strings.Join(queued, ", "), strings.Join(queued, " "))
	}
	return nil
}

// jobsOf are the numbers of the jobs that run a script, in what squeue prints of all.
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
		return "", fmt.Errorf("sbatch is not on the PATH; where it is: %s",
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
		return fmt.Errorf("%s: look with squeue whether %s is in the queue before you submit it again", what, script)
	}
	switch {
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return "", uncertain(fmt.Sprintf("sbatch did not answer within %s", sbatchTimeout))
	case ctx.Err() != nil:
		return "", interruption(uncertain("interrupted while sbatch was at work").Error())
	case err != nil && strings.Contains(messages.String(), "timed out"):
		// The controller may have taken the job and answered too late.
		return "", uncertain("sbatch gave up waiting for Slurm's controller")
	case err != nil:
		return "", joined(fmt.Errorf("sbatch does not take %s: %w", script, err), restore(file, before))
	}
	number, _, _ := strings.Cut(strings.TrimSpace(string(answer)), ";") // the cluster's name may follow
	if !jobNumber.MatchString(number) {
		said := strings.TrimSpace(string(answer))
		return "", uncertain(fmt.Sprintf("sbatch answered %q, which is not the number of a job", said))
	}
	return number, atomicfile.Write(file, []byte(number+"\n"))
}

// restore gives a file its content again, and removes it if there was none.
func restore(file string, content []byte) error {
	if content == nil {
		return os.Remove(file)
	}
	return atomicfile.Write(file, content)
}
