//go:build linux && cgo && !noxla && !asan && !msan

// A heap for large blocks that keeps its memory.
//
// It is one range of addresses, divided into blocks without gaps. A free block is merged with its neighbours, so no two
// neighbours are free. A request gets the smallest free block that is large enough, divided if it is much larger; or else
// the range is extended. There are few large blocks, so a list of the free ones and one lock are enough.

#define _GNU_SOURCE // For MAP_ANONYMOUS and madvise.
#include "large_linux.h"

#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

// block is the header in front of a block's memory.
struct block {
	size_t size;                  // With this header.
	struct block *below;          // The neighbour at lower addresses, or NULL.
	struct block *next, *previous; // In the list of free blocks; next is NULL if the block is in use.
};

_Static_assert(sizeof(struct block) <= LARGE_ALIGNMENT, "the header must fit before an aligned block");

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char *start, *end;     // The range that blocks fill so far.
static size_t reserved;       // The bytes from start on that they may fill.
static size_t page;           // The size of a page.
static struct block *highest; // The block at the end of the range, or NULL.
static struct block list = {.next = &list, .previous = &list};

static void lock_heap(void) { pthread_mutex_lock(&lock); }
static void unlock_heap(void) { pthread_mutex_unlock(&lock); }

void gcml_large_open(void) {
	page = sysconf(_SC_PAGESIZE);
	size_t size = 2 * (size_t)sysconf(_SC_PHYS_PAGES) * page;
	void *range = mmap(NULL, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (range == MAP_FAILED) { // For example because of ulimit -v.
		return;
	}
	pthread_atfork(lock_heap, unlock_heap, unlock_heap);
	start = end = range;
	reserved = size;
}

static void remove_from_list(struct block *b) {
	b->previous->next = b->next;
	b->next->previous = b->previous;
	b->next = NULL;
}

static void add_to_list(struct block *b) {
	b->next = list.next;
	b->previous = &list;
	b->next->previous = list.next = b;
}

static bool is_free(struct block *b) { return b != NULL && b->next != NULL; }

static struct block *above(struct block *b) { return b == highest ? NULL : (struct block *)((char *)b + b->size); }

// put_below makes b the neighbour below another block, or the highest one if that is NULL.
static void put_below(struct block *b, struct block *neighbour) {
	if (neighbour == NULL) {
		highest = b;
	} else {
		neighbour->below = b;
	}
}

// merge makes one block of b and its neighbour above.
static void merge(struct block *b) {
	struct block *neighbour = above(b), *next = above(neighbour);
	b->size += neighbour->size;
	put_below(b, next);
}

// divide cuts a block after so many bytes, if what is left is large, and adds that to the list.
static void divide(struct block *b, size_t size) {
	if (b->size - size < LARGE) {
		return;
	}
	struct block *rest = (struct block *)((char *)b + size), *neighbour = above(b);
	*rest = (struct block){.size = b->size - size, .below = b};
	b->size = size;
	put_below(rest, neighbour);
	add_to_list(rest);
}

// extend returns a new block at the end of the range, or NULL. A free block there becomes part of it.
static struct block *extend(size_t size) {
	bool grows = is_free(highest);
	size_t missing = grows ? size - highest->size : size;
	if (missing > reserved - (end - start) || mprotect(end, missing, PROT_READ | PROT_WRITE) != 0) {
		return NULL;
	}
	struct block *b = grows ? highest : (struct block *)end;
	if (grows) {
		remove_from_list(b);
	} else {
		b->below = highest;
	}
	b->size = size;
	highest = b;
	end += missing;
	return b;
}

void *gcml_large_malloc(size_t size) {
	if (size < LARGE || size > reserved) {
		return NULL;
	}
	size = (size + LARGE_ALIGNMENT + page - 1) / page * page;
	lock_heap();
	struct block *best = NULL;
	for (struct block *b = list.next; b != &list; b = b->next) {
		if (b->size >= size && (best == NULL || b->size < best->size)) {
			best = b;
		}
	}
	if (best != NULL) {
		remove_from_list(best);
		divide(best, size);
	} else {
		best = extend(size);
	}
	unlock_heap();
	return best == NULL ? NULL : (char *)best + LARGE_ALIGNMENT;
}

static struct block *header(void *memory) { return (struct block *)((char *)memory - LARGE_ALIGNMENT); }

bool gcml_is_large(void *memory) { return (uintptr_t)memory - (uintptr_t)start < reserved; }

size_t gcml_large_size(void *memory) { return header(memory)->size - LARGE_ALIGNMENT; }

// give_back returns a block's memory to the system, except for the page with the header.
static void give_back(struct block *b) {
	int before = errno; // free leaves errno as it is.
	madvise((char *)b + page, b->size - page, MADV_DONTNEED);
	errno = before;
}

void gcml_large_free(void *memory) {
	struct block *b = header(memory);
	if (b->size >= LARGEST_KEPT) { // Its size changes only once it is free, so this needs no lock.
		give_back(b);
	}
	lock_heap();
	if (is_free(above(b))) {
		remove_from_list(above(b));
		merge(b);
	}
	if (is_free(b->below)) {
		b = b->below;
		remove_from_list(b);
		merge(b);
	}
	add_to_list(b);
	unlock_heap();
}

void gcml_large_trim(void) {
	lock_heap();
	for (struct block *b = list.next; b != &list; b = b->next) {
		give_back(b);
	}
	unlock_heap();
}
