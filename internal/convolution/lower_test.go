package convolution

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/geometric-complexity/toolkit/internal/gctest"
	"github.com/geometric-complexity/toolkit/internal/platform"
)

// TestLowerings compares every way to compute a convolution, or the gradient of its kernel, with
// the backend's own ConvGeneral, whatever sizes it would be chosen for.
func TestLowerings(t *testing.T) {
	rng := rand.New(rand.NewPCG(9, 10))
	compare := func(t *testing.T, name string, fn func(a, b *Node) (fast, want *Node), aDims, bDims []int) {
		t.Helper()
		out := MustExecOnceN(gctest.GoBackend(t), fn, gctest.RandomTensor(rng, aDims...), gctest.RandomTensor(rng, bDims...))
		gctest.AssertClose(t, gctest.Flat(out[0]), gctest.Flat(out[1]), 1e-12, 0, name)
	}
	eachConvolution(t, func(t *testing.T, test convolutionCase) {
		ones := []int{1, 1}
		c := geometry{strides: []int{test.stride, test.stride}, inputDilations: ones, kernelDilations: ones,
			paddings: [][2]int{test.paddingOf(7), test.paddingOf(8)}}
		x, k := []int{4, 7, 8, 2}, []int{test.kernel, test.kernel, 2, 3}
		for name, lower := range map[string]func(*Node, *Node, geometry, []int) *Node{
			"patches": convolveByPatches, "windows": convolveByWindows, "matrix": convolveByMatrix} {
			compare(t, name, func(x, k *Node) (*Node, *Node) {
				want := convolutionNode(x, k, c)
				return lower(x, k, c, spatialDims(want)), want
			}, x, k)
		}
		// The input's gradient has the stride as dilation; here it is a convolution in its own
		// right.
		back := geometry{strides: ones, inputDilations: c.strides, kernelDilations: ones, paddings: c.paddings}
		for name, lower := range map[string]func(*Node, *Node, geometry, []int) *Node{
			"columns": convolveByColumns, "taps": convolveByTaps, "phases": convolveByPhases,
			"windows of dilated images": convolveByWindows, "matrix of dilated images": convolveByMatrix} {
			compare(t, name, func(x, k *Node) (*Node, *Node) {
				want := convolutionNode(x, k, back)
				return lower(x, k, back, spatialDims(want)), want
			}, x, k)
		}
		outputs := make([]int, 2)
		for i, size := range []int{7, 8} {
			outputs[i] = (size+c.paddings[i][0]+c.paddings[i][1]-test.kernel)/test.stride + 1
		}
		v := []int{4, outputs[0], outputs[1], 3}
		for name, lower := range map[string]func(geometry, *Node, *Node, []int) *Node{
			"kernel gradient by patches": kernelGradientByPatches, "kernel gradient by rows": kernelGradientByRows,
			"kernel gradient by windows": kernelGradientByWindows,
			"kernel gradient by groups":  kernelGradientByGroups,
			"kernel gradient by matrix":  kernelGradientByMatrix} {
			compare(t, name, func(x, v *Node) (*Node, *Node) {
				return lower(c, x, v, k[:2]), kernelGradientNode(c, x, v, k[:2])
			}, x, v)
		}
	})
}

// TestLoops compares what XLA computes in a loop over groups of images, the last of which is
// smaller or alone, with the backend's own ConvGeneral in float64: products of rows and minimal
// filtering.
func TestLoops(t *testing.T) {
	b := gctest.XLABackend(t)
	if b == nil {
		t.Skip("no XLA here")
	}
	rng := rand.New(rand.NewPCG(19, 20))
	k := gctest.RandomTensor(rng, 3, 3, 2, 3)
	for _, size := range []int{7, 17} { // Of images of 17×18 the rows are multiplied image by image.
		x := gctest.RandomTensor(rng, 7, size, size+1, 2)
		v := gctest.RandomTensor(rng, 7, size+2, size+3, 3) // All sizes of outputs are cut out of it.
		testLoops(t, b, x, k, v)
	}
}

