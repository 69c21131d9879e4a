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

// FreeOSMemory returns the memory that XLA has freed to the operating system. Otherwise the C
// library keeps some of it, or all of it in a program that imports package keepmemory.
func FreeOSMemory() { C.free_memory() }
