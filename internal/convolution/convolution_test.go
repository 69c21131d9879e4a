package convolution

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"

	"github.com/geometric-complexity/toolkit/internal/gctest"
)

// convolutionCase is one row of the table: everything but the sizes.
type convolutionCase struct {
	kernel, stride int
	padding        string
}

// paddingOf returns the padding of one axis by name.
func (c convolutionCase) paddingOf(size int) [2]int {
	switch c.padding {
	case "valid":
		return [2]int{}
	case "explicit":
		return [2]int{2, 1}
	}
	// "same": the output has ceil(size/stride) elements, odd padding goes to the end.
	out := (size + c.stride - 1) / c.stride
	total := max(0, (out-1)*c.stride+c.kernel-size)
	return [2]int{total / 2, total - total/2}
}

func eachConvolution(t *testing.T, fn func(t *testing.T, c convolutionCase)) {
	for _, kernel := range []int{1, 2, 3, 5} {
		for _, stride := range []int{1, 2, 3} {
			for _, padding := range []string{"valid", "same", "explicit"} {
				c := convolutionCase{kernel, stride, padding}
				t.Run(fmt.Sprintf("kernel %d stride %d %s", kernel, stride, padding), func(t *testing.T) { fn(t, c) })
			}
		}
	}
}

// stockConvolution is GoMLX's own convolution of the images and kernel.
func (c convolutionCase) stockConvolution(x, kernel *Node) *Node {
	return Convolve(x, kernel).Strides(c.stride).
		PaddingPerDim([][2]int{c.paddingOf(x.Shape().Dim(1)), c.paddingOf(x.Shape().Dim(2))}).Done()
}

// TestStockConvolution checks GoMLX's own convolution, over odd and even sizes at once (7 by 8, 6
// by 5). On XLA, which takes a second to compile each, all cases of one kernel are one function.
func TestStockConvolution(t *testing.T) {
	gctest.ForEachBackend(t, func(t *testing.T, b compute.Backend) {
		byKernel := map[int][]convolutionCase{}
		eachConvolution(t, func(t *testing.T, c convolutionCase) {
			byKernel[c.kernel] = append(byKernel[c.kernel], c)
			if b.String() != "go" {
				return
			}
			for _, size := range []struct{ height, width, in, out int }{{7, 8, 2, 3}, {6, 5, 1, 2}} {
				gctest.CheckDerivatives(t, b, func(in []*Node) *Node { return c.stockConvolution(in[0], in[1]) },
					[]int{2, size.height, size.width, size.in}, []int{c.kernel, c.kernel, size.in, size.out})
			}
		})
		if b.String() == "go" {
			return
		}
		for kernel, cases := range byKernel {
			t.Run(fmt.Sprintf("kernel %d", kernel), func(t *testing.T) {
				gctest.CheckDerivatives(t, b, func(in []*Node) *Node {
					var outputs []*Node
					for _, c := range cases {
						outputs = append(outputs, Reshape(c.stockConvolution(in[0], in[1]), -1))
					}
					return Concatenate(outputs, 0)
				}, []int{2, 7, 8, 2}, []int{kernel, kernel, 2, 3})
			})
		}
	})
}

// TestConvolution checks our convolution on the Go backend, where it is lowered to products; on XLA
// it is GoMLX's.
func TestConvolution(t *testing.T) {
	eachConvolution(t, func(t *testing.T, c convolutionCase) {
		strides := []int{c.stride, c.stride}
		paddings := [][2]int{c.paddingOf(7), c.paddingOf(8)}
		lowered := func(inputs []*Node) *Node { return Of(inputs[0], inputs[1], strides, paddings) }
		gctest.CheckDerivatives(t, gctest.GoBackend(t), lowered, []int{2, 7, 8, 2}, []int{c.kernel, c.kernel, 2, 3})
	})
	t.Run("value", func(t *testing.T) {
		rng := rand.New(rand.NewPCG(5, 6))
		x, k := gctest.RandomTensor(rng, 2, 6, 7, 2), gctest.RandomTensor(rng, 3, 3, 2, 4)
		both := MustExecOnceN(gctest.GoBackend(t), func(x, k *Node) (*Node, *Node) {
			return Of(x, k, []int{2, 1}, [][2]int{{1, 0}, {0, 2}}),
				Convolve(x, k).StridePerAxis(2, 1).PaddingPerDim([][2]int{{1, 0}, {0, 2}}).Done()
		}, x, k)
		gctest.AssertClose(t, gctest.Flat(both[0]), gctest.Flat(both[1]), 1e-12, 0, "convolution")
	})
	t.Run("lowering", func(t *testing.T) {
		gctest.ForEachBackend(t, func(t *testing.T, b compute.Backend) {
			g := NewGraph(b, "convolution")
			x, k := Zeros(g, shapes.Make(dtypes.Float32, 2, 6, 7, 2)), Zeros(g, shapes.Make(dtypes.Float32, 3, 3, 2, 4))
			y := Of(x, k, []int{1, 1}, [][2]int{{}, {}})
			if native := y.Type() == NodeTypeConvGeneral; native != (b.String() != "go") {
				t.Errorf("the convolution is a %s", y.Type())
			}
		})
	})
}

