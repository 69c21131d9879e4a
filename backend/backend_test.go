package backend

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/gomlx/compute"

	"github.com/geometric-complexity/toolkit/internal/machine"
)

// isolate hides all plugins from a test: it sets an empty HOME, unsets the variables, and changes
// to a new working directory.
func isolate(t *testing.T) (dir string) {
	t.Helper()
	dir = t.TempDir()
	t.Setenv("HOME", dir)
	t.Setenv(PluginDirEnv, "")
	t.Setenv(PluginPathEnv, "")
	t.Setenv(compute.ConfigEnvVar, "")
	t.Chdir(dir)
	withNVIDIA(t, false)
	if _, found := FindPlugin(KindCPU); found {
		t.Skip("a plugin is installed for the whole system")
	}
	return dir
}

func withNVIDIA(t *testing.T, present bool) {
	old := machine.HasNVIDIA
	machine.HasNVIDIA = func() bool { return present }
	t.Cleanup(func() { machine.HasNVIDIA = old })
}

// realPlugin returns the CPU plugin of this checkout. Call it before isolate.
func realPlugin(t *testing.T) string {
	t.Helper()
	path, ok := FindPlugin(KindCPU)
	if !ok || !xlaBuiltIn {
		withoutXLA(t, "no XLA plugin was found; install one with: make xla")
	}
	return path
}

// withoutXLA ends a test that needs XLA: it skips the test, or fails it if XLA is required, as
// package gctest does.
func withoutXLA(t *testing.T, why string) {
	t.Helper()
	if os.Getenv("GCML_REQUIRE_XLA") != "" {
		t.Fatal(why)
	}
	t.Skip(why)
}

// linkLibC puts a library that is not a plugin into a folder.
func linkLibC(t *testing.T, dir string) {
	t.Helper()
	for _, lib := range []string{"/lib/x86_64-linux-gnu/libc.so.6", "/lib64/libc.so.6",
		"/lib/aarch64-linux-gnu/libc.so.6"} {
		if _, err := os.Stat(lib); err == nil {
			if err := os.Symlink(lib, filepath.Join(dir, "libc.so.6")); err != nil {
				t.Fatal(err)
			}
			return
		}
	}
	t.Skip("no libc.so.6 found to try")
}

func touch(t *testing.T, path string) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte("not a library"), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestOpenChoosesGoWithoutPlugin(t *testing.T) {
	isolate(t)
	b, info, err := Open()
	if err != nil {
		t.Fatal(err)
	}
	defer b.Finalize()
	if info.Name != "go" || info.Config != "go:"+goOptions("") || info.PluginPath != "" || info.NumDevices < 1 {
		t.Errorf("info = %+v", info)
	}
	for _, want := range []string{"backend go", "no XLA plugin was found", "make xla"} {
		if xlaBuiltIn && !strings.Contains(info.Why, want) {
			t.Errorf("Why = %q, want it to say %q", info.Why, want)
		}
	}
	if strings.Contains(info.Why, "\n") {
		t.Errorf("Why has more than one line: %q", info.Why)
	}
}

// TestGoOptions checks that the default leaves workers for the parts of an operation, and that what
// a user says stands.
func TestGoOptions(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(2))
	for options, want := range map[string]string{
		"":                   "num_executors=2",
		"dependency_order":   "dependency_order,num_executors=2",
		"num_executors=7":    "num_executors=7",
		"parallelism=3":      "parallelism=3",
		"ops_sequential":     "ops_sequential",
		"ops_parallel":       "ops_parallel,num_executors=2",
		"no_ops,parallelism": "no_ops,parallelism",
	} {
		if got := goOptions(options); got != want {
			t.Errorf("%q became %q, want %q", options, got, want)
		}
	}
	runtime.GOMAXPROCS(64)
	if got := goOptions(""); got != "num_executors=8" {
		t.Errorf("64 processors: %q, want GoMLX's own 8", got)
	}
}

