// Package operatornorm computes the largest singular value of a matrix.
package operatornorm

import (
	"math"

	"gonum.org/v1/gonum/mat"

	"github.com/geometric-complexity/toolkit/internal/stats"
)

// Squared returns the square of the largest singular value of a matrix: the largest eigenvalue of
// the smaller Gram matrix. It is NaN if the iteration fails, or if a value is not finite, on which
// gonum panics.
//
// Gram matrices are positive, so that their eigenvalues are their singular values: gonum v0.17's
// EigenSym without vectors panics on some matrices with a nearly zero block, which inactive units
// and kernels that a penalty shrinks to zero cause.
func Squared(a *mat.Dense) float64 {
	rows, columns := a.Dims()
	var gram mat.SymDense
	if rows <= columns {
		gram.SymOuterK(1, a)
	} else {
		gram.SymOuterK(1, a.T())
	}
	if trace := mat.Trace(&gram); !stats.Finite(trace) {
		return math.NaN()
	}
	var svd mat.SVD
	if !svd.Factorize(&gram, mat.SVDNone) {
		return math.NaN()
	}
	return svd.Values(nil)[0]
}
