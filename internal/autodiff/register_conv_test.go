package autodiff

import (
	"fmt"
	"testing"

	"github.com/gomlx/compute"
	. "github.com/gomlx/gomlx/core/graph"

	"example.com/geometric-complexity/internal/gctest"
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

// TestStockConvolution checks GoMLX's own convolution, over odd and even sizes at once (7 by 8, 5 by 6).
func TestStockConvolution(t *testing.T) {
	gctest.ForEachBackend(t, func(t *testing.T, b compute.Backend) {
		eachConvolution(t, func(t *testing.T, c convolutionCase) {
			for _, size := range []struct{ height, width, in, out int }{{7, 8, 2, 3}, {6, 5, 1, 2}} {
				checkDerivatives(t, b, func(inputs []*Node) *Node {
					return Convolve(inputs[0], inputs[1]).Strides(c.stride).
						PaddingPerDim([][2]int{c.paddingOf(size.height), c.paddingOf(size.width)}).Done()
				}, []int{2, size.height, size.width, size.in}, []int{c.kernel, c.kernel, size.in, size.out})
			}
		})
	})
}

// TestConvolution checks the lowered convolution: its value against GoMLX's, its derivatives against
// central differences.
func TestConvolution(t *testing.T) {
	gctest.ForEachBackend(t, func(t *testing.T, b compute.Backend) {
		eachConvolution(t, func(t *testing.T, c convolutionCase) {
			strides := []int{c.stride, c.stride}
			paddings := [][2]int{c.paddingOf(7), c.paddingOf(8)}
			lowered := func(inputs []*Node) *Node { return Convolution(inputs[0], inputs[1], strides, paddings) }
			checkDerivatives(t, b, lowered, []int{2, 7, 8, 2}, []int{c.kernel, c.kernel, 2, 3})
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
				checkDerivatives(t, b, func(inputs []*Node) *Node { return test.define(inputs[0], inputs[1]) }, test.dims...)
			})
		}
	})
}
