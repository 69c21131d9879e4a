package vjp_test

import (
	"math/rand/v2"
	"testing"

	"github.com/gomlx/compute"
	. "github.com/gomlx/gomlx/core/graph"
	timage "github.com/gomlx/gomlx/core/tensors/images"

	"github.com/geometric-complexity/toolkit/internal/gctest"
	"github.com/geometric-complexity/toolkit/internal/platform"
	"github.com/geometric-complexity/toolkit/internal/vjp"
)

// TestGainIntoKernel checks networks with a gain behind a convolution: the adjoints, and the
// gradients of their squares with respect to kernel and gain, against GoMLX's own gradients and
// gradients of gradients; and whether the gain went into the kernel.
func TestGainIntoKernel(t *testing.T) {
	same := func(x, k *Node) *Node { return Convolve(x, k).PadSame().Done() }
	behind := func(x, k, gain *Node) *Node { return Tanh(Mul(same(x, k), gain)) }
	cases := []struct {
		name       string
		x, k, gain []int
		fn         func(x, k, gain *Node) *Node
		intoKernel int
	}{
		{"channels last", []int{4, 5, 5, 2}, []int{3, 3, 2, 3}, []int{1, 1, 1, 3}, behind, 1},
		{"one axis", []int{4, 5, 2}, []int{3, 2, 3}, []int{1, 1, 3}, behind, 1},
		{"gain first", []int{4, 5, 5, 2}, []int{3, 3, 2, 3}, []int{1, 1, 1, 3},
			func(x, k, gain *Node) *Node { return Tanh(Mul(gain, same(x, k))) }, 1},
		{"less a center, plus an offset", []int{4, 5, 5, 2}, []int{3, 3, 2, 3}, []int{1, 1, 1, 3},
			func(x, k, gain *Node) *Node { return Tanh(Add(Mul(Sub(same(x, k), Sin(gain)), gain), gain)) }, 1},
		{"channels first", []int{4, 2, 5, 5}, []int{3, 2, 3, 3}, []int{1, 3, 1, 1}, func(x, k, gain *Node) *Node {
			return Tanh(Mul(Convolve(x, k).ChannelsAxis(timage.ChannelsFirst).PadSame().Done(), gain))
		}, 1},
		{"stride", []int{4, 6, 6, 2}, []int{3, 3, 2, 3}, []int{1, 1, 1, 3},
			func(x, k, gain *Node) *Node { return Tanh(Mul(Convolve(x, k).Strides(2).PadSame().Done(), gain)) }, 1},
		{"groups of channels", []int{4, 5, 5, 4}, []int{3, 3, 2, 6}, []int{1, 1, 1, 6},
			func(x, k, gain *Node) *Node {
				return Tanh(Mul(Convolve(x, k).ChannelGroupCount(2).PadSame().Done(), gain))
			}, 1},
		{"two convolutions", []int{4, 5, 5, 3}, []int{3, 3, 3, 3}, []int{1, 1, 1, 3},
			func(x, k, gain *Node) *Node { return behind(behind(x, k, gain), Sin(k), Cos(gain)) }, 2},
		{"along rows", []int{4, 5, 5, 2}, []int{3, 3, 2, 3}, []int{1, 5, 1, 1}, behind, 0},
		{"along two axes", []int{4, 5, 5, 2}, []int{3, 3, 2, 3}, []int{1, 1, 5, 3}, behind, 0},
		{"per example", []int{4, 5, 5, 2}, []int{3, 3, 2, 3}, []int{4, 1, 1, 1}, behind, 0},
		{"one for all", []int{4, 5, 5, 2}, []int{3, 3, 2, 3}, []int{1, 1, 1, 1}, behind, 0},
		{"used without the gain, too", []int{4, 5, 5, 2}, []int{3, 3, 2, 3}, []int{1, 1, 1, 3},
			func(x, k, gain *Node) *Node { y := same(x, k); return Add(Tanh(Mul(y, gain)), Square(y)) }, 0},
		{"depends on the inputs", []int{4, 5, 5, 3}, []int{3, 3, 3, 3}, []int{1, 1, 1, 3},
			func(x, k, gain *Node) *Node { return Tanh(Mul(same(x, k), Mul(x, gain))) }, 0},
		{"large kernel", []int{4, 1, 1, 32}, []int{3, 3, 32, 8}, []int{1, 1, 1, 8}, behind, 0},
	}
	gctest.ForEachBackend(t, func(t *testing.T, b compute.Backend) {
		for _, c := range cases {
			intoKernel := c.intoKernel
			if platform.Of(b) == platform.Go {
				intoKernel = 0
			}
			t.Run(c.name, func(t *testing.T) {
				rng := rand.New(rand.NewPCG(4, 0))
				out := MustExecOnceN(b, func(x, k, gain *Node) []*Node {
					y := c.fn(x, k, gain)
					s := vjp.New(y, x)
					cotangents := drawn(y.Graph(), y.DType(), append([]int{3}, y.Shape().Dimensions...)...)
					results := againstGradient(s, y, x, cotangents, k, gain)
					if got := s.GainsInKernels(); got != intoKernel {
						t.Errorf("%d kernels have taken a gain, want %d", got, intoKernel)
					}
					return results
				}, gctest.RandomTensor(rng, c.x...), gctest.RandomTensor(rng, c.k...), gctest.RandomTensor(rng, c.gain...))
				for i, what := range []string{"adjoint", "gradient of the kernel", "gradient of the gain"} {
					gctest.AssertClose(t, gctest.Flat(out[2*i]), gctest.Flat(out[2*i+1]), 1e-10, 1e-10, what)
				}
			})
		}
	})
}

// againstGradient returns what Pull makes of the cotangents and the gradients of its squares, each
// before the same by GoMLX's Gradient of every cotangent.
func againstGradient(s *vjp.Pullback, y, x, cotangents *Node, parameters ...*Node) []*Node {
	var rows []*Node
	for i := range cotangents.Shape().Dim(0) {
		weighted := Mul(y, Squeeze(SliceAxis(cotangents, 0, AxisElem(i)), 0))
		rows = append(rows, Gradient(ReduceAllSum(weighted), x)[0])
	}
	pulled, wanted := s.Pull(cotangents), Stack(rows, 0)
	results := []*Node{pulled, wanted}
	squares := func(v *Node) []*Node { return Gradient(ReduceAllSum(Square(v)), parameters...) }
	for i, got := range squares(pulled) {
		results = append(results, got, squares(wanted)[i])
	}
	return results
}
