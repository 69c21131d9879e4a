package main

import (
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"text/template"

	"al.essio.dev/pkg/shellescape"

	"github.com/gomlx/compute"

	"github.com/geometric-complexity/toolkit/backend"
	"github.com/geometric-complexity/toolkit/datasets"
	"github.com/geometric-complexity/toolkit/internal/atomicfile"
)

// slurmJob is a sweep as a Slurm job array.
type slurmJob struct {
	name        string   // of the script; the job's name is "gcml-" and this
	dir         string   // the folder of the script
	command     []string // the sweep's arguments, without --shard and --workers
	workers     int      // worker processes of each task
	runs, tasks int
	options     []string // of sbatch, as key=value
}

var scriptTemplate = template.Must(template.New("script").Parse(`#!/bin/bash
{{range .Directives}}{{.}}
{{end}}
# {{.Runs}} runs in {{.Tasks}} tasks. Submit this script again to do what is missing:
# complete runs are not repeated, and interrupted ones continue from their last checkpoint.
{{range .Exports}}export {{.}}
{{end}}exec {{.Command}} --shard "$SLURM_ARRAY_TASK_ID/{{.Tasks}}"
`))

// write writes the script and a copy of this program, and returns the script's path.
func (j *slurmJob) write() (string, error) {
	directives, err := j.directives()
	if err != nil {
		return "", err
	}
	program, err := keepProgram(j.dir)
	if err != nil {
		return "", err
	}
	command := append(append([]string{program}, j.command...), "--workers", fmt.Sprint(j.workers), "--progress", "lines")
	var text strings.Builder
	if err := scriptTemplate.Execute(&text, map[string]any{"Directives": directives, "Runs": j.runs, "Tasks": j.tasks,
		"Exports": exports(), "Command": shellescape.QuoteCommand(command)}); err != nil {
		return "", err
	}
	path := filepath.Join(j.dir, j.name+".sh")
	return path, atomicfile.Write(path, []byte(text.String()))
}

func (j *slurmJob) directives() ([]string, error) {
	work, err := os.Getwd()
	if err != nil {
		return nil, err
	}
	// A line break would end the script's line, and Slurm replaces no placeholders in a path with a
	// backslash.
	if strings.ContainsAny(j.dir, "\\\r\n") {
		return nil, usagef("--out: Slurm accepts no path with a backslash or a line break: %q", filepath.Dir(j.dir))
	}
	if strings.ContainsAny(work, "\r\n") {
		return nil, usagef("--slurm: Slurm accepts no path with a line break, as the current folder has: %q", work)
	}
	// Slurm's placeholders begin with %, so a % in the path is doubled.
	logs := filepath.Join(strings.ReplaceAll(j.dir, "%", "%%"), "%A_%a.log")
	lines := []string{
		sbatchLine("job-name", "gcml-"+j.name, true),
		sbatchLine("array", fmt.Sprintf("0-%d", j.tasks-1), true),
		sbatchLine("output", logs, true),
		sbatchLine("chdir", work, true),
		sbatchLine("open-mode", "append", true),
		sbatchLine("requeue", "", false),
	}
	for _, option := range j.options {
		line, err := directive(option)
		if err != nil {
			return nil, err
		}
		lines = append(lines, line)
	}
	return lines, nil
}

// exports returns the environment variables that select the backend and the data of a task, as
// assignments. They are in the script because a cluster may be configured to pass no environment
// on.
func exports() (lines []string) {
	for _, name := range []string{compute.ConfigEnvVar, backend.PluginPathEnv, backend.PluginDirEnv, datasets.EnvData} {
		if value := os.Getenv(name); value != "" {
			lines = append(lines, name+"="+shellescape.Quote(value))
		}
	}
	return lines
}

// keepProgram copies this program into a folder within dir and returns the path of the copy,
// because the program may have been rebuilt or removed before a task starts. The folder's name is a
// hash of the program, so that another version does not replace the copy.
func keepProgram(dir string) (string, error) {
	running, err := os.Executable()
	if err != nil {
		return "", err
	}
	content, err := os.ReadFile(running)
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, fmt.Sprintf("%x", sha256.Sum256(content))[:12], "gcml")
	if _, err := os.Stat(path); err != nil {
		if err := atomicfile.Write(path, content); err != nil {
			return "", err
		}
	}
	return path, os.Chmod(path, 0o755)
}
