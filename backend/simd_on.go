//go:build goexperiment.simd

package backend

// SIMD says whether this program was built with GOEXPERIMENT=simd.
const SIMD = true
