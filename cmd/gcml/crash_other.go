//go:build !unix

package main

// quietCrashes does nothing where a process cannot replace itself: a crash prints the stacks of all
// goroutines.
func quietCrashes() {}
