//go:build linux && cgo

// Package mallocinfo lets tests see how the C library allocates, because test files cannot use cgo.
package mallocinfo

// #include <malloc.h>
// #include <stdlib.h>
//
// #ifdef __GLIBC__
// #if __GLIBC_PREREQ(2, 33)
// #define mapped_blocks() mallinfo2().hblks
// #else
// #define mapped_blocks() mallinfo().hblks
// #endif
// #else
// #define mapped_blocks() 0
// #endif
//
// static int is_mapped(size_t size) {
// 	long before = mapped_blocks();
// 	char *volatile block = malloc(size);
// 	int mapped = mapped_blocks() > before;
// 	free(block);
// 	return mapped;
// }
import "C"

// Mapped says whether the C library allocates a block of this size by mmap, and so returns it to
// the operating system when it is freed. It is always false with a C library other than glibc.
func Mapped(bytes int) bool { return C.is_mapped(C.size_t(bytes)) != 0 }
