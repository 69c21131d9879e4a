//go:build linux && cgo && !noxla

package backend

// #include <malloc.h>
//
// extern void gcml_large_trim(void) __attribute__((weak)); // In package keepmemory.
//
// static void free_memory(void) {
// #ifdef __GLIBC__
// 	malloc_trim(0);
// 	if (gcml_large_trim) {
// 		gcml_large_trim();
// 	}
// #endif
// }
import "C"

// FreeOSMemory returns the memory that XLA has freed to the operating system. Otherwise the process
// keeps some of it, or most of it in a program that imports package keepmemory.
func FreeOSMemory() { C.free_memory() }
