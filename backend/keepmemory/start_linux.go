//go:build linux && cgo && !noxla && !asan && !msan

package keepmemory

// #cgo LDFLAGS: -ldl
import "C" // Makes Go compile start_linux.c.
