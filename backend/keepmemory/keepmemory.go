// Package keepmemory is imported for its effect: in a program on Linux the C library keeps the
// memory that XLA frees, instead of taking it from the system anew for every run. For a ResNet18 on
// two cores the system's work on these pages took an eighth of a training step. The process then
// holds on to the most that it ever needed; backend.FreeOSMemory gives it back.
//
//	import _ "example.com/geometric-complexity/backend/keepmemory"
//
// This has to be done before the program has threads, which is why opening a backend does not do
// it. It does nothing where a variable MALLOC_... or GLIBC_TUNABLES is set, with a C library other
// than glibc, and in a program without XLA.
package keepmemory