func TestOpenChoosesXLAWherePluginIs(t *testing.T) {
	plugin := realPlugin(t)
	dir := isolate(t)
	link := filepath.Join(dir, projectDir, "pjrt_c_api_cpu_plugin.so")
	if err := os.MkdirAll(filepath.Dir(link), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(plugin, link); err != nil {
		t.Fatal(err)
	}
	b, info, err := Open()
	if err != nil {
		t.Fatal(err)
	}
	defer b.Finalize()
	if info.Name != "xla" || info.Device != KindCPU || info.PluginPath != link || info.PluginVersion == "" {
		t.Errorf("info = %+v, want xla on cpu from %s with a version", info, link)
	}
	if info.NumDevices != 1 && len(flagsFor(plugin)) > 0 { // The pinned plugin knows the option for it.
		t.Errorf("%d devices, want the CPU as one", info.NumDevices)
	}
	// If go-xla recognizes a CPU plugin it shares buffers with the host, which saves a copy for
	// each transfer. It must do so for a plugin that is opened by its path too.
	if !b.HasSharedBuffers() {
		t.Error("the CPU plugin does not share its buffers")
	}
	if info.Config != "xla:"+link {
		t.Errorf("Config = %q, want %q", info.Config, "xla:"+link)
	}
	if !strings.Contains(info.Why, "its plugin was found") {
		t.Errorf("Why = %q", info.Why)
	}
}

func TestOpenFallsBackFromBrokenPlugin(t *testing.T) {
	if !xlaBuiltIn {
		withoutXLA(t, "built without XLA")
	}
	dir := isolate(t)
	touch(t, filepath.Join(dir, projectDir, "pjrt_c_api_cpu_plugin.so"))
	b, info, err := Open()
	if err != nil {
		t.Fatal(err)
	}
	defer b.Finalize()
	if info.Name != "go" || !strings.Contains(info.Why, "did not open") || strings.Contains(info.Why, "\n") {
		t.Errorf("info = %+v, want go and one line that says that the plugin did not open", info)
	}
}

func TestOpenObeysEnvironment(t *testing.T) {
	plugin := realPlugin(t)
	dir := isolate(t)
	if err := os.Symlink(filepath.Dir(plugin), filepath.Join(dir, projectDir)); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct{ config, name string }{
		{"go", "go"}, {"go:ops_sequential", "go"},
		{"xla", "xla"}, {"xla:cpu", "xla"}, {"stablehlo:cpu", "xla"}, {"xla:" + plugin, "xla"},
	} {
		t.Run(strings.ReplaceAll(tc.config, "/", "_"), func(t *testing.T) {
			t.Setenv(compute.ConfigEnvVar, tc.config)
			b, info, err := Open()
			if err != nil {
				t.Fatal(err)
			}
			defer b.Finalize()
			// The backend's own name is "xla" or "Go Backend".
			if !strings.EqualFold(b.Name()[:2], tc.name[:2]) || info.Name != tc.name {
				t.Errorf("got %q (%+v), want %q", b.Name(), info, tc.name)
			}
			if want := compute.ConfigEnvVar + "=" + tc.config; !strings.Contains(info.Why, want) {
				t.Errorf("Why = %q, want it to name %q", info.Why, want)
			}
		})
	}
}

func TestOpenBadEnvironmentIsOneClearLine(t *testing.T) {
	for _, tc := range []struct {
		name, config string
		want         []string
	}{
		{"unknown backend", "tensorflow", []string{"GOMLX_BACKEND", `"tensorflow" is unknown`, `"xla:cpu"`}},
		{"unknown Go option", "go:fast", []string{"GOMLX_BACKEND", "fast"}},
		{"no plugin", "xla", []string{"no XLA plugin found", "make xla"}},
		{"no cpu plugin", "xla:cpu", []string{"no XLA plugin for cpu", "make xla"}},
		{"no cuda plugin", "xla:cuda,tf32=true", []string{"no XLA plugin for cuda", "make cuda"}},
		{"plugin path that does not exist", "xla:/no/such/plugin.so",
			[]string{"/no/such/plugin.so is not a plugin file", "make xla"}},
		{"plugin path is no library", "xla:./text.so", []string{"text.so is not a PJRT plugin", "make xla"}},
		{"plugin path is another library", "xla:./libc.so.6", []string{"GetPjrtApi"}},
		{"plugin path is a folder", "xla:/", []string{"/ is not a plugin file"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if !xlaBuiltIn && strings.HasPrefix(tc.config, "xla") {
				withoutXLA(t, "built without XLA")
			}
			dir := isolate(t)
			touch(t, filepath.Join(dir, "text.so"))
			if strings.HasSuffix(tc.config, "libc.so.6") {
				linkLibC(t, dir)
			}
			t.Setenv(compute.ConfigEnvVar, tc.config)
			b, _, err := Open()
			if err == nil {
				b.Finalize()
				t.Fatal("no error")
			}
			for _, want := range tc.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("error %q does not say %q", err, want)
				}
			}
			if strings.Contains(err.Error(), "\n") {
				t.Errorf("error has more than one line: %q", err)
			}
		})
	}
}

