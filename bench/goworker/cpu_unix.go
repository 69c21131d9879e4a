//go:build unix

package main

import "syscall"

// cpuMilliseconds returns the CPU time that all threads of the process have used so far.
func cpuMilliseconds() float64 {
	var usage syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &usage) != nil {
		return 0 // Unknown, as on other systems.
	}
	return float64(usage.Utime.Nano()+usage.Stime.Nano()) / 1e6
}
