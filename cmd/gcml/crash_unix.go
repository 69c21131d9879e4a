//go:build unix

package main

import (
	"os"
	"syscall"
)

const tracebackEnv = "GOTRACEBACK"

// quietCrashes makes a crash print its reason only, without the stacks of all goroutines, unless
// GOTRACEBACK is set; GOTRACEBACK=all prints the stacks. run recovers panics of its own goroutine,
// but not those of a backend's goroutines, faults in a plugin, or a lack of memory. Go reads
// GOTRACEBACK when the process starts, so this function sets it and executes the program again, in
// the same process.
func quietCrashes() {
	if os.Getenv(tracebackEnv) != "" {
		return
	}
	program, err := os.Executable()
	if err != nil || os.Setenv(tracebackEnv, "none") != nil {
		return
	}
	// If that fails, this process continues, and a crash prints stacks.
	_ = syscall.Exec(program, os.Args, os.Environ())
}