// testLoops is TestLoops for images x and gradients v of the outputs.
func testLoops(t *testing.T, b compute.Backend, x, k, v *tensors.Tensor) {
	t.Helper()
	for _, dtype := range []dtypes.DType{dtypes.Float64, dtypes.Float32} {
		var names []string
		out := MustExecOnceN(b, func(x, k, v *Node) []*Node {
			var all []*Node
			compare := func(name string, fast, want *Node) {
				names = append(names, name)
				all = append(all, ConvertDType(fast, dtypes.Float64), want)
			}
			eachLoop(x, k, v, dtype, compare)
			return all
		}, x, k, v)
		tolerance := map[dtypes.DType]float64{dtypes.Float64: 1e-12, dtypes.Float32: 1e-5}[dtype]
		for i, name := range names {
			gctest.AssertClose(t, gctest.Flat(out[2*i]), gctest.Flat(out[2*i+1]), tolerance, tolerance, dtype.String()+" "+name)
		}
	}
}

// eachLoop calls compare with each loop's result in the given type, and GoMLX's in that of x.
func eachLoop(x, k, v *Node, dtype dtypes.DType, compare func(name string, fast, want *Node)) {
	cases := []convolutionCase{{3, 1, "valid"}, {3, 1, "same"}, {3, 1, "explicit"}, {3, 2, "same"}, {2, 3, "explicit"}}
	for _, test := range cases {
		c := geometry{strides: []int{test.stride, test.stride}, inputDilations: []int{1, 1}, kernelDilations: []int{1, 1},
			paddings: [][2]int{test.paddingOf(x.Shape().Dim(1)), test.paddingOf(x.Shape().Dim(2))}}
		dims := spatialDims(convolutionNode(x, Slice(k, AxisRange(0, test.kernel), AxisRange(0, test.kernel)), c))
		outputs := Slice(v, AxisRange(), AxisRange(0, dims[0]), AxisRange(0, dims[1]))
		kernelDims := []int{test.kernel, test.kernel}
		want := kernelGradientNode(c, x, outputs, kernelDims)
		in := func(x *Node) *Node { return ConvertDType(x, dtype) }
		for _, images := range []int{1, 3, 7} {
			name := fmt.Sprintf("%+v of %d images", test, images)
			compare("rows "+name, kernelGradientByRowsOf(images, c, in(x), in(outputs), kernelDims), want)
			if test.kernel == 3 && test.stride == 1 {
				compare("minimal filtering "+name, kernelGradientByWinogradOf(images, c, in(x), in(outputs)), want)
			}
		}
	}
}

// TestGroups checks the kernel's gradient as the sum over groups of images, the last of which is
// smaller.
func TestGroups(t *testing.T) {
	rng := rand.New(rand.NewPCG(13, 14))
	c := geometry{strides: []int{1, 1}, inputDilations: []int{1, 1}, kernelDilations: []int{1, 1},
		paddings: [][2]int{{1, 1}, {1, 1}}}
	batch := 2*groupImages + 3
	out := MustExecOnceN(gctest.GoBackend(t), func(x, v *Node) []*Node {
		return []*Node{kernelGradientByGroups(c, x, v, []int{3, 3}), kernelGradientNode(c, x, v, []int{3, 3})}
	}, gctest.RandomTensor(rng, batch, 8, 8, 2), gctest.RandomTensor(rng, batch, 8, 8, 3))
	gctest.AssertClose(t, gctest.Flat(out[0]), gctest.Flat(out[1]), 1e-12, 1e-12, "kernel gradient")
}

