// Package platform says which backend and kind of device compute a graph. All code that depends on
// the platform asks this package.
package platform

import (
	"strings"

	"github.com/gomlx/compute"
)

// Platform is a backend on a kind of device.
type Platform int

const (
	// Unknown is a backend that this module does not know.
	Unknown Platform = iota
	// Go is GoMLX's pure-Go backend.
	Go
	// XLACPU is XLA on a CPU.
	XLACPU
	// Accelerator is a GPU or TPU, with XLA or another backend.
	Accelerator
)

// Of returns the platform of a backend. That of a wrapper with a method Wrapped is that of the
// backend inside.
func Of(b compute.Backend) Platform {
	if wrapper, ok := b.(interface{ Wrapped() compute.Backend }); ok {
		return Of(wrapper.Wrapped())
	}
	// An interface instead of XLA's type, because XLA's package needs cgo.
	if xla, ok := b.(interface{ IsCPU() bool }); ok && xla.IsCPU() {
		return XLACPU
	}
	if b.String() == "go" {
		return Go
	}
	description := strings.ToLower(b.Description())
	for _, word := range []string{"cuda", "gpu", "rocm", "tpu"} {
		if strings.Contains(description, word) {
			return Accelerator
		}
	}
	return Unknown
}

// IsXLA reports whether the backend is XLA, on any device.
func IsXLA(b compute.Backend) bool { return b.Name() == "xla" }
