//go:build linux && cgo && !noxla

// Lets the C library keep what XLA frees. XLA on a CPU allocates the temporary memory of a program anew for every run, in
// one piece, which the C library would take from the system and give back each time; for a ResNet18 the system's work on
// these pages took an eighth of a training step. Pieces of 2 GiB and more still go back.
//
// This is done before Go starts threads: the memory of those that have an arena of their own by then is not kept. So it
// cannot be done when a backend is opened.

#define _GNU_SOURCE // For environ.
#include <limits.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#ifdef __GLIBC__
__attribute__((constructor)) static void keep_memory(void) {
	for (char **variable = environ; *variable != NULL; variable++) {
		// A user who has set any of the C library's own switches knows better.
		if (strncmp(*variable, "MALLOC_", 7) == 0 || strncmp(*variable, "GLIBC_TUNABLES=", 15) == 0) {
			return;
		}
	}
	mallopt(M_ARENA_MAX, 1);
	mallopt(M_MMAP_THRESHOLD, INT_MAX);
	mallopt(M_TRIM_THRESHOLD, INT_MAX);
}
#endif
