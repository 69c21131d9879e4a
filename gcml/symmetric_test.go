package gcml

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/gomlx/compute"
	. "github.com/gomlx/gomlx/core/graph"

	"github.com/geometric-complexity/toolkit/internal/gctest"
	"github.com/geometric-complexity/toolkit/internal/platform"
	"github.com/geometric-complexity/toolkit/internal/vjp"
)

// TestSymmetric compares the product assembled from its strips, and v·(AᵀA)·vᵀ computed from the
// strips, with plain products, also of so many terms that the Go backend adds them in parts.
func TestSymmetric(t *testing.T) {
	rng := rand.New(rand.NewPCG(21, 22))
	gctest.ForEachBackend(t, func(t *testing.T, b compute.Backend) {
		sizes := [][2]int{{1, 5}, {2, 5}, {3, 5}, {4, 5}, {7, 5}, {10, 5}, {70, 5}, {300, 5}, {3, 2048}, {70, 3072}}
		for _, size := range sizes {
			n, terms := size[0], size[1]
			for axis := range 2 {
				t.Run(fmt.Sprintf("%d columns of %d, axis %d", n, terms, axis), func(t *testing.T) {
					dims := []int{terms, n}
					if axis == 0 {
						dims = []int{n, terms}
					}
					out := MustExecOnceN(b, func(a, v *Node) []*Node {
						plain := Dot(a, a).General([]int{1 - axis}, nil, []int{1 - axis}, nil)
						strips := symmetricStrips(a, axis)
						j := &jacobian{first: vjp.FirstLinear{Weights: a, Transposed: axis == 0}}
						form := ReduceSum(j.gramSquares(InsertAxes(v, 0)), 2)
						return []*Node{symmetricFromStrips(strips), plain, form, ReduceSum(Mul(Dot(v, plain).Product(), v), 1)}
					}, gctest.RandomTensor(rng, dims...), gctest.RandomTensor(rng, 3, n))
					gctest.AssertClose(t, gctest.Flat(out[0]), gctest.Flat(out[1]), 1e-12, 1e-11, "the matrix")
					gctest.AssertClose(t, gctest.Flat(out[2]), gctest.Flat(out[3]), 1e-12, 1e-11, "the quadratic form")
				})
			}
		}
	})
}

func TestBlockBounds(t *testing.T) {
	for _, tc := range []struct {
		n, blocks int
		want      []int
	}{
		{1, 4, []int{0, 1}}, {3, 4, []int{0, 1, 2, 3}}, {10, 4, []int{0, 3, 6, 9, 10}}, {100, 4, []int{0, 25, 50, 75, 100}},
		{500, 4, []int{0, 128, 256, 384, 500}}, {300, 4, []int{0, 128, 256, 300}}, {500, 1, []int{0, 500}},
	} {
		got := blockBounds(tc.n, tc.blocks)
		if !slices.Equal(got, tc.want) {
			t.Errorf("%d columns in %d blocks: %v, want %v", tc.n, tc.blocks, got, tc.want)
		}
		if again := blockBounds(tc.n, len(got)-1); !slices.Equal(again, got) {
			t.Errorf("%d columns in %d blocks: %v, want %v again", tc.n, len(got)-1, again, got)
		}
	}
}

// TestContractionParts: only the Go backend divides, and each part has at least 1,024 terms.
func TestContractionParts(t *testing.T) {
	gctest.ForEachBackend(t, func(t *testing.T, b compute.Backend) {
		for terms, parts := range map[int]int{1: 1, 784: 1, 2047: 1, 2048: 2, 3072: 3, 5120: 5, 12288: 8, 2053: 1} {
			if platform.Of(b) != platform.Go {
				parts = 1
			}
			if got := contractionParts(b, terms); got != parts {
				t.Errorf("%d terms in %d parts, want %d", terms, got, parts)
			}
		}
	})
}
