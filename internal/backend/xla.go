//go:build cgo && !noxla

package backend

import (
	"fmt"
	"os"

	"github.com/gomlx/compute"
	"github.com/gomlx/go-xla/compute/xla" // Registers the backend "xla"; without its autoinstall.
	"github.com/gomlx/go-xla/pjrt"
)

const xlaBuiltIn = true

// tf32Override is NVIDIA's switch for TF32 in its libraries. go-xla's option covers matrix products alone:
// convolutions are built with default precision, for which cuDNN may take TF32.
const tf32Override = "NVIDIA_TF32_OVERRIDE"

// beforeXLA sets what has to be set before a plugin is loaded.
func beforeXLA(r resolvedPlugin) {
	xla.EnableAutoInstall(false) // Even if something else links the installer: no download in the middle of a run.
	if _, set := os.LookupEnv(tf32Override); !set && r.kind == KindCUDA && !r.wantsTF32() {
		_ = os.Setenv(tf32Override, "0") // Fails for malformed names only.
	}
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
