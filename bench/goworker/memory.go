package main

import (
	"os"
	"strconv"
	"strings"
)

// resetPeakMemory resets the kernel's peak of resident memory. If that is not possible,
// peakMemoryMiB returns the peak since the start of the process.
func resetPeakMemory() {
	_ = os.WriteFile("/proc/self/clear_refs", []byte("5"), 0) // Not Linux, or not allowed: see above.
}

// peakMemoryMiB returns the peak of resident memory in MiB, 0 if the system does not report it.
func peakMemoryMiB() float64 {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(status)) {
		if fields := strings.Fields(line); len(fields) >= 2 && fields[0] == "VmHWM:" {
			kb, _ := strconv.ParseFloat(fields[1], 64) // 0, unknown, if it is not a number.
			return kb / 1024
		}
	}
	return 0
}
