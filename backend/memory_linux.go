//go:build linux && cgo && !noxla

package backend

// #include <malloc.h>
//
// static void free_memory(void) {
// #ifdef __GLIBC__
// 	malloc_trim(0);
// #endif
// }
import "C"

// FreeOSMemory gives the memory that XLA has freed back to the system. The C library keeps some of
// it otherwise, and all of it in a program that imports package keepmemory.
func FreeOSMemory() { C.free_memory() }
