package platform

import (
	"os"
	"strings"
	"sync/atomic"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
)

// OneDNNFlag makes XLA on a CPU compute convolutions by oneDNN. The fastest way to compute their
// gradients differs between XLA's own convolutions and oneDNN's.
const OneDNNFlag = "--xla_cpu_experimental_onednn_custom_call=true"

var flagFound atomic.Bool

// SetXLAFlags records the flags that a plugin is opened with, for HasOneDNN.
func SetXLAFlags(flags string) { flagFound.Store(strings.Contains(flags, OneDNNFlag)) }

// HasOneDNN reports whether a plugin was opened with OneDNNFlag, or the environment variable
// XLA_FLAGS contains it.
func HasOneDNN() bool {
	return flagFound.Load() || strings.Contains(os.Getenv("XLA_FLAGS"), OneDNNFlag)
}

// ConvolvesByOneDNN reports whether oneDNN computes convolutions of this dtype on this backend.
func ConvolvesByOneDNN(b compute.Backend, dtype dtypes.DType) bool {
	return Of(b) == XLACPU && dtype == dtypes.Float32 && HasOneDNN()
}
