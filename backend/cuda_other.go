//go:build !linux && cgo && !noxla

package backend

// beforeCUDA does nothing: XLA's CUDA plugin exists for Linux only.
func beforeCUDA(resolvedPlugin) []string { return nil }
