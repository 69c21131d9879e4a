//go:build linux && cgo && !noxla

package backend

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestBeforeCUDA prepares the process for a plugin that is laid out as `make cuda` does. It needs
// no GPU.
func TestBeforeCUDA(t *testing.T) {
	for _, tc := range []struct {
		name, options, flags, override string
		libraries, libdevice           bool // Beside the plugin.
		system                         bool // libdevice is in the system's toolkit.
		wantFlags, wantOverride        string
		wantLoaded                     []string
	}{
		{name: "no libraries beside it", wantOverride: "0"},
		{name: "libraries", libraries: true, libdevice: true, wantOverride: "0",
			wantFlags: "--xla_gpu_cuda_data_dir=ROOT/nvidia/cu13", wantLoaded: []string{"cudnn/lib/libcudnn.so.9"}},
		{name: "libdevice of the system", libraries: true, system: true, wantOverride: "0",
			wantFlags: "--xla_gpu_cuda_data_dir=ROOT/cuda", wantLoaded: []string{"cudnn/lib/libcudnn.so.9"}},
		{name: "libdevice nowhere", libraries: true, wantOverride: "0", wantLoaded: []string{"cudnn/lib/libcudnn.so.9"}},
		{name: "other flags stay", libraries: true, libdevice: true, flags: "--a=1", wantOverride: "0",
			wantFlags: "--a=1 --xla_gpu_cuda_data_dir=ROOT/nvidia/cu13", wantLoaded: []string{"cudnn/lib/libcudnn.so.9"}},
		{name: "a data dir set by hand stays", libraries: true, flags: "--xla_gpu_cuda_data_dir=/cuda", wantOverride: "0",
			wantFlags: "--xla_gpu_cuda_data_dir=/cuda", wantLoaded: []string{"cudnn/lib/libcudnn.so.9"}},
		{name: "TF32 asked for in the configuration", options: ",tf32=true"},
		{name: "TF32 asked for in the environment", override: "1", wantOverride: "1"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			root := isolate(t)
			setOrUnset(t, xlaFlags, tc.flags)
			setOrUnset(t, tf32Override, tc.override)
			for _, name := range []string{goxlaChecks, "CUDA_HOME", "CUDA_PATH"} {
				setOrUnset(t, name, "")
			}
			t.Setenv("PATH", root) // No nvcc of this machine.
			defer func(dir string) { systemCUDA = dir }(systemCUDA)
			systemCUDA = filepath.Join(root, "cuda")
			if tc.system {
				touch(t, filepath.Join(systemCUDA, libdevice))
			}
			if tc.libdevice {
				touch(t, filepath.Join(root, "nvidia", "cu13", libdevice))
			}
			path := touch(t, filepath.Join(root, "jax_plugins", "xla_cuda13", "xla_cuda_plugin.so"))
			if tc.libraries {
				touch(t, filepath.Join(root, "nvidia", "cu13", "lib", "libcudart.so.13")) // Does not load.
				if err := os.MkdirAll(filepath.Join(root, "nvidia", "cudnn", "lib"), 0o755); err != nil {
					t.Fatal(err)
				}
				linkLibC(t, root) // Does load.
				if err := os.Symlink(filepath.Join(root, "libc.so.6"),
					filepath.Join(root, "nvidia", "cudnn", "lib", "libcudnn.so.9")); err != nil {
					t.Fatal(err)
				}
			}
			r, err := resolvePlugin(path + tc.options)
			if err != nil {
				t.Fatal(err)
			}
			if loaded := beforeCUDA(r); !slices.Equal(loaded, tc.wantLoaded) {
				t.Errorf("loaded %v, want %v", loaded, tc.wantLoaded)
			}
			wantFlags := strings.ReplaceAll(tc.wantFlags, "ROOT", root)
			if got := os.Getenv(xlaFlags); got != wantFlags {
				t.Errorf("%s = %q, want %q", xlaFlags, got, wantFlags)
			}
			wantChecks := ""
			if tc.libraries {
				wantChecks = "no"
			}
			if got := os.Getenv(goxlaChecks); got != wantChecks {
				t.Errorf("%s = %q, want %q", goxlaChecks, got, wantChecks)
			}
			if got := os.Getenv(tf32Override); got != tc.wantOverride {
				t.Errorf("%s = %q, want %q", tf32Override, got, tc.wantOverride)
			}
		})
	}
}

// setOrUnset sets a variable for the test, or unsets it if the value is empty, and restores it
// afterwards.
func setOrUnset(t *testing.T, name, value string) {
	t.Helper()
	t.Setenv(name, value) // Restores what was there.
	if value == "" {
		if err := os.Unsetenv(name); err != nil {
			t.Fatal(err)
		}
	}
}
