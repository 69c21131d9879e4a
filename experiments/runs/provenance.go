package runs

import (
	"fmt"
	"runtime"
	"runtime/debug"
	"strings"

	"github.com/geometric-complexity/toolkit/internal/machine"
)

// CurrentProvenance describes this program and machine.
func CurrentProvenance() Provenance {
	p := Provenance{Version: "unknown", Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return p
	}
	p.Version = info.Main.Version
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			p.Commit = s.Value
		case "vcs.modified":
			p.Modified = s.Value == "true"
		}
	}
	return p
}

// deviceName describes the device that computes the numbers: the processor, or the accelerator as
// the backend describes it.
func deviceName(env Env) string {
	if _, device, _ := strings.Cut(env.BackendName, ":"); device == "" || device == "cpu" {
		return fmt.Sprintf("%s, %d cores", machine.Processor(), runtime.NumCPU())
	}
	return env.Backend.DeviceDescription(0)
}
