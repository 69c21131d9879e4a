//go:build linux && cgo && !noxla

package keepmemory

import "C" // Has start_linux.c compiled.
