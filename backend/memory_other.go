//go:build !(linux && cgo && !noxla)

package backend

// FreeOSMemory does nothing here. On Linux with XLA it returns memory that XLA has freed to the
// operating system.
func FreeOSMemory() {}
