//go:build linux && cgo && !noxla && !asan && !msan

// Package heaptest lets tests use the C library's allocator, because test files cannot use cgo.
package heaptest

// #define _GNU_SOURCE
// #include <malloc.h>
// #include <stdint.h>
// #include <stdlib.h>
// #include <string.h>
// #include <sys/resource.h>
//
// // Called by these names, so that the compiler does not leave out blocks that nobody reads.
// static void *(*volatile allocate)(size_t) = malloc;
// static void (*volatile release)(void *) = free;
// static void *(*volatile fill)(void *, int, size_t) = memset;
//
// static long faults(void) {
// 	struct rusage usage;
// 	getrusage(RUSAGE_THREAD, &usage);
// 	return usage.ru_minflt;
// }
//
// static long faults_of(size_t size) {
// 	long before = faults();
// 	void *block = allocate(size);
// 	fill(block, 1, size);
// 	release(block);
// 	return faults() - before;
// }
//
// enum { SLOTS = 40 };
//
// static size_t draw(uint64_t *state, size_t below) {
// 	*state = *state * 6364136223846793005u + 1442695040888963407u;
// 	return (size_t)(*state >> 33) % below;
// }
//
// static void *request(uint64_t *state, size_t size, int *fault) {
// 	size_t alignment = (size_t)8 << draw(state, 10);
// 	void *block = NULL;
// 	switch (draw(state, 4)) {
// 	case 0:
// 		return allocate(size);
// 	case 1:
// 		return calloc(1, size);
// 	case 2:
// 		block = aligned_alloc(alignment, size / alignment * alignment + alignment);
// 		break;
// 	default:
// 		*fault |= posix_memalign(&block, alignment, size) != 0;
// 	}
// 	*fault |= (uintptr_t)block % alignment != 0;
// 	return block;
// }
//
// // A block has the number of its slot in its first byte, its last one, and others 64 KiB apart.
// static void mark(unsigned char *block, size_t size, int slot) {
// 	for (size_t i = 0; i < size; i += 1 << 16) {
// 		block[i] = slot;
// 	}
// 	block[size - 1] = slot;
// }
//
// static int is_marked(unsigned char *block, size_t size, int slot) {
// 	int marked = 1;
// 	for (size_t i = 0; i < size; i += 1 << 16) {
// 		marked &= block[i] == slot;
// 	}
// 	return marked;
// }
//
// static int stress(uint64_t state, int rounds) {
// 	unsigned char *blocks[SLOTS] = {0};
// 	size_t sizes[SLOTS] = {0};
// 	int fault = 0;
// 	for (int i = 0; i < rounds && !fault; i++) {
// 		int slot = draw(&state, SLOTS), is_last = i >= rounds - SLOTS;
// 		if (is_last) {
// 			slot = rounds - 1 - i;
// 		}
// 		unsigned char *block = blocks[slot];
// 		size_t old = sizes[slot];
// 		if (block != NULL) {
// 			fault |= !is_marked(block, old, slot) || block[old - 1] != slot;
// 			fault |= malloc_usable_size(block) < old;
// 		}
// 		size_t size = 1 + draw(&state, draw(&state, 2) ? (size_t)1 << 23 : 1000);
// 		if (block != NULL && !is_last && draw(&state, 3) == 0) {
// 			block = realloc(block, size);
// 			fault |= !is_marked(block, old < size ? old : size, slot);
// 		} else {
// 			release(block);
// 			block = is_last ? NULL : request(&state, size, &fault);
// 		}
// 		blocks[slot] = block;
// 		sizes[slot] = size;
// 		if (block != NULL) {
// 			mark(block, size, slot);
// 		}
// 	}
// 	return fault;
// }
//
// static void *kept[64];
//
// static void allocate_many(size_t size, int count) {
// 	for (int i = 0; i < count; i++) {
// 		kept[i] = allocate(size);
// 		fill(kept[i], 1, size);
// 	}
// }
//
// // In the order 0, 7, 14, ...: neighbours above, below, on both sides, and none.
// static void free_many(int count) {
// 	for (int i = 0; i < count; i++) {
// 		release(kept[i * 7 % count]);
// 	}
// }
import "C"

import "runtime"

// Faults returns the page faults of a block of this size that is allocated, filled and freed: about
// none if the C library had kept memory for it.
func Faults(bytes int) int {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	return int(C.faults_of(C.size_t(bytes)))
}

// Stress allocates, moves and frees blocks of up to 8 MiB in an order drawn from the seed, and
// reports whether every block was aligned, had its size, and kept what was written.
func Stress(seed uint64, rounds int) bool { return C.stress(C.uint64_t(seed), C.int(rounds)) == 0 }

// AllocateAndFree fills so many blocks, up to 64, and then frees them in another order.
func AllocateAndFree(bytes, count int) {
	C.allocate_many(C.size_t(bytes), C.int(count))
	C.free_many(C.int(count))
}
