//go:build cgo && !noxla

package backend

import (
	"fmt"

	"github.com/gomlx/compute"
	"github.com/gomlx/go-xla/compute/xla" // Registers the backend "xla"; without its autoinstall.
	"github.com/gomlx/go-xla/pjrt"
)

const xlaBuiltIn = true

// beforeXLA sets what has to be set before a plugin is loaded.
func beforeXLA(r resolvedPlugin) {
	xla.EnableAutoInstall(false) // Even if something else links the installer: no download in the middle of a run.
	if r.kind == KindCUDA {
		beforeCUDA(r)
	}
}

// openXLA opens a plugin, one for the CPU as a single device: unless told so it shows four, and has
// a thread for each even where there are fewer cores, which then get in each other's way (a
// twentieth of the time of a dense network on two).
func openXLA(config string, r resolvedPlugin) (compute.Backend, error) {
	if r.kind == KindCPU {
		b, err := xla.NewWithOptions(config, pjrt.NamedValuesMap{"cpu_device_count": int64(1)})
		if err == nil {
			return b, nil
		} // Another plugin may not know the option; one that does not open at all says why below.
	}
	return xla.New(config)
}

// describeXLA fills in what only an opened XLA backend knows.
func describeXLA(b compute.Backend, r resolvedPlugin, info *Info) {
	info.Device = r.kind
	x, ok := b.(*xla.Backend)
	if !ok {
		return
	}
	if info.Device == "" {
		switch {
		case x.IsCUDA():
			info.Device = KindCUDA
		case x.IsCPU():
			info.Device = KindCPU
		default:
			info.Device = x.PluginName()
		}
	}
	// The plugin is loaded already: this finds it in go-xla's cache.
	if plugin, err := pjrt.GetPlugin(x.PluginName()); err == nil {
		info.PluginPath = plugin.Path()
		major, minor := plugin.Version()
		info.PluginVersion = fmt.Sprintf("%d.%d", major, minor)
	}
}
