//go:build cgo && !noxla

package backend

import (
	"fmt"

	"github.com/gomlx/compute"
	"github.com/gomlx/go-xla/compute/xla" // Registers the backend "xla", without its installer.
	"github.com/gomlx/go-xla/pjrt"
)

const xlaBuiltIn = true

// beforeXLA makes the settings that must precede loading a plugin.
func beforeXLA(r resolvedPlugin) {
	xla.EnableAutoInstall(false) // Prevents a download during a run if another package links the installer.
	if r.kind == KindCUDA {
		beforeCUDA(r)
	}
}

// openXLA opens a plugin. It opens one for the CPU as a single device: by default there are four,
// each with a thread. On fewer cores these threads compete; on two cores they cost a twentieth of
// the time of a dense network.
func openXLA(config string, r resolvedPlugin) (compute.Backend, error) {
	if r.kind == KindCPU {
		b, err := xla.NewWithOptions(config, pjrt.NamedValuesMap{"cpu_device_count": int64(1)})
		if err == nil {
			return b, nil
		} // The plugin may not know the option. If it cannot open at all, xla.New returns the error.
	}
	return xla.New(config)
}

// describeXLA fills in the fields of info that only an opened XLA backend knows.
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
	// The plugin is loaded already, so this finds it in go-xla's cache.
	if plugin, err := pjrt.GetPlugin(x.PluginName()); err == nil {
		info.PluginPath = plugin.Path()
		major, minor := plugin.Version()
		info.PluginVersion = fmt.Sprintf("%d.%d", major, minor)
	}
}
