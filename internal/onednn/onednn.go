// Package onednn knows whether XLA on a CPU computes convolutions by oneDNN, as other ways to compute their gradients are
// the fastest then.
package onednn

import (
	"os"
	"strings"
	"sync/atomic"
)

// Flag is how XLA is told to.
const Flag = "--xla_cpu_experimental_onednn_custom_call=true"

var told atomic.Bool

// InUse says whether Found has seen the flag, or else whether the environment variable XLA_FLAGS has it.
func InUse() bool { return told.Load() || strings.Contains(os.Getenv("XLA_FLAGS"), Flag) }

// Found is to be called with the flags that a plugin was opened with.
func Found(flags string) { told.Store(strings.Contains(flags, Flag)) }
