package main

import (
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/spf13/cobra"

	"example.com/geometric-complexity/internal/shell"
)

// slurmOptions are the flags of a sweep by a Slurm job array.
type slurmOptions struct {
	array  bool
	tasks  int
	sbatch []string
	dryRun bool
}

// slurmOnly are the flags that mean nothing without --slurm.
var slurmOnly = []string{"tasks", "sbatch", "dry-run"}

func (o *slurmOptions) addTo(cmd *cobra.Command) {
	f := cmd.Flags()
	f.BoolVar(&o.array, "slurm", false, "write a script for a Slurm job array into the output folder, and submit it")
	f.IntVar(&o.tasks, "tasks", 0, "`number` of the array's tasks (default: one for each run, at most 1000)")
	f.StringArrayVar(&o.sbatch, "sbatch", nil, "`option` of sbatch, as partition=gpu; may be given again")
	f.BoolVar(&o.dryRun, "dry-run", false, "with --slurm: write the script, and say how to submit it")
}

// maxTasks is below the largest job array of Slurm's default configuration.
const maxTasks = 1000

func (o *slurmOptions) check(cmd *cobra.Command) error {
	changed := cmd.Flags().Changed
	if !o.array {
		for _, name := range slurmOnly {
			if changed(name) {
				return usagef("--%s goes with --slurm", name)
			}
		}
		return nil
	}
	for _, name := range []string{"shard", "decide"} {
		if changed(name) {
			return usagef("--%s does not go with --slurm", name)
		}
	}
	if changed("tasks") && o.tasks < 1 {
		return usagef("--tasks %d: at least 1 task is needed", o.tasks)
	}
	for _, option := range o.sbatch {
		if _, err := directive(option); err != nil {
			return usageError{err}
		}
	}
	return nil
}

var sbatchOption = regexp.MustCompile(`^[a-z][a-z0-9-]*$`)

// directive is the script's line for an option of sbatch, key or key=value.
func directive(option string) (string, error) {
	key, value, hasValue := strings.Cut(option, "=")
	switch {
	case !sbatchOption.MatchString(key) || strings.ContainsAny(value, "\r\n"):
		return "", fmt.Errorf("--sbatch %q is not key=value, such as partition=gpu", option)
	case key == "array":
		return "", errors.New("--sbatch array: --tasks says how many tasks the array has")
	}
	return sbatchLine(key, value, hasValue), nil
}

func sbatchLine(key, value string, hasValue bool) string {
	if !hasValue {
		return "#SBATCH --" + key
	}
	return fmt.Sprintf(`#SBATCH --%s="%s"`, key, strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(value))
}

// submit writes the script of a job array and submits it.
func (a *app) submit(cmd *cobra.Command, job *slurmJob, dryRun bool) error {
	script, err := job.write()
	if err != nil {
		return err
	}
	fmt.Fprintf(a.stdout, "%d tasks for %d runs: %s\n", job.tasks, job.runs, script)
	if dryRun {
		fmt.Fprintf(a.stdout, "to submit it: %s\n", shell.Join("sbatch", script))
		return nil
	}
	sbatch := exec.CommandContext(cmd.Context(), "sbatch", "--parsable", script)
	sbatch.Stderr = a.stderr
	id, err := sbatch.Output()
	if errors.Is(err, exec.ErrNotFound) {
		return fmt.Errorf("sbatch is not on the PATH; where it is: %s", shell.Join("sbatch", script))
	}
	if err != nil {
		return fmt.Errorf("sbatch does not take %s: %w", script, err)
	}
	number, _, _ := strings.Cut(strings.TrimSpace(string(id)), ";") // the cluster's name may follow
	decide := append(append([]string{"gcml"}, job.command...), "--decide")
	fmt.Fprintf(a.stdout, "submitted as job %s, which writes %s\nto see what is missing, and the claims: %s\n",
		number, filepath.Join(filepath.Dir(script), number+"_*.log"), shell.Join(decide...))
	return nil
}
