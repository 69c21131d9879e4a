//go:build !linux && cgo && !noxla

package backend

// beforeCUDA has nothing to do: XLA's CUDA plugin is for Linux.
func beforeCUDA(resolvedPlugin) []string { return nil }
