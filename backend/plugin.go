package backend

import (
	"debug/elf"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/geometric-complexity/toolkit/internal/repository"
)

const (
	// PluginDirEnv is the environment variable with a folder of plugins; the Makefile sets it to
	// the project's folder.
	PluginDirEnv = "GCML_PLUGIN_DIR"
	// PluginPathEnv is go-xla's environment variable with a list of folders of plugins.
	PluginPathEnv = "PJRT_PLUGIN_LIBRARY_PATH"
	// projectDir is the folder under the root of the repository into which `make xla` and `make
	// cuda` install plugins.
	projectDir = ".plugins"
)

// pluginPatterns are the file names of plugins of each kind, without extension, as used by go-xla's
// installer, wheels such as JAX's, and XLA's own build.
var pluginPatterns = map[string][]string{
	KindCPU: {"pjrt_c_api_cpu_plugin", "libpjrt_cpu", "pjrt_c_api_cpu_*_plugin", "pjrt-plugin-cpu*", "pjrt_plugin_cpu*"},
	KindCUDA: {"xla_cuda_plugin", "pjrt_c_api_cuda_plugin", "libpjrt_cuda", "pjrt_c_api_cuda*_plugin",
		"pjrt_c_api_gpu_plugin", "pjrt-plugin-cuda*", "pjrt_plugin_cuda*"},
}

// cudaSubfolders are the subfolders of a folder of plugins that may have CUDA plugins: those of
// JAX's wheels installed by pip, and go-xla's.
var cudaSubfolders = []string{"cuda/jax_plugins/*", "nvidia"}

// FindPlugin returns the file of the first plugin of a kind (KindCPU or KindCUDA). It searches, in
// this order, the folders of $PJRT_PLUGIN_LIBRARY_PATH, $GCML_PLUGIN_DIR, a folder .plugins in the
// working directory or at the root of this repository above it, and go-xla's own folders. It checks
// names only, not whether a plugin loads.
func FindPlugin(kind string) (path string, ok bool) {
	for _, dir := range SearchDirs() {
		if path, ok = findIn(dir, kind); ok {
			return path, true
		}
	}
	return "", false
}

// SearchDirs returns the folders that FindPlugin searches, in order, including those that do not
// exist.
func SearchDirs() []string {
	dirs := filepath.SplitList(os.Getenv(PluginPathEnv))
	dirs = append(dirs, os.Getenv(PluginDirEnv))
	dirs = append(dirs, projectDirs()...)
	if home, err := os.UserHomeDir(); err == nil {
		dirs = append(dirs, filepath.Join(home, ".local", "lib", "go-xla"))
	}
	dirs = append(dirs, "/usr/local/lib/go-xla")

	var unique []string
	for _, dir := range dirs {
		if dir == "" {
			continue
		}
		abs, err := filepath.Abs(dir)
		if err == nil && !slices.Contains(unique, abs) {
			unique = append(unique, abs)
		}
	}
	return unique
}

// projectDirs returns .plugins in the working directory, and .plugins at the root of this
// repository if the working directory is inside it.
func projectDirs() []string {
	dirs := []string{projectDir}
	if root, ok := repository.Root(); ok {
		dirs = append(dirs, filepath.Join(root, projectDir))
	}
	return dirs
}

func findIn(dir, kind string) (path string, ok bool) {
	folders := []string{dir}
	if kind == KindCUDA {
		for _, sub := range cudaSubfolders {
			found, _ := filepath.Glob(filepath.Join(dir, sub))
			folders = append(folders, found...)
		}
	}
	for _, folder := range folders {
		for _, pattern := range pluginPatterns[kind] {
			found, _ := filepath.Glob(filepath.Join(folder, pattern+pluginExtension))
			slices.Reverse(found) // Glob sorts by name; this puts the highest version first.
			for _, candidate := range found {
				if fi, err := os.Stat(candidate); err == nil && !fi.IsDir() {
					return candidate, true
				}
			}
		}
	}
	return "", false
}

// kindOfFile returns the kind of plugin that the file name indicates, or "".
func kindOfFile(path string) string {
	name := strings.TrimSuffix(filepath.Base(path), pluginExtension)
	for _, kind := range []string{KindCPU, KindCUDA} {
		for _, pattern := range pluginPatterns[kind] {
			if match, _ := filepath.Match(pattern, name); match {
				return kind
			}
		}
	}
	return ""
}

// checkLibrary checks a plugin file before it is loaded, because the loader logs its error with a
// stack trace. It checks only Linux's file format.
func checkLibrary(path string) error {
	if runtime.GOOS != "linux" {
		return nil
	}
	f, err := elf.Open(path)
	if err != nil {
		return fmt.Errorf("%s is not a PJRT plugin (%v); install one with: make xla", path, err)
	}
	defer f.Close()
	symbols, err := f.DynamicSymbols()
	if err != nil || !slices.ContainsFunc(symbols, func(s elf.Symbol) bool { return s.Name == pjrtSymbol }) {
		return fmt.Errorf("%s is not a PJRT plugin (it does not export %s); install one with: make xla", path, pjrtSymbol)
	}
	return nil
}

// pjrtSymbol is the function that every PJRT plugin exports.
const pjrtSymbol = "GetPjrtApi"

var pluginExtension = map[string]string{"darwin": ".dylib", "windows": ".dll"}[runtime.GOOS]

func init() {
	if pluginExtension == "" {
		pluginExtension = ".so"
	}
}
