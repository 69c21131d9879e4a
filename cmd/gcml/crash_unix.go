//go:build unix

package main

import (
	"os"
	"syscall"
)

const tracebackEnv = "GOTRACEBACK"

// quietCrashes makes a crash of the process print its reason and not the stacks of all its
// goroutines. run recovers panics of its own goroutine; one in a goroutine of a backend, a fault in
// a plugin or the end of the memory ends the process, which Go tells in hundreds of lines unless
// GOTRACEBACK says otherwise when the process starts. So the program starts itself again, as the
// same process, unless GOTRACEBACK is set: GOTRACEBACK=all shows the stacks.
func quietCrashes() {
	if os.Getenv(tracebackEnv) != "" {
		return
	}
	program, err := os.Executable()
	if err != nil || os.Setenv(tracebackEnv, "none") != nil {
		return
	}
	// Where that fails, this process goes on, and crashes are long.
	_ = syscall.Exec(program, os.Args, os.Environ())
}
