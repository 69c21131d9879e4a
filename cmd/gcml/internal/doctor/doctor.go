// Package doctor looks at the machine and says what this toolkit would run on, what is missing, and
// for each missing thing the command that mends it.
package doctor

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"text/tabwriter"

	"github.com/gomlx/compute"

	"github.com/geometric-complexity/toolkit/backend"
	"github.com/geometric-complexity/toolkit/datasets"
	"github.com/geometric-complexity/toolkit/internal/platform"
)

// State says how a finding is to be taken.
type State string

// States of a finding.
const (
	OK      State = "ok"      // There, and used where it can be.
	Absent  State = "absent"  // Not there, and not needed; something is slower or not possible without it.
	Problem State = "problem" // Nothing runs, or not as was asked, until it is mended.
)

// Finding is one thing that was looked at.
type Finding struct {
	Subject string // What was looked at, in a word or two.
	State   State
	Text    string // What was found, in one line.
	Fix     string // The command or step that mends it; empty if there is nothing to mend.
}

// Report writes a table of all findings to w, one line for each, and under it what to run to mend
// them. It returns an error if there is a problem, or if w does not take the report. It opens the
// backend, which takes a moment.
func Report(w io.Writer) error {
	findings := Examine()
	if err := write(w, findings); err != nil {
		return err
	}
	var problems []string
	for _, f := range findings {
		if f.State == Problem {
			problems = append(problems, f.Subject)
		}
	}
	if len(problems) > 0 {
		return fmt.Errorf("doctor: to be mended: %s", strings.Join(problems, ", "))
	}
	return nil
}

// Examine looks at everything, in the order of the report.
func Examine() []Finding {
	findings := []Finding{goProgram(), goCommand(), simd()}
	findings = append(findings, openedBackend()...)
	findings = append(findings, cpuPlugin(), cudaPlugin())
	findings = append(findings, dataSets()...)
	return append(findings, kernel())
}

func write(w io.Writer, findings []Finding) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, f := range findings {
		fmt.Fprintf(table, "%s\t%s\t%s\n", f.State, f.Subject, f.Text)
	}
	var fixes []string
	for _, f := range findings {
		if f.Fix != "" {
			fixes = append(fixes, fmt.Sprintf("  %s\t%s\n", f.Subject, f.Fix))
		}
	}
	if len(fixes) > 0 {
		fmt.Fprintf(table, "\nto mend it:\n%s", strings.Join(fixes, ""))
	}
	return table.Flush()
}

func goProgram() Finding {
	text := fmt.Sprintf("built with %s for %s/%s, %d CPUs", runtime.Version(), runtime.GOOS, runtime.GOARCH,
		runtime.NumCPU())
	return Finding{Subject: "program", State: OK, Text: text}
}

// goCommand looks at the go command, which building and the notebooks need; a built program runs
// without.
func goCommand() Finding {
	const subject = "go command"
	out, err := exec.Command("go", "env", "GOVERSION", "GOTOOLCHAIN").Output()
	var failed *exec.ExitError
	switch {
	case errors.As(err, &failed):
		return Finding{subject, Problem, strings.TrimSpace(string(failed.Stderr)), "export GOTOOLCHAIN=auto"}
	case err != nil:
		return Finding{subject, Absent, "not on PATH; building and the notebooks need it",
			"install Go 1.21 or later: https://go.dev/dl"}
	}
	version, toolchain, _ := strings.Cut(strings.TrimSpace(string(out)), "\n")
	return Finding{subject, OK, fmt.Sprintf("%s, GOTOOLCHAIN=%s", version, toolchain), ""}
}

func simd() Finding {
	if backend.SIMD {
		return Finding{"SIMD", OK, "on: the pure Go backend multiplies matrices with vector instructions", ""}
	}
	return Finding{"SIMD", Absent, "off: the pure Go backend is many times slower",
		"build with GOEXPERIMENT=simd, as the Makefile does"}
}

// openedBackend opens the backend that a run would take, and says what devices it shows.
func openedBackend() []Finding {
	b, info, err := backend.Open()
	if err != nil {
		return []Finding{{"backend", Problem, err.Error(),
			fmt.Sprintf("unset %s, or set it to go or xla:cpu", compute.ConfigEnvVar)}}
	}
	defer b.Finalize()
	devices := fmt.Sprintf("%d: %s", b.NumDevices(), b.DeviceDescription(0))
	return []Finding{
		{"backend", OK, info.Why, ""},
		{"devices", OK, devices, ""},
	}
}

