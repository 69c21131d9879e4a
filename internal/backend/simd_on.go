//go:build goexperiment.simd

package backend

const simdBuiltIn = true
