package backend

import (
	"debug/elf"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"strings"

	"golang.org/x/mod/modfile"
)

const (
	// PluginDirEnv names a folder to look for plugins in; the Makefile sets it to the project's.
	PluginDirEnv = "GCML_PLUGIN_DIR"
	// PluginPathEnv is go-xla's own: a list of folders.
	PluginPathEnv = "PJRT_PLUGIN_LIBRARY_PATH"
	// projectDir is where `make xla` and `make cuda` put the plugins, under the root of the
	// repository.
	projectDir = ".plugins"
)

// pluginPatterns are the file names under which plugins of each kind are known, without extension:
// as go-xla's installer, the wheels of JAX and of others, and XLA's own build name them.
var pluginPatterns = map[string][]string{
	KindCPU: {"pjrt_c_api_cpu_plugin", "libpjrt_cpu", "pjrt_c_api_cpu_*_plugin", "pjrt-plugin-cpu*", "pjrt_plugin_cpu*"},
	KindCUDA: {"xla_cuda_plugin", "pjrt_c_api_cuda_plugin", "libpjrt_cuda", "pjrt_c_api_cuda*_plugin",
		"pjrt_c_api_gpu_plugin", "pjrt-plugin-cuda*", "pjrt_plugin_cuda*"},
}

// cudaSubfolders are where CUDA plugins lie under a folder of plugins: as pip lays out JAX's
// wheels, and as go-xla does.
var cudaSubfolders = []string{"cuda/jax_plugins/*", "nvidia"}

// FindPlugin gives the file of the first plugin of a kind (KindCPU or KindCUDA), looking in this
// order: the folders of $PJRT_PLUGIN_LIBRARY_PATH, $GCML_PLUGIN_DIR, a folder .plugins in the
// working directory or at the root of this repository above it, and go-xla's own folders. It looks
// at names only: whether a plugin loads is seen on opening it.
func FindPlugin(kind string) (path string, ok bool) {
	for _, dir := range SearchDirs() {
		if path, ok = findIn(dir, kind); ok {
			return path, true
		}
	}
	return "", false
}

// SearchDirs lists the folders that FindPlugin looks in, in order, present or not.
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

// projectDirs are .plugins in the working directory, and .plugins at the root of this repository
// above it.
func projectDirs() []string {
	dirs := []string{projectDir}
	if root, ok := RepositoryRoot(); ok {
		dirs = append(dirs, filepath.Join(root, projectDir))
	}
	return dirs
}

// RepositoryRoot gives the folder of this module's go.mod: the working directory or one above it,
// if the program runs inside the repository.
func RepositoryRoot() (dir string, ok bool) {
	dir, err := os.Getwd()
	if err != nil {
		return "", false
	}
	for !isOurModule(filepath.Join(dir, "go.mod")) {
		if dir == filepath.Dir(dir) {
			return "", false
		}
		dir = filepath.Dir(dir)
	}
	return dir, true
}

// isOurModule says whether a go.mod is this module's. The name is taken from this package's own
// path, so that renaming the module needs no change here.
func isOurModule(goMod string) bool {
	content, err := os.ReadFile(goMod)
	if err != nil {
		return false
	}
	module := strings.TrimSuffix(reflect.TypeFor[Info]().PkgPath(), "/backend")
	return modfile.ModulePath(content) == module
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
			slices.Reverse(found) // Glob sorts: of several versions the highest name comes first then.
			for _, candidate := range found {
				if fi, err := os.Stat(candidate); err == nil && !fi.IsDir() {
					return candidate, true
				}
			}
		}
	}
	return "", false
}

// kindOfFile tells a plugin's kind from its file name, "" if it does not say.
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

// checkLibrary looks into a file before it is loaded, as the loader's own complaint goes to the log
// with its stack. Only Linux's format is looked into.
func checkLibrary(path string) error {
	if runtime.GOOS != "linux" {
		return nil
	}
	f, err := elf.Open(path)
	if err != nil {
		return fmt.Errorf("%s is no PJRT plugin (%v); to put one in place: make xla", path, err)
	}
	defer f.Close()
	symbols, err := f.DynamicSymbols()
	if err != nil || !slices.ContainsFunc(symbols, func(s elf.Symbol) bool { return s.Name == pjrtSymbol }) {
		return fmt.Errorf("%s is no PJRT plugin (it does not export %s); to put one in place: make xla", path, pjrtSymbol)
	}
	return nil
}

// pjrtSymbol is the one function that every PJRT plugin exports.
const pjrtSymbol = "GetPjrtApi"

var pluginExtension = map[string]string{"darwin": ".dylib", "windows": ".dll"}[runtime.GOOS]

func init() {
	if pluginExtension == "" {
		pluginExtension = ".so"
	}
}
