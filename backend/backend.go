package backend

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/gomlx/compute"
	_ "github.com/gomlx/compute/gobackend" // Registers the backend "go".

	_ "github.com/geometric-complexity/toolkit/internal/gomlxcompat" // Has "go" read current variables.
	"github.com/geometric-complexity/toolkit/internal/machine"
)

// Info says which backend was opened, and why.
type Info struct {
	// Name is "go" or "xla".
	Name string
	// Config is the value of GOMLX_BACKEND that opens the same backend again.
	Config string
	// PluginPath is the file of the PJRT plugin, PluginVersion its PJRT API version ("0.115"). Both
	// are empty for "go".
	PluginPath, PluginVersion string
	// Device is the kind of device: "cpu", "cuda", or the plugin's own name for others.
	Device string
	// NumDevices is the number of such devices that the backend has.
	NumDevices int
	// SIMD says whether this program was built with GOEXPERIMENT=simd, without which the backend
	// "go" is slow.
	SIMD bool
	// Failed names the plugins that were found but did not open before this backend was chosen;
	// empty if none.
	Failed string
	// Why says in one line which backend was chosen, why, and how to get a faster one if there is
	// one.
	Why string
}

// ResultName is the name of the backend in results: "go", "xla:cpu" or "xla:cuda".
func (i Info) ResultName() string {
	if i.Name == "xla" {
		return i.Name + ":" + i.Device
	}
	return i.Name
}

// Kinds of plugin that FindPlugin knows.
const (
	KindCPU  = "cpu"
	KindCUDA = "cuda"
)

// xlaAliases are the names under which go-xla registers itself.
var xlaAliases = []string{"xla", "stablehlo", "hlo", "shlo"}

// Open opens the backend that the package comment describes. The caller owns it and calls Finalize
// when done.
func Open() (compute.Backend, Info, error) {
	if config := os.Getenv(compute.ConfigEnvVar); config != "" {
		b, info, err := OpenConfig(config)
		if err != nil {
			return nil, Info{}, fmt.Errorf("%s=%q: %w", compute.ConfigEnvVar, config, err)
		}
		info.Why = fmt.Sprintf("%s, chosen by %s=%s", info.label(), compute.ConfigEnvVar, config)
		return b, info, nil
	}

	var notes []string // The plugins that did not open.
	for _, kind := range preferredKinds() {
		path, ok := FindPlugin(kind)
		if !ok {
			continue
		}
		b, info, err := OpenConfig("xla:" + path)
		if err == nil {
			info.Failed, info.Why = strings.Join(notes, "; "), defaultWhy(info, notes)
			return b, info, nil
		}
		notes = append(notes, fmt.Sprintf("the %s plugin did not open (%v)", kind, err))
	}

	b, info, err := OpenConfig("go")
	if err != nil {
		return nil, Info{}, err
	}
	info.Failed, info.Why = strings.Join(notes, "; "), defaultWhy(info, notes)
	return b, info, nil
}

// OpenConfig opens the backend of a configuration in the format of GOMLX_BACKEND: "go", "xla" (the
// best plugin found), "xla:cpu", "xla:cuda" or "xla:/path/to/plugin.so", with options after a comma
// ("xla:cuda,tf32=true"). Info.Why only names the backend.
func OpenConfig(config string) (compute.Backend, Info, error) {
	name, rest, _ := strings.Cut(config, ":")
	var resolved resolvedPlugin
	if slices.Contains(xlaAliases, name) {
		name = "xla"
		if !xlaBuiltIn {
			return nil, Info{}, fmt.Errorf("backend %q: this program was built without XLA (it needs cgo and no tag noxla); use \"go\"", config)
		}
		var err error
		if resolved, err = resolvePlugin(rest); err != nil {
			return nil, Info{}, fmt.Errorf("backend %q: %w", config, err)
		}
		if filepath.IsAbs(resolved.plugin) {
			if err = checkLibrary(resolved.plugin); err != nil {
				return nil, Info{}, fmt.Errorf("backend %q: %w", config, err)
			}
		}
		rest = resolved.config()
	}
	if name == "go" {
		rest = goOptions(rest)
	}
	if !slices.Contains(compute.List(), name) {
		return nil, Info{}, fmt.Errorf("backend %q is unknown; use \"go\", \"xla\", \"xla:cpu\", \"xla:cuda\" or \"xla:/path/to/plugin.so\"", config)
	}

	full := name
	if rest != "" {
		full += ":" + rest
	}
	b, err := open(name, full, resolved)
	if err != nil {
		return nil, Info{}, fmt.Errorf("backend %q does not open: %w", config, lineError{err})
	}
	info := Info{Name: name, Config: full, Device: KindCPU, NumDevices: b.NumDevices(), SIMD: SIMD}
	if name == "xla" {
		describeXLA(b, resolved, &info)
	}
	info.Why = info.label()
	return b, info, nil
}