// TestConvolutionVariants checks what GoMLX's builder offers beyond the table.
func TestConvolutionVariants(t *testing.T) {
	gctest.ForEachBackend(t, func(t *testing.T, b compute.Backend) {
		for _, test := range []struct {
			name   string
			dims   [][]int
			define func(x, k *Node) *Node
		}{
			{"1 spatial axis", [][]int{{2, 9, 2}, {3, 2, 3}}, func(x, k *Node) *Node {
				return Convolve(x, k).Strides(2).PadSame().Done()
			}},
			{"3 spatial axes", [][]int{{1, 5, 4, 3, 2}, {2, 3, 2, 2, 2}}, func(x, k *Node) *Node {
				return Convolve(x, k).StridePerAxis(2, 1, 2).PadSame().Done()
			}},
			{"kernel dilation", [][]int{{2, 8, 9, 2}, {3, 2, 2, 3}}, func(x, k *Node) *Node {
				return Convolve(x, k).DilationPerAxis(2, 3).PaddingPerDim([][2]int{{1, 0}, {2, 2}}).Done()
			}},
			{"input dilation", [][]int{{2, 4, 3, 2}, {3, 3, 2, 3}}, func(x, k *Node) *Node {
				return Convolve(x, k).InputDilationPerAxis(2, 3).PaddingPerDim([][2]int{{1, 0}, {2, 2}}).Done()
			}},
			{"input dilation and stride", [][]int{{2, 4, 5, 2}, {3, 3, 2, 3}}, func(x, k *Node) *Node {
				return Convolve(x, k).InputDilationPerAxis(3, 2).StridePerAxis(2, 3).NoPadding().Done()
			}},
			{"strides per axis", [][]int{{2, 8, 9, 2}, {3, 2, 2, 3}}, func(x, k *Node) *Node {
				return Convolve(x, k).StridePerAxis(1, 3).PadSame().Done()
			}},
			{"channel groups", [][]int{{2, 6, 5, 4}, {3, 3, 2, 6}}, func(x, k *Node) *Node {
				return Convolve(x, k).ChannelGroupCount(2).Strides(2).PadSame().Done()
			}},
			{"depthwise", [][]int{{2, 6, 5, 3}, {3, 2, 1, 6}}, func(x, k *Node) *Node {
				return Convolve(x, k).ChannelGroupCount(3).StridePerAxis(1, 2).PadSame().Done()
			}},
			{"batch groups", [][]int{{4, 6, 5, 2}, {3, 3, 2, 6}}, func(x, k *Node) *Node {
				return Convolve(x, k).BatchGroupCount(2).Strides(2).PadSame().Done()
			}},
			{"other axes", [][]int{{2, 3, 6, 5}, {4, 3, 3, 2}}, func(x, k *Node) *Node {
				return ConvGeneral(x, k, ConvolveAxesConfig{
					InputBatch: 0, InputChannels: 1, InputSpatial: []int{2, 3},
					KernelOutputChannels: 0, KernelInputChannels: 1, KernelSpatial: []int{2, 3},
					OutputBatch: 3, OutputChannels: 0, OutputSpatial: []int{1, 2},
				}, []int{2, 1}, [][2]int{{1, 0}, {0, 1}}, nil, nil, 1, 1)
			}},
		} {
			t.Run(test.name, func(t *testing.T) {
				gctest.CheckDerivatives(t, b, func(inputs []*Node) *Node { return test.define(inputs[0], inputs[1]) }, test.dims...)
			})
		}
	})
}
