//go:build !unix

package main

// quietCrashes does nothing where a process cannot start itself again: a crash shows the stacks of
// its goroutines.
func quietCrashes() {}
