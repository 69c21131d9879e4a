package doctor

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gomlx/compute"

	"github.com/geometric-complexity/toolkit/backend"
	"github.com/geometric-complexity/toolkit/datasets"
	"github.com/geometric-complexity/toolkit/internal/gctest"
	"github.com/geometric-complexity/toolkit/internal/machine"
)

// isolate gives a test a bare machine: an empty HOME and working directory, no variables, no NVIDIA
// device.
func isolate(t *testing.T) (dir string) {
	t.Helper()
	dir = t.TempDir()
	t.Setenv("HOME", dir)
	for _, name := range []string{compute.ConfigEnvVar, backend.PluginDirEnv, "PJRT_PLUGIN_LIBRARY_PATH",
		"JUPYTER_DATA_DIR", datasets.EnvData} {
		t.Setenv(name, "")
	}
	// The go command would write there, now and then after the test.
	writeFile(t, filepath.Join(dir, ".config/go/telemetry/mode"), "off", 0o644)
	t.Chdir(dir)
	withNVIDIA(t, false)
	return dir
}

func withNVIDIA(t *testing.T, present bool) {
	old := machine.HasNVIDIA
	machine.HasNVIDIA = func() bool { return present }
	t.Cleanup(func() { machine.HasNVIDIA = old })
}

func find(t *testing.T, findings []Finding, subject string) Finding {
	t.Helper()
	for _, f := range findings {
		if f.Subject == subject {
			return f
		}
	}
	t.Fatalf("no finding on %q in %+v", subject, findings)
	return Finding{}
}

func writeFile(t *testing.T, path, content string, mode os.FileMode) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), mode); err != nil {
		t.Fatal(err)
	}
}

func TestBareMachine(t *testing.T) {
	isolate(t)
	if _, found := backend.FindPlugin(backend.KindCPU); found {
		t.Skip("a plugin is installed for the whole system")
	}
	findings := Examine()
	for _, tc := range []struct {
		subject string
		state   State
		fix     string
	}{
		{"backend", OK, ""},
		{"devices", OK, ""},
		{"XLA for the CPU", Absent, "make xla"},
		{"XLA for CUDA", Absent, ""},
		{"data " + datasets.NameFashionMNISTSubset, OK, ""},
		{"notebook kernel", Absent, "make lab"},
	} {
		f := find(t, findings, tc.subject)
		if f.State != tc.state || f.Fix != tc.fix || f.Text == "" {
			t.Errorf("%+v, want state %q and fix %q", f, tc.state, tc.fix)
		}
	}
	if f := find(t, findings, "backend"); !strings.Contains(f.Text, "backend go") {
		t.Errorf("backend: %q", f.Text)
	}
	if f := find(t, findings, "data "+datasets.NameMNIST); f.State != Absent || f.Fix == "" {
		t.Errorf("%+v, want it absent and a way to get it", f)
	}
	simd := find(t, findings, "SIMD")
	if (simd.State == OK) != backend.SIMD || (simd.Fix == "") != backend.SIMD {
		t.Errorf("%+v, with SIMD %v", simd, backend.SIMD)
	}
}

func TestReport(t *testing.T) {
	isolate(t)
	var out bytes.Buffer
	if err := Report(&out, nil); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(out.String(), "\n")
	fix := -1
	for i, line := range lines {
		if line == "to fix it:" {
			fix = i
		}
	}
	if fix < len(Examine()) {
		t.Fatalf("want a line for each finding, and then what to fix:\n%s", out.String())
	}
	if rest := strings.Join(lines[fix:], "\n"); !strings.Contains(rest, "make lab") {
		t.Errorf("want the kernel's command under what to fix:\n%s", out.String())
	}
}

func TestReportIsAnErrorIfThereIsAProblem(t *testing.T) {
	isolate(t)
	t.Setenv(compute.ConfigEnvVar, "abacus")
	var out bytes.Buffer
	err := Report(&out, nil)
	if err == nil || !strings.Contains(err.Error(), "backend") {
		t.Errorf("error = %v, want one that names the backend", err)
	}
	for _, want := range []string{`backend "abacus" is unknown`, "unset GOMLX_BACKEND"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the report does not say %q:\n%s", want, out.String())
		}
	}
}

type brokenWriter struct{}

func (brokenWriter) Write([]byte) (int, error) { return 0, errors.New("disk full") }

func TestReportPassesOnWriteErrors(t *testing.T) {
	isolate(t)
	if err := Report(brokenWriter{}, nil); err == nil || !strings.Contains(err.Error(), "disk full") {
		t.Errorf("error = %v", err)
	}
}

