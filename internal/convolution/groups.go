package convolution

import (
	"slices"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/support/xslices"

	"github.com/geometric-complexity/toolkit/internal/gomlxcompat"
)

// How convolutions of groups of channels are computed on a CPU.
//
// A network of depthwise convolutions has thousands of groups, so on XLA no graph may have a part
// for each: it would not finish compiling. Only some of XLA's own forms are fast there:
//
//	convolution            oneDNN's is, unless the images are dilated. Of one channel in each group
//	                       (depthwise), XLA's own is one of all channels by a kernel full of zeros:
//	                       it is a sum over taps instead.
//	gradient of a kernel   As groups of the batch it is a scalar loop, or one of all channels.
//	                       It is also a convolution of groups of channels, where each group has the
//	                       examples as its channels: that is fast in every case.
//
// On the Go backend, where compiling takes no time, each group is fastest by itself.

// convolveGroups returns the convolution node, of groups of channels, computed as it is fastest on
// the CPU.
func convolveGroups(node, x, kernel *Node, c geometry) *Node {
	on, dilates := loweringOf(x), !allOnes(c.inputDilations)
	depth, taps := kernel.Shape().Dim(-2), product(kernel.Shape().Dimensions[:c.spatial()])
	byTaps := on == xlaCPU && depth == 1 && taps <= mostTaps
	if on != onGo && !byTaps && !(on == oneDNN && dilates) {
		return node
	}
	return gomlxcompat.WithGradientOf(node, func() *Node {
		if on == onGo {
			return eachGroup(c, x, kernel, func(x, kernel *Node, c geometry) *Node { return convolve(x, kernel, c) })
		}
		if dilates {
			x, c = dilateExplicitly(x, c)
			x = gomlxcompat.After(x) // XLA would make it a part of the convolution again.
		}
		if byTaps {
			return depthwiseByTaps(x, kernel, c, spatialDims(node))
		}
		return convolutionNode(x, kernel, c)
	})
}

// depthwiseByTaps is a convolution of one channel in each group, without input dilation: what each
// tap sees of the images, times the tap.
func depthwiseByTaps(x, kernel *Node, c geometry, outputDims []int) *Node {
	n, channels := c.spatial(), x.Shape().Dim(-1)
	kernelDims, multiplier := kernel.Shape().Dimensions[:n], kernel.Shape().Dim(-1)/channels
	taps := Taps(kernelDims)
	x = padFor(x, c, taps[len(taps)-1], outputDims)
	dims := slices.Concat(x.Shape().Dimensions[:1], outputDims, []int{channels, multiplier})
	weights := Reshape(kernel, len(taps), channels, multiplier)
	var y *Node
	for i, tap := range taps {
		seen := InsertAxes(SliceTap(x, 1, tap, c.strides, c.kernelDilations, outputDims), -1)
		weight := ExpandLeftToRank(Reshape(SliceAxis(weights, 0, AxisElem(i)), channels, multiplier), n+3)
		y = addNonNil(y, Mul(BroadcastToDims(seen, dims...), BroadcastToDims(weight, dims...)))
	}
	return Reshape(y, slices.Concat(dims[:n+1], []int{channels * multiplier})...)
}

// kernelGradientOfGroups is the gradient of the kernel of a convolution of groups of channels,
// without input dilation.
func kernelGradientOfGroups(c geometry, x, v *Node, kernelDims []int) *Node {
	on, depth := loweringOf(x), x.Shape().Dim(-1)/c.groups
	if on == onGo || on == xlaCPU && depth >= fewDepth {
		return eachGroup(c, x, v, func(x, v *Node, c geometry) *Node { return kernelGradient(c, x, v, kernelDims) })
	}
	if on == xlaCPU && x.Shape().Dim(0) == 1 { // One channel in each group would be a depthwise convolution.
		x, v = withZeros(x, 0, 0, 1), withZeros(v, 0, 0, 1)
	}
	return kernelGradientByChannels(c, x, v, kernelDims)
}

// kernelGradientByChannels is the gradient of a kernel as a convolution of groups of channels: the
// channels of a group are the examples, its images are the channels in of the convolution proper.
func kernelGradientByChannels(c geometry, x, v *Node, kernelDims []int) *Node {
	n, batch, depth := c.spatial(), x.Shape().Dim(0), x.Shape().Dim(-1)/c.groups
	dims := x.Shape().Dimensions
	x = Reshape(x, slices.Concat(dims[:n+1], []int{c.groups, depth})...)
	// To [depth, spatial..., groups, batch].
	x = transpose(x, slices.Concat([]int{n + 2}, xslices.Iota(1, n), []int{n + 1, 0}))
	x = Reshape(x, slices.Concat([]int{depth}, dims[1:n+1], []int{c.groups * batch})...)
	swapped := geometry{strides: c.kernelDilations, kernelDilations: c.strides, inputDilations: c.inputDilations,
		paddings: exactPaddings(c, dims[1:n+1], kernelDims, spatialDims(v)), groups: c.groups}
	v = transpose(v, slices.Concat(xslices.Iota(1, n), []int{0, n + 1}))
	d := convolutionNode(x, v, swapped) // [depth, kernel..., channels out]
	return transpose(d, slices.Concat(xslices.Iota(1, n), []int{0, n + 1}))
}

// eachGroup applies fn to each group of the channels of a and of b, which are their last axes, and
// puts the results together along the last axis.
func eachGroup(c geometry, a, b *Node, fn func(a, b *Node, c geometry) *Node) *Node {
	as, bs := Split(a, -1, c.groups), Split(b, -1, c.groups)
	c.groups = 1
	parts := make([]*Node, len(as))
	for i := range as {
		parts[i] = fn(as[i], bs[i], c)
	}
	return Concatenate(parts, -1)
}

// flipGroups is flip for a kernel of groups of channels.
func flipGroups(kernel *Node, groups int) *Node {
	n, dims := kernel.Rank()-2, kernel.Shape().Dimensions
	in, out := dims[n], dims[n+1]/groups
	spatial := xslices.Iota(0, n)
	flipped := Reshape(Reverse(kernel, spatial...), slices.Concat(dims[:n], []int{in, groups, out})...)
	flipped = transpose(flipped, append(spatial, n+2, n+1, n))
	flipped = Reshape(flipped, slices.Concat(dims[:n], []int{out, groups * in})...)
	if loweringOf(kernel) == oneDNN { // XLA would make the reversal a part of the convolution.
		return gomlxcompat.After(flipped)
	}
	return flipped
}
