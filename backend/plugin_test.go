package backend

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

func TestFindPluginNames(t *testing.T) {
	for _, tc := range []struct{ kind, file string }{
		{KindCPU, "pjrt_c_api_cpu_plugin.so"},
		{KindCPU, "libpjrt_cpu.so"},
		{KindCPU, "pjrt_c_api_cpu_v0.83.4_plugin.so"},
		{KindCPU, "pjrt-plugin-cpu.so"},
		{KindCUDA, "xla_cuda_plugin.so"},
		{KindCUDA, "pjrt_c_api_gpu_plugin.so"},
		{KindCUDA, "nvidia/pjrt_c_api_cuda_plugin.so"},
		{KindCUDA, "cuda/jax_plugins/xla_cuda13/xla_cuda_plugin.so"},
	} {
		t.Run(tc.file, func(t *testing.T) {
			dir := isolate(t)
			t.Setenv(PluginDirEnv, dir)
			want := touch(t, filepath.Join(dir, tc.file))
			if got, ok := FindPlugin(tc.kind); !ok || got != want {
				t.Errorf("FindPlugin(%s) = %q, %v; want %q", tc.kind, got, ok, want)
			}
			other := map[string]string{KindCPU: KindCUDA, KindCUDA: KindCPU}[tc.kind]
			if got, ok := FindPlugin(other); ok {
				t.Errorf("FindPlugin(%s) = %q, want none", other, got)
			}
			if got := kindOfFile(want); got != tc.kind {
				t.Errorf("kindOfFile = %q, want %q", got, tc.kind)
			}
		})
	}
	t.Run("a folder of that name is no plugin", func(t *testing.T) {
		dir := isolate(t)
		t.Setenv(PluginDirEnv, dir)
		if err := os.Mkdir(filepath.Join(dir, "libpjrt_cpu.so"), 0o755); err != nil {
			t.Fatal(err)
		}
		if got, ok := FindPlugin(KindCPU); ok {
			t.Errorf("found %q", got)
		}
	})
	t.Run("the highest version comes first", func(t *testing.T) {
		dir := isolate(t)
		t.Setenv(PluginDirEnv, dir)
		touch(t, filepath.Join(dir, "pjrt_c_api_cpu_v0.83.1_plugin.so"))
		want := touch(t, filepath.Join(dir, "pjrt_c_api_cpu_v0.83.4_plugin.so"))
		if got, _ := FindPlugin(KindCPU); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	})
}

// TestFindPluginOrder puts a plugin into every folder, and removes them one by one in the
// documented order.
func TestFindPluginOrder(t *testing.T) {
	root := isolate(t)
	module := strings.TrimSuffix(reflect.TypeFor[Info]().PkgPath(), "/backend")
	repo := filepath.Join(root, "repo")
	wd := filepath.Join(repo, "a", "b")
	if err := os.MkdirAll(wd, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(repo, "go.mod"), []byte("module "+module+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	t.Chdir(wd)
	first, second, own := filepath.Join(root, "first"), filepath.Join(root, "second"), filepath.Join(root, "own")
	t.Setenv(PluginPathEnv, first+string(filepath.ListSeparator)+second)
	t.Setenv(PluginDirEnv, own)

	const name = "libpjrt_cpu.so"
	order := []string{
		filepath.Join(first, name),
		filepath.Join(second, name),
		filepath.Join(own, name),
		filepath.Join(wd, projectDir, name),
		filepath.Join(repo, projectDir, name),
		filepath.Join(root, ".local", "lib", "go-xla", name), // isolate made root the HOME.
	}
	for _, path := range order {
		touch(t, path)
	}
	for _, want := range order {
		if got, ok := FindPlugin(KindCPU); !ok || got != want {
			t.Errorf("got %q, want %q", got, want)
		}
		if err := os.Remove(want); err != nil {
			t.Fatal(err)
		}
	}
	if got, ok := FindPlugin(KindCPU); ok {
		t.Errorf("found %q where none is left", got)
	}
}

// TestOtherModuleIsNotOurs checks that a .plugins folder above the working directory is used only
// beside our own go.mod, so that nothing is loaded from another project's folder.
func TestOtherModuleIsNotOurs(t *testing.T) {
	root := isolate(t)
	wd := filepath.Join(root, "a")
	if err := os.MkdirAll(wd, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(root, "go.mod"), []byte("module other.example/x\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	touch(t, filepath.Join(root, projectDir, "libpjrt_cpu.so"))
	t.Chdir(wd)
	if got, ok := FindPlugin(KindCPU); ok {
		t.Errorf("found %q", got)
	}
}