// TestOneDNN compares first and second derivatives in float32, for which XLA uses oneDNN where it
// is told to, with those of the Go backend in float64: of large images, and of such that are no
// larger than the kernel, in batches that are worth a dense matrix and in smaller ones.
func TestOneDNN(t *testing.T) {
	gctest.ForEachBackend(t, func(t *testing.T, b compute.Backend) {
		if b.String() != "go" && !platform.HasOneDNN() {
			t.Skip("this plugin came without flags for oneDNN")
		}
		rng := rand.New(rand.NewPCG(15, 16))
		for _, test := range []struct{ batch, size, kernel, stride, in, out int }{
			{2, 8, 3, 1, 16, 16}, {2, 9, 3, 2, 16, 32}, {2, 8, 3, 2, 16, 32}, {2, 8, 1, 2, 16, 32}, {2, 8, 3, 1, 3, 16},
			{2, 7, 5, 3, 4, 4}, {2, 4, 2, 2, 3, 5},
			{2, 16, 3, 1, 8, 12}, {2, 17, 3, 2, 8, 12}, {2, 16, 3, 1, 128, 128}, {3, 15, 3, 1, 128, 64},
			{2, 17, 3, 2, 128, 128}, {3, 17, 3, 2, 64, 128}, {3, 17, 3, 2, 128, 16},
			{40, 2, 3, 1, 3, 5}, {2, 2, 3, 1, 3, 5}, {40, 2, 3, 2, 3, 5}, {2, 2, 3, 2, 3, 5},
			{40, 1, 3, 1, 3, 5}, {1, 1, 3, 1, 3, 5}, {2, 3, 5, 1, 2, 3}, {40, 3, 5, 2, 2, 3}} {
			t.Run(fmt.Sprintf("%+v", test), func(t *testing.T) {
				derivatives := func(x, k *Node) []*Node {
					k = DivScalar(k, math.Sqrt(float64(test.kernel*test.kernel*test.in))) // Outputs of size 1, whatever the channels.
					half := (test.kernel - 1) / 2
					y := Sin(Of(x, k, []int{test.stride, test.stride}, [][2]int{{half, half}, {half, half}}))
					first := Gradient(ReduceAllSum(y), x, k)
					squares := Add(ReduceAllSum(Square(first[0])), ReduceAllSum(Square(first[1])))
					return append([]*Node{y}, append(first, Gradient(squares, x, k)...)...)
				}
				x := gctest.RandomTensor(rng, test.batch, test.size, test.size, test.in)
				k := gctest.RandomTensor(rng, test.kernel, test.kernel, test.in, test.out)
				want := MustExecOnceN(gctest.GoBackend(t), derivatives, x, k)
				for _, input := range []*tensors.Tensor{x, k} {
					if err := input.ToLocal(); err != nil { // From one backend to the other.
						t.Fatal(err)
					}
				}
				got := MustExecOnceN(b, func(x, k *Node) []*Node {
					return derivatives(ConvertDType(x, dtypes.Float32), ConvertDType(k, dtypes.Float32))
				}, x, k)
				for i, what := range []string{"outputs", "images' gradient", "kernel's gradient", "images' second",
					"kernel's second"} {
					gctest.AssertClose(t, gctest.Flat(got[i]), gctest.Flat(want[i]), 2e-5, 0, what)
				}
			})
		}
	})
}

// TestBlocks checks that the images are together again, and the kernel's gradient is summed, after
// the work on blocks of them, the last of which is smaller, and with several outputs for each
// window.
func TestBlocks(t *testing.T) {
	x, k, v := []int{5, 64, 64, 16}, []int{3, 3, 16, 4}, []int{5, 64, 64, 4}
	c := geometry{strides: []int{1, 1}, inputDilations: []int{1, 1}, kernelDilations: []int{1, 1},
		paddings: [][2]int{{1, 1}, {1, 1}}}
	w := windowsOf(c, k[:2], v[1:3], v[3])
	rng := rand.New(rand.NewPCG(11, 12))
	inputs := []any{gctest.RandomTensor(rng, x...), gctest.RandomTensor(rng, k...), gctest.RandomTensor(rng, v...)}
	out := MustExecOnceN(gctest.GoBackend(t), func(x, k, v *Node) []*Node {
		if blocks := w.blocks(x, forwardElements); len(blocks) != 2 || blocks[1] != (imageBlock{3, 2}) || w.group[1] == 1 {
			t.Errorf("blocks %v and groups %v: not what this test is about", blocks, w.group)
		}
		return []*Node{convolveByWindows(x, k, c, spatialDims(v)), convolutionNode(x, k, c),
			kernelGradientByWindows(c, x, v, []int{3, 3}), kernelGradientNode(c, x, v, []int{3, 3})}
	}, inputs...)
	gctest.AssertClose(t, gctest.Flat(out[0]), gctest.Flat(out[1]), 1e-12, 0, "convolution")
	gctest.AssertClose(t, gctest.Flat(out[2]), gctest.Flat(out[3]), 1e-12, 1e-12, "kernel gradient")
}

// TestLargeConvolution checks sizes for which the lowerings of large images and many channels are
// chosen.
func TestLargeConvolution(t *testing.T) {
	gctest.ForEachBackend(t, func(t *testing.T, b compute.Backend) {
		for _, test := range []struct{ size, stride int }{{17, 1}, {33, 2}, {6, 1}, {6, 2}} {
			t.Run(fmt.Sprintf("size %d stride %d", test.size, test.stride), func(t *testing.T) {
				gctest.CheckDerivatives(t, b, func(in []*Node) *Node {
					return Of(in[0], in[1], []int{test.stride, test.stride}, [][2]int{{1, 1}, {1, 0}})
				}, []int{1, test.size, test.size, 16}, []int{3, 3, 16, 16})
			})
		}
	})
}