// open opens the backend, an XLA plugin with its flags.
func open(name, config string, r resolvedPlugin) (b compute.Backend, err error) {
	if name != "xla" {
		return compute.NewWithConfig(config)
	}
	beforeXLA(r)
	err = withXLAFlags(r.plugin, func() (err error) {
		b, err = openXLA(strings.TrimPrefix(config, "xla:"), r)
		return err
	})
	return b, err
}

// resolvedPlugin is the part of an XLA configuration after "xla:", with the plugin's file found.
type resolvedPlugin struct {
	plugin  string // An absolute path, or a name that go-xla resolves.
	kind    string // KindCPU, KindCUDA, or "" if unknown.
	options []string
}

func (r resolvedPlugin) config() string {
	return strings.Join(append([]string{r.plugin}, r.options...), ",")
}

func (r resolvedPlugin) hasOption(name string) bool {
	return slices.ContainsFunc(r.options, func(o string) bool {
		key, _, _ := strings.Cut(o, "=")
		return key == name || key == "no"+name
	})
}

// wantsTF32 says whether the configuration asks for TF32 products.
func (r resolvedPlugin) wantsTF32() bool {
	return slices.ContainsFunc(r.options, func(o string) bool { return o == "tf32" || o == "tf32=true" || o == "tf32=1" })
}

// resolvePlugin finds the plugin's file and adds this package's default options.
func resolvePlugin(config string) (resolvedPlugin, error) {
	parts := strings.Split(config, ",")
	r := resolvedPlugin{plugin: parts[0], options: slices.DeleteFunc(parts[1:], func(o string) bool { return o == "" })}
	switch {
	case r.plugin == "":
		for _, kind := range preferredKinds() {
			if path, ok := FindPlugin(kind); ok {
				r.plugin, r.kind = path, kind
				break
			}
		}
		if r.plugin == "" {
			return r, fmt.Errorf("no XLA plugin found; install one with: make xla")
		}
	case r.plugin == KindCPU || r.plugin == KindCUDA:
		r.kind = r.plugin
		path, ok := FindPlugin(r.kind)
		if !ok {
			return r, fmt.Errorf("no XLA plugin for %s found; install one with: make %s", r.kind, makeTarget(r.kind))
		}
		r.plugin = path
	case strings.ContainsRune(r.plugin, filepath.Separator) || strings.HasSuffix(r.plugin, ".so"):
		path, err := filepath.Abs(r.plugin)
		if err != nil {
			return r, err
		}
		fi, err := os.Stat(path)
		if err != nil || fi.IsDir() {
			return r, fmt.Errorf("%s is not a plugin file; install one with: make xla", path)
		}
		r.plugin, r.kind = path, kindOfFile(path)
	}
	if r.kind == KindCUDA && !r.hasOption("tf32") {
		r.options = append(r.options, "tf32=false")
	}
	return r, nil
}

// preferredKinds returns the kinds of plugin to search for, the fastest first.
func preferredKinds() []string {
	if machine.HasNVIDIA() {
		return []string{KindCUDA, KindCPU}
	}
	return []string{KindCPU}
}

// label returns a short description of the backend.
func (i Info) label() string {
	if i.Name != "xla" {
		return fmt.Sprintf("backend %s (pure Go, SIMD %s)", i.Name, onOff(i.SIMD))
	}
	return fmt.Sprintf("backend %s on %s (%s)", i.Name, i.Device, i.PluginPath)
}

// defaultWhy explains the choice made without GOMLX_BACKEND.
func defaultWhy(info Info, notes []string) string {
	var reason, faster string
	switch {
	case info.Name == "xla" && info.Device == KindCUDA:
		reason = "an NVIDIA device and the CUDA plugin were found"
	case info.Name == "xla":
		reason = "its plugin was found"
		if machine.HasNVIDIA() && len(notes) == 0 {
			faster = "for this machine's NVIDIA device: make cuda"
		}
	case !xlaBuiltIn:
		reason, faster = "this program was built without XLA", "for a faster one build with cgo and without the tag noxla"
	case len(notes) > 0:
		reason = "no other backend opened"
	default:
		reason, faster = "no XLA plugin was found", "for a faster one: make xla"
	}
	if info.Name == "go" && !info.SIMD {
		faster = strings.TrimPrefix(faster+"; with SIMD: build with GOEXPERIMENT=simd", "; ")
	}
	line := fmt.Sprintf("%s: %s", info.label(), reason)
	for _, extra := range append(notes, faster) {
		if extra != "" {
			line += "; " + extra
		}
	}
	return line
}

func makeTarget(kind string) string {
	if kind == KindCUDA {
		return "cuda"
	}
	return "xla"
}

func onOff(b bool) string {
	if b {
		return "on"
	}
	return "off"
}

// lineError is an error whose message has no line breaks.
type lineError struct{ error }

func (e lineError) Error() string { return strings.Join(strings.Fields(e.error.Error()), " ") }
func (e lineError) Unwrap() error { return e.error }
