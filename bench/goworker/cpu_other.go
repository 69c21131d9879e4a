//go:build !unix

package main

func cpuMilliseconds() float64 { return 0 } // Unknown.
