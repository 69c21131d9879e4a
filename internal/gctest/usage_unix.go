//go:build unix

package gctest

import (
	"syscall"
	"testing"
)

// CPUSeconds returns the CPU time in seconds that all threads of the process have used so far.
func CPUSeconds(t testing.TB) float64 {
	t.Helper()
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		t.Fatal(err)
	}
	return float64(usage.Utime.Nano()+usage.Stime.Nano()) / 1e9
}
