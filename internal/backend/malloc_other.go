//go:build !linux && cgo && !noxla

package backend

func keepMemory() {} // For glibc alone.
