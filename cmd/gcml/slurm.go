package main

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/spf13/cobra"
)

// slurmOptions are the flags for a sweep as a Slurm job array.
type slurmOptions struct {
	array  bool
	tasks  int
	sbatch []string
	dryRun bool
}

// slurmOnly are the flags that apply only with --slurm.
var slurmOnly = []string{"tasks", "sbatch", "dry-run"}

func (o *slurmOptions) addTo(cmd *cobra.Command) {
	f := cmd.Flags()
	f.BoolVar(&o.array, "slurm", false, "write a script for a Slurm job array into the output folder, and submit it")
	f.IntVar(&o.tasks, "tasks", 0, "`number` of tasks of the job array (default: one for each run, at most 1000)")
	f.StringArrayVar(&o.sbatch, "sbatch", nil, "`option` of sbatch, such as partition=gpu; may be repeated")
	f.BoolVar(&o.dryRun, "dry-run", false, "with --slurm: write the script and do not submit it")
}

// maxTasks is less than the largest job array in Slurm's default configuration.
const maxTasks = 1000

func (o *slurmOptions) check(cmd *cobra.Command) error {
	changed := cmd.Flags().Changed
	if !o.array {
		for _, name := range slurmOnly {
			if changed(name) {
				return usagef("--%s applies only with --slurm", name)
			}
		}
		return nil
	}
	for _, name := range []string{"shard", "decide"} {
		if changed(name) {
			return usagef("--%s does not apply with --slurm", name)
		}
	}
	if changed("tasks") && o.tasks < 1 {
		return usagef("--tasks is %d, want 1 or more", o.tasks)
	}
	for _, option := range o.sbatch {
		if _, err := directive(option); err != nil {
			return usageError{err}
		}
	}
	return nil
}

var sbatchOption = regexp.MustCompile(`^[a-z][a-z0-9-]*$`)

// directive returns the line of the script for an option of sbatch, key or key=value.
func directive(option string) (string, error) {
	key, value, hasValue := strings.Cut(option, "=")
	switch {
	case !sbatchOption.MatchString(key) || strings.ContainsAny(value, "\r\n"):
		return "", fmt.Errorf("--sbatch %q is not key=value, such as partition=gpu", option)
	case key == "array":
		return "", errors.New("--sbatch array: give the number of tasks by --tasks instead")
	}
	return sbatchLine(key, value, hasValue), nil
}

func sbatchLine(key, value string, hasValue bool) string {
	if !hasValue {
		return "#SBATCH --" + key
	}
	return fmt.Sprintf(`#SBATCH --%s="%s"`, key, strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(value))
}
