package platform

import (
	"os"
	"strings"
	"sync/atomic"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
)

// OneDNNFlag makes XLA on a CPU compute convolutions by oneDNN, whose fastest ways to compute their
// gradients are others.
const OneDNNFlag = "--xla_cpu_experimental_onednn_custom_call=true"

var flagFound atomic.Bool

// SetXLAFlags is called with the flags that a plugin is opened with.
func SetXLAFlags(flags string) { flagFound.Store(strings.Contains(flags, OneDNNFlag)) }

// HasOneDNN tells whether a plugin was opened with OneDNNFlag, or the environment variable
// XLA_FLAGS has it.
func HasOneDNN() bool {
	return flagFound.Load() || strings.Contains(os.Getenv("XLA_FLAGS"), OneDNNFlag)
}

// ConvolvesByOneDNN tells whether oneDNN computes the convolutions of images of this dtype.
func ConvolvesByOneDNN(b compute.Backend, dtype dtypes.DType) bool {
	return Of(b) == XLACPU && dtype == dtypes.Float32 && HasOneDNN()
}