func TestPluginFound(t *testing.T) {
	path, ok := backend.FindPlugin(backend.KindCPU)
	if !ok {
		gctest.WithoutXLA(t)
	}
	dir := isolate(t)
	link := filepath.Join(dir, "libpjrt_cpu.so")
	if err := os.Symlink(path, link); err != nil {
		t.Fatal(err)
	}
	t.Setenv(backend.PluginDirEnv, dir)
	findings := Examine()
	f := find(t, findings, "XLA for the CPU")
	if f.State != OK || !strings.Contains(f.Text, link) || !strings.Contains(f.Text, "PJRT API 0.") {
		t.Errorf("%+v, want %s and its version", f, link)
	}
	if f := find(t, findings, "backend"); !strings.Contains(f.Text, "backend xla") {
		t.Errorf("%+v", f)
	}
}

func TestBrokenPlugin(t *testing.T) {
	dir := isolate(t)
	path := filepath.Join(dir, "libpjrt_cpu.so")
	writeFile(t, path, "no library", 0o644)
	t.Setenv(backend.PluginDirEnv, dir)
	f := find(t, Examine(), "XLA for the CPU")
	if f.State != Problem || f.Fix != "remove "+path+", then make xla" {
		t.Errorf("%+v", f)
	}
}

func TestNVIDIAWithoutPlugin(t *testing.T) {
	isolate(t)
	withNVIDIA(t, true)
	if f := cudaPlugin(); f.State != Absent || f.Fix != "make cuda" {
		t.Errorf("%+v", f)
	}
}

func TestGoCommand(t *testing.T) {
	t.Run("there", func(t *testing.T) {
		if f := goCommand(); f.State != OK || !strings.Contains(f.Text, "go1.") {
			t.Errorf("%+v", f)
		}
	})
	t.Run("not there", func(t *testing.T) {
		t.Setenv("PATH", t.TempDir())
		if f := goCommand(); f.State != Absent || f.Fix == "" {
			t.Errorf("%+v", f)
		}
	})
	t.Run("too old", func(t *testing.T) {
		dir := t.TempDir()
		writeFile(t, filepath.Join(dir, "go"), "#!/bin/sh\necho go.mod requires go 1.27 >&2\nexit 1\n", 0o755)
		t.Setenv("PATH", dir+":/bin:/usr/bin")
		f := goCommand()
		if f.State != Problem || !strings.Contains(f.Text, "requires go 1.27") || f.Fix != "export GOTOOLCHAIN=auto" {
			t.Errorf("%+v", f)
		}
	})
}

func TestDataFolderThatIsNone(t *testing.T) {
	dir := isolate(t)
	t.Setenv(datasets.EnvData, filepath.Join(dir, "nowhere"))
	f := find(t, dataSets(), "data "+datasets.NameMNIST)
	if f.State != Problem || !strings.Contains(f.Fix, datasets.EnvData) {
		t.Errorf("%+v", f)
	}
}

// Files that can be read, but are not the published ones, are no reason to be silent.
func TestDataOfOtherContent(t *testing.T) {
	dir := isolate(t)
	t.Setenv(datasets.EnvData, dir)
	for _, file := range []string{"train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte",
		"t10k-labels-idx1-ubyte"} {
		writeFile(t, filepath.Join(dir, "mnist", file), "other", 0o644)
	}
	f := find(t, dataSets(), "data "+datasets.NameMNIST)
	if f.State != Problem || !strings.Contains(f.Text, "not the published content (t10k-images-idx3-ubyte differs)") ||
		!strings.Contains(f.Fix, "gcml fetch mnist") {
		t.Errorf("%+v", f)
	}
	writeFile(t, filepath.Join(dir, "mnist", "train-labels-idx1-ubyte.gz"), "\x1f\x8bno gzip", 0o644)
	if f := find(t, dataSets(), "data "+datasets.NameMNIST); f.State != Problem || !strings.Contains(f.Text, "gzip") {
		t.Errorf("a damaged file: %+v", f)
	}
}

func TestKernel(t *testing.T) {
	dir := isolate(t)
	spec := filepath.Join(dir, "jupyter", "kernels", "gonb", "kernel.json")
	t.Setenv("JUPYTER_DATA_DIR", filepath.Join(dir, "jupyter"))
	gonb := filepath.Join(dir, "gonb")
	writeFile(t, gonb, "#!/bin/sh\n", 0o755)
	for _, tc := range []struct {
		name, spec string
		want       State
	}{
		{"installed", `{"argv": ["` + gonb + `", "--kernel"]}`, OK},
		{"its program is gone", `{"argv": ["` + gonb + `x"]}`, Problem},
		{"no JSON", `{`, Problem},
		{"no program", `{}`, Problem},
	} {
		t.Run(tc.name, func(t *testing.T) {
			writeFile(t, spec, tc.spec, 0o644)
			if f := kernel(); f.State != tc.want || (f.Fix == "") != (tc.want == OK) {
				t.Errorf("%+v, want %q", f, tc.want)
			}
		})
	}
}
