// A heap for large blocks that keeps its memory, see large_linux.c.

#include <stdbool.h>
#include <stdlib.h>

// LARGE is the size of the smallest block of this heap, LARGE_ALIGNMENT the alignment of all.
#define LARGE ((size_t)1 << 20)
#define LARGE_ALIGNMENT ((size_t)64)

// gcml_large_open reserves the heap's addresses. It must be called before the first thread starts; without it the heap
// has no block for anybody.
void gcml_large_open(void);

// gcml_large_malloc returns a block of at least so many bytes, or NULL if that is less than LARGE or more than is left.
void *gcml_large_malloc(size_t size);

// gcml_is_large says whether gcml_large_malloc has returned this block.
bool gcml_is_large(void *block);

// gcml_large_size returns the number of bytes that a block has room for.
size_t gcml_large_size(void *block);

// gcml_large_free makes the block's memory available for others. A block of LARGEST_KEPT bytes and more is returned to the
// system, so that a heap that another block has divided does not hold such a block twice.
void gcml_large_free(void *block);
#define LARGEST_KEPT ((size_t)1 << 30)

// gcml_large_trim returns the memory of all free blocks to the system.
void gcml_large_trim(void);
