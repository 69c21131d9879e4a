// Package keepmemory is imported for its effect: on Linux the process keeps the memory that XLA
// frees, instead of requesting it from the operating system for every run. For a ResNet18 on two
// cores, handling these pages took an eighth of a training step. The process then keeps its peak
// memory until backend.FreeOSMemory returns it; blocks of 1 GiB and more go back at once. Call
// backend.FreeOSMemory once after the first run of a program: it returns what compiling left
// behind.
//
//	import _ "github.com/geometric-complexity/toolkit/backend/keepmemory"
//
// Blocks of 1 MiB and more come from a heap of this package, smaller ones from the C library. So
// the program gets its own malloc, free and the rest of that family, which pass small blocks on.
// Another allocator in LD_PRELOAD gets at most these.
//
// The heap must precede the program's first thread, so it is made on import and not when a backend
// is opened. All blocks come from the C library if a variable MALLOC_... or GLIBC_TUNABLES is set,
// if ulimit -v leaves no room for twice the machine's memory, with a C library other than glibc, in
// a program without XLA, and in one built with -asan or -msan.
package keepmemory
