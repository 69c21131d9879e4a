//go:build linux && cgo && !noxla && !asan && !msan

// Makes the process keep the memory that XLA frees.
//
// XLA on a CPU allocates the temporary memory of a program as one block in every run, and its compiler and its operations
// request thousands of small blocks in several threads. glibc cannot serve both well. Left alone, it takes every block of
// more than 32 MiB from the system in each run, and returns it afterwards: for a ResNet18 the work on these pages took an
// eighth of a training step. Told to keep such blocks, it does so only in its main arena. With that one for all, threads
// wait for each other's small blocks: a ResNet18's first step took up to twice as long.
//
// So small blocks are left to the C library, and large ones come from a heap of their own (large_linux.c). For this the
// program has its own malloc, free and so on, which the plugin's calls find before those of the C library. They come as a
// whole family, so that with an allocator in LD_PRELOAD no free gets a block of another one. The rare large blocks of
// calloc, of a realloc from a small block, and of more than LARGE_ALIGNMENT come from the C library, too.

#define _GNU_SOURCE // For environ and RTLD_NEXT.
#include "large_linux.h"

#ifdef __GLIBC__
#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <malloc.h>
#include <string.h>
#include <unistd.h>

extern void *__libc_malloc(size_t);
extern void *__libc_calloc(size_t, size_t);
extern void *__libc_realloc(void *, size_t);
extern void *__libc_memalign(size_t, size_t);
extern void *__libc_valloc(size_t);
extern void *__libc_pvalloc(size_t);
extern void __libc_free(void *);

// This precedes all threads, so they need no lock to see whether the heap is open.
__attribute__((constructor)) static void keep_memory(void) {
	for (char **variable = environ; *variable != NULL; variable++) {
		// The user's own settings of the C library take precedence.
		if (strncmp(*variable, "MALLOC_", 7) == 0 || strncmp(*variable, "GLIBC_TUNABLES=", 15) == 0) {
			return;
		}
	}
	mallopt(M_MMAP_THRESHOLD, LARGE);
	mallopt(M_TRIM_THRESHOLD, INT_MAX);
	gcml_large_open();
}

void *malloc(size_t size) {
	void *large = gcml_large_malloc(size);
	return large != NULL ? large : __libc_malloc(size);
}

void *calloc(size_t count, size_t size) { return __libc_calloc(count, size); }

void *realloc(void *block, size_t size) {
	if (block == NULL) {
		return malloc(size);
	}
	if (!gcml_is_large(block)) {
		return __libc_realloc(block, size);
	}
	if (size == 0) {
		gcml_large_free(block);
		return NULL;
	}
	size_t old = gcml_large_size(block);
	if (size <= old && size > old / 2) {
		return block;
	}
	void *moved = malloc(size);
	if (moved != NULL) {
		memcpy(moved, block, old < size ? old : size);
		gcml_large_free(block);
	}
	return moved;
}

void free(void *block) {
	if (gcml_is_large(block)) {
		gcml_large_free(block);
	} else {
		__libc_free(block);
	}
}

void *memalign(size_t alignment, size_t size) {
	void *large = alignment <= LARGE_ALIGNMENT ? gcml_large_malloc(size) : NULL;
	return large != NULL ? large : __libc_memalign(alignment, size);
}

void *aligned_alloc(size_t alignment, size_t size) { return memalign(alignment, size); }

int posix_memalign(void **block, size_t alignment, size_t size) {
	if (alignment == 0 || alignment % sizeof(void *) != 0 || (alignment & (alignment - 1)) != 0) {
		return EINVAL;
	}
	int before = errno; // posix_memalign leaves errno as it is.
	void *allocated = memalign(alignment, size);
	errno = before;
	if (allocated == NULL) {
		return ENOMEM;
	}
	*block = allocated;
	return 0;
}

void *valloc(size_t size) { return __libc_valloc(size); }

void *pvalloc(size_t size) { return __libc_pvalloc(size); }

size_t malloc_usable_size(void *block) {
	if (gcml_is_large(block)) {
		return gcml_large_size(block);
	}
	size_t (*next)(void *) = (size_t(*)(void *))dlsym(RTLD_NEXT, "malloc_usable_size");
	return next(block);
}
#endif
