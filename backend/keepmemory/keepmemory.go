// Package keepmemory is imported for its effect: on Linux the C library keeps the memory that XLA
// frees, instead of requesting it from the operating system for every run. For a ResNet18 on two
// cores, handling these pages took an eighth of a training step. The process then keeps its peak
// memory until backend.FreeOSMemory returns it. Blocks of 1 GiB and more are not kept: once freed,
// such a block on the heap serves small requests too, so the next run's block does not fit into it,
// and the heap has two. The same happens to smaller ones: call backend.FreeOSMemory once, after
// the first run of a program, for a lower peak. For a step of a ResNet18 with exact GC it fell
// from 1.9 GB to 1.3.
//
//	import _ "github.com/geometric-complexity/toolkit/backend/keepmemory"
//
// The setting must precede the program's first thread, so it happens on import and not when a
// backend is opened. It does nothing if a variable MALLOC_... or GLIBC_TUNABLES is set, with a C
// library other than glibc, and in a program without XLA.
package keepmemory
