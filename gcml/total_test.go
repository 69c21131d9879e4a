package gcml

import (
	"math/rand/v2"
	"testing"

	"github.com/gomlx/compute"
	. "github.com/gomlx/gomlx/core/graph"

	"github.com/geometric-complexity/toolkit/internal/gctest"
)

// TestTotalWithinMemory compares ‖J‖² of sin(x·W), J_kf = cos(x·w_k)·W_fk, with the closed form in
// both orders of summation: over the cotangents first, and over the inputs first, as when the
// squares take too much memory.
func TestTotalWithinMemory(t *testing.T) {
	limit := largestSquaresBytes
	t.Cleanup(func() { largestSquaresBytes = limit })
	rng := rand.New(rand.NewPCG(23, 24))
	gctest.ForEachBackend(t, func(t *testing.T, b compute.Backend) {
		x, w := gctest.RandomTensor(rng, 5, 4), gctest.RandomTensor(rng, 4, 3)
		for _, largestSquaresBytes = range []int{limit, 0} {
			out := MustExecOnceN(b, func(x, w *Node) []*Node {
				z := Dot(x, w).Product()
				norms := SquaredJacobianNorm(Sin(z), x, WithoutClosedForm(), WithCotangents(1))
				return []*Node{norms, ReduceSum(Mul(Square(Cos(z)), ReduceAndKeep(Square(w), ReduceSum, 0)), 1)}
			}, x, w)
			gctest.AssertClose(t, gctest.Flat(out[0]), gctest.Flat(out[1]), 1e-12, 0, "the squared norms")
		}
	})
}
