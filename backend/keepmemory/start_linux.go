//go:build linux && cgo && !noxla

package keepmemory

import "C" // Makes Go compile start_linux.c.
