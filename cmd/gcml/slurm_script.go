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

// slurmJob is a sweep to be done by a job array.
type slurmJob struct {
	name        string   // of the job, after "gcml-", and of its script
	dir         string   // the folder that the script goes to
	command     []string // the sweep as this program's arguments, without how it is shared
	workers     int      // processes for each task
	runs, tasks int
	options     []string // of sbatch, as key=value
}

var scriptTemplate = template.Must(template.New("script").Parse(`#!/bin/bash
{{range .Directives}}{{.}}
{{end}}
# {{.Runs}} runs in {{.Tasks}} tasks. Complete runs are not done again; interrupted ones go on from their checkpoint:
# submitting this again does what is missing.
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
	// A line of the script ends at a line break, and in a name with a backslash Slurm replaces no
	// placeholders.
	if strings.ContainsAny(j.dir, "\\\r\n") {
		return nil, usagef("--out: Slurm takes no folder with a backslash or a line break in its path: %q",
			filepath.Dir(j.dir))
	}
	if strings.ContainsAny(work, "\r\n") {
		return nil, usagef("--slurm: Slurm takes no folder with a line break in its path, as the current one has: %q", work)
	}
	// Slurm's placeholders begin with a %, and so a % itself is written twice.
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

// exports are the variables that decide on what and with which data a task runs. A cluster may be
// set to hand none over.
func exports() (lines []string) {
	for _, name := range []string{compute.ConfigEnvVar, backend.PluginPathEnv, backend.PluginDirEnv, datasets.EnvData} {
		if value := os.Getenv(name); value != "" {
			lines = append(lines, name+"="+shellescape.Quote(value))
		}
	}
	return lines
}

// keepProgram copies this program to a folder below dir: when a task begins, it may long have been
// built anew or removed. The folder is named by a hash of its content, so that no other version
// takes its place.
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
