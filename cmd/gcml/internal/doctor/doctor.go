// Package doctor checks what a machine offers to this toolkit: the backend that runs would use,
// what is missing, and the command that fixes each problem.
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
	"github.com/geometric-complexity/toolkit/internal/machine"
	"github.com/geometric-complexity/toolkit/internal/platform"
	"github.com/geometric-complexity/toolkit/internal/repository"
)

// State is the result of a check.
type State string

const (
	OK      State = "ok"      // present and usable
	Absent  State = "absent"  // not present; most commands work without it
	Problem State = "problem" // runs fail, or do something else than asked, until it is fixed
)

// Finding is the result of one check, with its reason.
type Finding struct {
	Subject string // what was checked, in a word or two
	State   State
	Text    string // what was found, in one line
	Fix     string // the command or step that fixes it; empty if there is nothing to fix
}

// Report writes a table with a line for each finding to w, and below it the commands that fix
// problems. paint returns the text of a state as a terminal shows it; nil leaves it as it is.
// Report returns an error if there is a problem, or if writing fails. It opens the backend, which
// takes about a second.
func Report(w io.Writer, paint func(s State, text string) string) error {
	findings := Examine()
	if err := write(w, findings, paint); err != nil {
		return err
	}
	var problems []string
	for _, f := range findings {
		if f.State == Problem {
			problems = append(problems, f.Subject)
		}
	}
	if len(problems) > 0 {
		return fmt.Errorf("doctor found problems: %s", strings.Join(problems, ", "))
	}
	return nil
}

// Examine does all checks, in the order of the report.
func Examine() []Finding {
	findings := []Finding{goProgram(), goCommand(), simd()}
	findings = append(findings, openedBackend()...)
	findings = append(findings, cpuPlugin(), cudaPlugin())
	findings = append(findings, dataSets()...)
	return append(findings, kernel())
}

func write(w io.Writer, findings []Finding, paint func(s State, text string) string) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, f := range findings {
		// Padded here, because the tab writer would count the characters that colour a state.
		state := fmt.Sprintf("%-*s", len(Problem)+2, f.State)
		if paint != nil {
			state = paint(f.State, state)
		}
		fmt.Fprintf(table, "%s%s\t%s\n", state, f.Subject, f.Text)
	}
	var fixes []string
	for _, f := range findings {
		if f.Fix != "" {
			fixes = append(fixes, fmt.Sprintf("  %s\t%s\n", f.Subject, f.Fix))
		}
	}
	if len(fixes) > 0 {
		fmt.Fprintf(table, "\nto fix it:\n%s", strings.Join(fixes, ""))
	}
	return table.Flush()
}

func goProgram() Finding {
	text := fmt.Sprintf("built with %s for %s/%s, %d CPUs", runtime.Version(), runtime.GOOS, runtime.GOARCH,
		runtime.NumCPU())
	return Finding{Subject: "program", State: OK, Text: text}
}

// goCommand checks the go command. A program that is built already does not need it.
func goCommand() Finding {
	const subject = "go command"
	out, err := exec.Command("go", "env", "GOVERSION", "GOTOOLCHAIN").Output()
	var failed *exec.ExitError
	switch {
	case errors.As(err, &failed):
		return Finding{subject, Problem, strings.TrimSpace(string(failed.Stderr)), "export GOTOOLCHAIN=auto"}
	case err != nil:
		return Finding{subject, Absent, "not on PATH; builds and notebooks need it",
			"install Go 1.21 or later: https://go.dev/dl"}
	}
	version, toolchain, _ := strings.Cut(strings.TrimSpace(string(out)), "\n")
	return Finding{subject, OK, fmt.Sprintf("%s, GOTOOLCHAIN=%s", version, toolchain), ""}
}

func simd() Finding {
	if backend.SIMD {
		return Finding{"SIMD", OK, "on: the pure Go backend uses vector instructions", ""}
	}
	return Finding{"SIMD", Absent, "off: the pure Go backend is many times slower without it",
		"build with GOEXPERIMENT=simd, as the Makefile does"}
}

// openedBackend opens the backend that a run would use, and lists its devices.
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
	if !machine.HasNVIDIA() {
		return Finding{subject, Absent, "no NVIDIA device on this machine", ""}
	}
	return plugin(subject, backend.KindCUDA, "make cuda")
}

// plugin finds a plugin and loads it, because only a loaded plugin tells its version.
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

// dataSet finds a data set and reads all its files, to identify its content.
func dataSet(name string) Finding {
	subject := "data " + name
	source, err := datasets.Locate(name)
	switch {
	case err != nil:
		return Finding{subject, Problem, err.Error(), fmt.Sprintf("unset %s, or set it to a folder", datasets.EnvData)}
	case !source.Found:
		return Finding{subject, Absent, "not found; experiments that use it cannot run", source.Hint}
	case source.Embedded:
		return Finding{subject, OK, "embedded in the program", ""}
	}
	content, err := datasets.Identify(name)
	fix := fmt.Sprintf("remove %s, then run gcml fetch %s", source.Path, name)
	switch {
	case err != nil:
		return Finding{subject, Problem, err.Error(), fix}
	case !content.Published && content.Copy == "":
		fix += "; or keep it, since runs record its SHA-256"
		return Finding{subject, Problem, source.Path + ": " + content.String(), fix}
	}
	return Finding{subject, OK, source.Path + ": " + content.String(), ""}
}

// kernel finds the GoNB kernel in the folder of `make lab`, or where Jupyter looks for a user's
// kernels.
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
			broken = fmt.Sprintf("%s names %s, which does not exist", spec, k.Argv[0])
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
	if root, ok := repository.Root(); ok {
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