func cpuPlugin() Finding { return plugin("XLA for the CPU", backend.KindCPU, "make xla") }

func cudaPlugin() Finding {
	const subject = "XLA for CUDA"
	if !backend.HasNVIDIA() {
		return Finding{subject, Absent, "no NVIDIA device on this machine", ""}
	}
	return plugin(subject, backend.KindCUDA, "make cuda")
}

// plugin looks for a plugin and loads it, as only a loaded one says its version.
func plugin(subject, kind, fix string) Finding {
	path, ok := backend.FindPlugin(kind)
	if !ok {
		return Finding{subject, Absent, "no plugin in " + strings.Join(backend.SearchDirs(), ", "), fix}
	}
	b, info, err := backend.OpenConfig("xla:" + path)
	if err != nil {
		return Finding{subject, Problem, err.Error(), fmt.Sprintf("remove %s, then %s", path, fix)}
	}
	defer b.Finalize()
	detail := fmt.Sprintf("%s, PJRT API %s", path, info.PluginVersion)
	if kind == backend.KindCPU && platform.HasOneDNN() {
		detail += ", convolutions by oneDNN"
	}
	return Finding{subject, OK, detail, ""}
}

func dataSets() []Finding {
	var findings []Finding
	for _, name := range datasets.Names() {
		findings = append(findings, dataSet(name))
	}
	return findings
}

// dataSet looks for a data set, and reads it all to say what it holds.
func dataSet(name string) Finding {
	subject := "data " + name
	source, err := datasets.Locate(name)
	switch {
	case err != nil:
		return Finding{subject, Problem, err.Error(), fmt.Sprintf("unset %s, or correct it", datasets.EnvData)}
	case !source.Found:
		return Finding{subject, Absent, "not found; an experiment that asks for it cannot run", source.Hint}
	case source.Embedded:
		return Finding{subject, OK, "part of the program", ""}
	}
	content, err := datasets.Identify(name)
	fix := fmt.Sprintf("remove %s, then gcml fetch %s", source.Path, name)
	switch {
	case err != nil:
		return Finding{subject, Problem, err.Error(), fix}
	case !content.Published && content.Copy == "":
		return Finding{subject, Problem, source.Path + ": " + content.String(), fix + "; or keep it: runs record its SHA-256"}
	}
	return Finding{subject, OK, source.Path + ": " + content.String(), ""}
}

// kernel looks for the GoNB kernel where `make lab` puts it, and where Jupyter looks for a user's
// own.
func kernel() Finding {
	const subject, fix = "notebook kernel", "make lab"
	var broken string
	for _, dir := range kernelDirs() {
		spec := filepath.Join(dir, "kernels", "gonb", "kernel.json")
		content, err := os.ReadFile(spec)
		if err != nil {
			continue
		}
		var k struct {
			Argv []string `json:"argv"`
		}
		if err := json.Unmarshal(content, &k); err != nil || len(k.Argv) == 0 {
			broken = spec + " cannot be read"
			continue
		}
		if _, err := exec.LookPath(k.Argv[0]); err != nil {
			broken = fmt.Sprintf("%s names %s, which is not there", spec, k.Argv[0])
			continue
		}
		return Finding{subject, OK, spec, ""}
	}
	if broken != "" {
		return Finding{subject, Problem, broken, "remove .venv, then " + fix}
	}
	return Finding{subject, Absent, "GoNB is not installed; only the notebooks need it", fix}
}

func kernelDirs() []string {
	var dirs []string
	if root, ok := backend.RepositoryRoot(); ok {
		dirs = append(dirs, filepath.Join(root, ".venv", "share", "jupyter"))
	}
	if dir := os.Getenv("JUPYTER_DATA_DIR"); dir != "" {
		dirs = append(dirs, dir)
	}
	if home, err := os.UserHomeDir(); err == nil {
		dirs = append(dirs, filepath.Join(home, ".local", "share", "jupyter"))
	}
	return dirs
}
