package regularizers

import (
	"slices"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/support/exceptions"

	"github.com/geometric-complexity/toolkit/internal/convolution"
)

// ConvolutionOperator describes the convolution that a kernel [spatial..., cin, cout] computes on
// one example [InputSize..., cin], for [WithConvolutions]: channels last, without dilations and
// groups.
type ConvolutionOperator struct {
	// InputSize holds the spatial sizes of the layer's input, one for each spatial axis of the
	// kernel.
	InputSize []int

	// Strides holds one stride for each spatial axis; nil means 1.
	Strides []int

	// Paddings holds the numbers of zeros at the start and the end of each spatial axis; nil means
	// none. [PadSame] returns those of GoMLX's PadSame, which do not depend on the stride.
	Paddings [][2]int
}

// PadSame returns the zero padding that GoMLX's PadSame applies for a kernel with these spatial
// sizes, for ConvolutionOperator.Paddings: (k-1)/2 before and k/2 after an axis of size k.
func PadSame(kernelSizes ...int) [][2]int {
	paddings := make([][2]int, len(kernelSizes))
	for i, k := range kernelSizes {
		paddings[i] = [2]int{(k - 1) / 2, k / 2}
	}
	return paddings
}

// patchMap is a convolution of one example as a matrix product, patches(x)·W with W [taps·cin,
// cout]. Its adjoint adds the values of each patch at their positions in x. Both consist of slices,
// pads and products, which every backend runs and differentiates fast.
type patchMap struct {
	input, output []int // Spatial sizes.
	strides       []int
	paddings      [][2]int
	kernel        []int // Spatial sizes.
	cin           int
}

// toLinearMap checks the operator against the kernel's shape and returns it as a linear map.
func (c ConvolutionOperator) toLinearMap(name string, kernel shapes.Shape) linearMap {
	rank := kernel.Rank() - 2
	m := patchMap{input: c.InputSize, strides: c.Strides, paddings: c.Paddings, output: make([]int, rank)}
	if m.strides == nil {
		m.strides = slices.Repeat([]int{1}, rank)
	}
	if m.paddings == nil {
		m.paddings = make([][2]int, rank)
	}
	if rank < 1 || len(m.input) != rank || len(m.strides) != rank || len(m.paddings) != rank {
		exceptions.Panicf("regularizers.Spectral: kernel %q with shape %s has %d spatial axes, but its "+
			"ConvolutionOperator has %d input sizes, %d strides and %d paddings",
			name, kernel, max(rank, 0), len(m.input), len(m.strides), len(m.paddings))
	}
	m.kernel, m.cin = kernel.Dimensions[:rank], kernel.Dimensions[rank]
	for i := range rank {
		low, high := m.paddings[i][0], m.paddings[i][1]
		lastStart := m.input[i] + low + high - m.kernel[i] // The largest offset at which the kernel fits.
		if m.input[i] < 1 || m.strides[i] < 1 || low < 0 || high < 0 || lastStart < 0 {
			exceptions.Panicf("regularizers.Spectral: kernel %q with shape %s does not fit its ConvolutionOperator "+
				"on spatial axis %d: input size %d, stride %d, padding %d and %d",
				name, kernel, i, m.input[i], m.strides[i], low, high)
		}
		m.output[i] = lastStart/m.strides[i] + 1
	}
	return m
}

func (m patchMap) domain() []int { return append(slices.Clone(m.input), m.cin) }

// apply maps x [input..., cin] to [positions, cout].
func (m patchMap) apply(w matrix, x, zero *graph.Node) *graph.Node {
	pads := make([]compute.PadAxis, len(m.input)+1) // None on the channels.
	for i, p := range m.paddings {
		pads[i] = compute.PadAxis{Start: p[0], End: p[1]}
	}
	padded := graph.Pad(x, zero, pads...)
	dilations := slices.Repeat([]int{1}, len(m.kernel))
	patches := convolution.Patches(padded, 0, -1, convolution.Taps(m.kernel), m.strides, dilations, m.output)
	return graph.Dot(graph.Reshape(patches, -1, w.plain.Shape().Dim(0)), w.plain).Product()
}

// adjoint maps y [positions, cout] to [input..., cin].
func (m patchMap) adjoint(w matrix, y, zero *graph.Node) *graph.Node {
	patches := graph.Dot(y, w.plain).General([]int{1}, nil, []int{1}, nil)
	patches = graph.Reshape(patches, append(slices.Clone(m.output), -1)...)
	var sum *graph.Node
	channel := 0
	for _, offset := range convolution.Taps(m.kernel) {
		tap := graph.Slice(patches, graph.AxisRange().Spacer(), graph.AxisRange(channel, channel+m.cin))
		channel += m.cin
		pads := make([]compute.PadAxis, len(m.input)+1)
		for i, o := range offset {
			padded := m.input[i] + m.paddings[i][0] + m.paddings[i][1]
			end := padded - o - convolution.Dilated(m.output[i], m.strides[i])
			pads[i] = compute.PadAxis{Start: o, End: end, Interior: m.strides[i] - 1}
		}
		tap = graph.Pad(tap, zero, pads...)
		if sum == nil {
			sum = tap
		} else {
			sum = graph.Add(sum, tap)
		}
	}
	specs := make([]graph.SliceAxisSpec, len(m.input))
	for i, p := range m.paddings {
		specs[i] = graph.AxisRange(p[0], p[0]+m.input[i])
	}
	return graph.Slice(sum, specs...)
}
