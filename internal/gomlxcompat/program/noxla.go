//go:build !cgo || noxla

package program

import "github.com/gomlx/compute"

// Text returns ok = false, because this build has no XLA.
func Text(compute.Builder) (text []byte, ok bool) { return nil, false }