func TestOptionsAddedToConfig(t *testing.T) {
	dir := isolate(t)
	cpu := touch(t, filepath.Join(dir, "pjrt_c_api_cpu_plugin.so"))
	cuda := touch(t, filepath.Join(dir, "xla_cuda_plugin.so"))
	other := touch(t, filepath.Join(dir, "mine.so"))
	for _, tc := range []struct{ config, want string }{
		{cpu, cpu},
		{cuda, cuda + ",tf32=false"},
		{cuda + ",tf32=true", cuda + ",tf32=true"},
		{cuda + ",notf32,preallocate", cuda + ",notf32,preallocate"},
		{cuda + ",memory_fraction=0.5", cuda + ",memory_fraction=0.5,tf32=false"},
		{other, other},
		{"mine.so,", other},
		{"tpu", "tpu"},
	} {
		r, err := resolvePlugin(tc.config)
		if err != nil {
			t.Errorf("%s: %v", tc.config, err)
		} else if got := r.config(); got != tc.want {
			t.Errorf("%s became %s, want %s", tc.config, got, tc.want)
		}
	}
	for config, want := range map[string]bool{"tf32": true, "tf32=true": true, "tf32=1": true, "tf32=false": false,
		"notf32": false, "": false} {
		r, err := resolvePlugin(cuda + "," + config)
		if err != nil {
			t.Fatal(err)
		}
		if got := r.wantsTF32(); got != want {
			t.Errorf("wantsTF32 with option %q = %v", config, got)
		}
	}
}

func TestPreferredKinds(t *testing.T) {
	withNVIDIA(t, true)
	if got := preferredKinds(); len(got) != 2 || got[0] != KindCUDA || got[1] != KindCPU {
		t.Errorf("with an NVIDIA device: %v", got)
	}
	withNVIDIA(t, false)
	if got := preferredKinds(); len(got) != 1 || got[0] != KindCPU {
		t.Errorf("without: %v", got)
	}
}

func TestDefaultWhy(t *testing.T) {
	withNVIDIA(t, true)
	line := defaultWhy(Info{Name: "xla", Device: KindCPU, PluginPath: "/p.so"}, nil)
	if !strings.Contains(line, "make cuda") {
		t.Errorf("with an unused NVIDIA device the line should say how to use it: %q", line)
	}
	line = defaultWhy(Info{Name: "go", SIMD: false}, nil)
	if !strings.Contains(line, "GOEXPERIMENT=simd") || !strings.Contains(line, "SIMD off") {
		t.Errorf("without SIMD the line should say how to get it: %q", line)
	}
	line = defaultWhy(Info{Name: "go", SIMD: true}, nil)
	if strings.Contains(line, "GOEXPERIMENT") {
		t.Errorf("with SIMD there is nothing to say of it: %q", line)
	}
}

func TestResultName(t *testing.T) {
	for want, info := range map[string]Info{
		"go":       {Name: "go", Device: KindCPU},
		"xla:cpu":  {Name: "xla", Device: KindCPU},
		"xla:cuda": {Name: "xla", Device: KindCUDA},
	} {
		if got := info.ResultName(); got != want {
			t.Errorf("%+v is %q in results; want %q", info, got, want)
		}
	}
}
