//go:build linux && cgo && !noxla

package backend

// #include <limits.h>
// #include <malloc.h>
//
// static void keep_memory(void) {
// #ifdef __GLIBC__
// 	mallopt(M_ARENA_MAX, 1);
// 	mallopt(M_MMAP_THRESHOLD, INT_MAX);
// 	mallopt(M_TRIM_THRESHOLD, INT_MAX);
// #endif
// }
import "C"

import (
	"os"
	"strings"
	"sync"
)

// keepMemory lets the C library keep what XLA frees. XLA on a CPU allocates the temporary memory of a program anew for
// every run, in one piece, which the C library would take from the system and give back each time; for a ResNet18 the
// zeroing of these pages took an eighth of a training step. Pieces of 2 GiB and more still go back.
//
// A user who has set any of the C library's own switches knows better.
var keepMemory = sync.OnceFunc(func() {
	for _, variable := range os.Environ() {
		if strings.HasPrefix(variable, "MALLOC_") || strings.HasPrefix(variable, "GLIBC_TUNABLES=") {
			return
		}
	}
	C.keep_memory()
})
