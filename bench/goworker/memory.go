package main

import (
	"os"
	"strconv"
	"strings"
)

// resetPeakMemory lets the kernel start the peak of resident memory anew. Where that is not
// allowed, the peak that peakMemoryMB gives is the whole process's.
func resetPeakMemory() {
	_ = os.WriteFile("/proc/self/clear_refs", []byte("5"), 0) // Not Linux, or not allowed: see above.
}

// peakMemoryMB is the peak of resident memory in MiB, 0 where the system does not say.
func peakMemoryMB() float64 {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(status)) {
		if fields := strings.Fields(line); len(fields) >= 2 && fields[0] == "VmHWM:" {
			kb, _ := strconv.ParseFloat(fields[1], 64) // 0 for what is not a number: not known.
			return kb / 1024
		}
	}
	return 0
}
