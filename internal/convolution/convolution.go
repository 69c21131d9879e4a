// Package convolution says how a convolution and its derivatives are computed, on each platform.
//
// A convolution is linear in its images x and in its kernel k, so with the gradient v of its output
// there is one trilinear form, <v, conv(x, k)>, and three ops that are its partial derivatives:
//
//	convolve        (x, k)  -> y
//	inputGradient   (v, k)  -> x   a convolution: stride and input dilation swap, k is flipped
//	kernelGradient  (x, v)  -> k   a convolution over the batch, recognized by its axes
//
// Each is represented in the graph by a ConvGeneral node, whose registered rule is made of the
// other two. So derivatives of every order are again these three ops. What a backend computes for
// them is another matter, see lower: where that is not the ConvGeneral node, the node stays in the
// graph as the alternate through which GoMLX differentiates (as for GoMLX's own fused ops), and is
// never executed.
//
// The rule is [Gradients]; package autodiff registers it.
package convolution

import (
	"slices"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/support/xslices"

	"github.com/geometric-complexity/toolkit/internal/gomlxcompat"
	"github.com/geometric-complexity/toolkit/internal/platform"
)

// geometry holds what defines a convolution of images [batch, spatial..., channels] with a kernel
// [spatial..., channels in, channels out], one entry per spatial axis:
//
//	y[o] = sum_t x[(o·stride + t·kernelDilation - padding[0]) / inputDilation] · k[t]
//
// where x is 0 between its elements and outside.
type geometry struct {
	strides, inputDilations, kernelDilations []int
	paddings                                 [][2]int
}

func (c geometry) spatial() int { return len(c.strides) }

// Of returns the convolution of images x, shaped [batch, spatial..., channels], with kernel, shaped
// [spatial..., channels in, channels out], in the way that is fastest on x's backend. strides and
// paddings (before, after) have one entry per spatial axis.
//
// Its gradients of every order are those of a ConvGeneral. It panics, with the shapes, as
// ConvGeneral does.
func Of(x, kernel *Node, strides []int, paddings [][2]int) *Node {
	ones := slices.Repeat([]int{1}, x.Rank()-2)
	c := geometry{strides: strides, paddings: paddings, inputDilations: ones, kernelDilations: ones}
	if on := loweringOf(x); on == xlaCPU || on == oneDNN {
		// In a whole ResNet18 XLA's own convolutions are 5 to 10 % faster than taps for the small
		// images, other than when timed alone or in the gradients.
		node := convolutionNode(x, kernel, c)
		return lowerSmall(node, x, kernel, c, func() *Node { return node })
	}
	return convolve(x, kernel, c)
}

// Gradients is the rule of ConvGeneral, for any axes, strides, paddings, dilations and groups: it
// returns the gradients of the images and of the kernel, given the gradient v of the output.
func Gradients(node, v *Node) []*Node {
	p, _ := gomlxcompat.ConvOf(node)
	x, kernel := node.Inputs()[0], node.Inputs()[1]
	if p.BatchGroupCount > 1 {
		return batchGroupsVJP(p, x, kernel, v)
	}
	if p.ChannelGroupCount > 1 {
		return channelGroupsVJP(p, x, kernel, v)
	}
	dx, dk := oneGroupVJP(p, x, kernel, v)
	return []*Node{dx, dk}
}

// oneGroupVJP brings the operands into the order of axes of geometry, and the gradients back.
func oneGroupVJP(p gomlxcompat.ConvAttributes, x, kernel, v *Node) (dx, dk *Node) {
	c := geometry{strides: p.Strides, paddings: p.Paddings,
		inputDilations: p.InputDilations, kernelDilations: p.KernelDilations}
	if isKernelGradient(p.Axes) {
		return kernelGradientVJP(c, x, kernel, v)
	}
	xAxes := slices.Concat([]int{p.Axes.InputBatch}, p.Axes.InputSpatial, []int{p.Axes.InputChannels})
	kAxes := slices.Concat(p.Axes.KernelSpatial, []int{p.Axes.KernelInputChannels, p.Axes.KernelOutputChannels})
	vAxes := slices.Concat([]int{p.Axes.OutputBatch}, p.Axes.OutputSpatial, []int{p.Axes.OutputChannels})
	x, kernel, v = transpose(x, xAxes), transpose(kernel, kAxes), transpose(v, vAxes)
	dx = inputGradient(c, v, kernel, spatialDims(x))
	kernelDims := kernel.Shape().Dimensions[:c.spatial()]
	if isFlip(kernel) && allOnes(c.strides) && loweringOf(x) != onGo {
		dk = flippedKernelGradient(c, x, v, kernelDims) // Flipped back on the way to the kernel that was flipped: free.
	} else {
		dk = kernelGradient(c, x, v, kernelDims)
	}
	return transpose(dx, inverse(xAxes)), transpose(dk, inverse(kAxes))
}

// channelGroupsVJP does every group of channels by itself.
func channelGroupsVJP(p gomlxcompat.ConvAttributes, x, kernel, v *Node) []*Node {
	groups := p.ChannelGroupCount
	xs, vs := Split(x, p.Axes.InputChannels, groups), Split(v, p.Axes.OutputChannels, groups)
	kernels := Split(kernel, p.Axes.KernelOutputChannels, groups)
	dxs, dks := make([]*Node, groups), make([]*Node, groups)
	for i := range groups {
		dxs[i], dks[i] = oneGroupVJP(p, xs[i], kernels[i], vs[i])
	}
	return []*Node{Concatenate(dxs, p.Axes.InputChannels), Concatenate(dks, p.Axes.KernelOutputChannels)}
}

// batchGroupsVJP does every group of the batch by itself: group i of the examples makes group i of
// the output channels.
func batchGroupsVJP(p gomlxcompat.ConvAttributes, x, kernel, v *Node) []*Node {
	groups := p.BatchGroupCount
	xs, vs := Split(x, p.Axes.InputBatch, groups), Split(v, p.Axes.OutputChannels, groups)
	kernels := Split(kernel, p.Axes.KernelOutputChannels, groups)
	dxs, dks := make([]*Node, groups), make([]*Node, groups)
	for i := range groups {
		dxs[i], dks[i] = oneGroupVJP(p, xs[i], kernels[i], vs[i])
	}
	return []*Node{Concatenate(dxs, p.Axes.InputBatch), Concatenate(dks, p.Axes.KernelOutputChannels)}
}

// kernelGradientVJP is the rule of the ConvGeneral node that stands for a kernel gradient: d is the
// gradient of a kernel, x are images and v the gradient of the outputs. c is the node's geometry,
// where the strides of the convolution proper appear as dilations of the kernel and the other way
// round.
func kernelGradientVJP(c geometry, x, v, d *Node) (dx, dv *Node) {
	proper := geometry{
		strides: c.kernelDilations, kernelDilations: c.strides, inputDilations: c.inputDilations,
		paddings: slices.Clone(c.paddings),
	}
	for i := range proper.spatial() {
		// The padding at the end is what makes the outputs as many as v's.
		covered := (v.Shape().Dim(i+1)-1)*proper.strides[i] + (d.Shape().Dim(i)-1)*proper.kernelDilations[i] + 1
		proper.paddings[i][1] = covered - proper.paddings[i][0] - Dilated(x.Shape().Dim(i+1), proper.inputDilations[i])
	}
	return inputGradient(proper, v, d, spatialDims(x)), convolve(x, d, proper)
}

// inputGradient returns the gradient of the images, whose spatial dimensions are inputDims: the
// convolution of v with the flipped kernel, dilated by the stride. It depends on v, the kernel and
// shapes alone.
func inputGradient(c geometry, v, kernel *Node, inputDims []int) *Node {
	n := c.spatial()
	back := geometry{
		strides: c.inputDilations, inputDilations: c.strides, kernelDilations: c.kernelDilations, paddings: make([][2]int, n),
	}
	for i := range n {
		extent := Dilated(kernel.Shape().Dim(i), c.kernelDilations[i])
		start := extent - 1 - c.paddings[i][0]
		end := Dilated(inputDims[i], c.inputDilations[i]) - 1 + extent - start - Dilated(v.Shape().Dim(i+1), c.strides[i])
		back.paddings[i] = [2]int{start, end}
	}
	return convolve(v, flip(kernel), back)
}

// kernelGradient returns the gradient of the kernel, whose spatial dimensions are kernelDims.
func kernelGradient(c geometry, x, v *Node, kernelDims []int) *Node {
	switch {
	case allOnes(c.inputDilations):
		return lowerKernelGradient(c, x, v, kernelDims)
	case !allOnes(c.strides): // Rare: no convolution of GoMLX's layers has both.
		x, c = dilateExplicitly(x, c)
		return kernelGradient(c, x, v, kernelDims)
	}
	return flippedKernelGradient(c, x, v, kernelDims)
}

// flippedKernelGradient is kernelGradient without strides: the gradient of an inputGradient's
// kernel is the flipped gradient of the kernel that was flipped, with the parts of images and
// output gradients exchanged.
func flippedKernelGradient(c geometry, x, v *Node, kernelDims []int) *Node {
	forward := geometry{strides: c.inputDilations, inputDilations: c.strides, kernelDilations: c.kernelDilations,
		paddings: make([][2]int, c.spatial())}
	for i := range c.spatial() {
		forward.paddings[i][0] = Dilated(kernelDims[i], c.kernelDilations[i]) - 1 - c.paddings[i][0]
	}
	return flip(kernelGradient(forward, v, x, kernelDims))
}

// dilateExplicitly puts the zeros between and around the elements of x.
func dilateExplicitly(x *Node, c geometry) (*Node, geometry) {
	axes := make([]PadAxis, x.Rank())
	for i := range c.spatial() {
		axes[i+1] = PadAxis{Start: c.paddings[i][0], End: c.paddings[i][1], Interior: c.inputDilations[i] - 1}
	}
	c.inputDilations = slices.Repeat([]int{1}, c.spatial())
	c.paddings = make([][2]int, c.spatial())
	return Pad(x, ScalarZero(x.Graph(), x.DType()), axes...), c
}

// flip reverses the spatial axes of a kernel and exchanges its channels.
func flip(kernel *Node) *Node {
	n := kernel.Rank() - 2
	axes := xslices.Iota(0, n)
	if platform.Of(kernel.Graph().Backend()) == platform.Go {
		return flipByCopying(kernel)
	}
	return transpose(Reverse(kernel, axes...), append(axes, n+1, n))
}

// isFlip tells whether a kernel comes from flip.
func isFlip(kernel *Node) bool {
	return kernel.Type() == NodeTypeTranspose && kernel.Inputs()[0].Type() == NodeTypeReverse
}

// convolutionNode returns the ConvGeneral node of the convolution.
func convolutionNode(x, kernel *Node, c geometry) *Node {
	n := c.spatial()
	axes := ConvolveAxesConfig{
		InputBatch: 0, InputSpatial: xslices.Iota(1, n), InputChannels: n + 1,
		KernelSpatial: xslices.Iota(0, n), KernelInputChannels: n, KernelOutputChannels: n + 1,
		OutputBatch: 0, OutputSpatial: xslices.Iota(1, n), OutputChannels: n + 1,
	}
	return ConvGeneral(x, kernel, axes, c.strides, c.paddings, c.inputDilations, c.kernelDilations, 1, 1)
}

// kernelGradientAxes are the axes of the ConvGeneral node that stands for a kernel gradient: the
// batch is summed over as if it were channels, and the images' channels are kept apart as if they
// were the batch.
func kernelGradientAxes(n int) ConvolveAxesConfig {
	return ConvolveAxesConfig{
		InputBatch: n + 1, InputSpatial: xslices.Iota(1, n), InputChannels: 0,
		KernelSpatial: xslices.Iota(1, n), KernelInputChannels: 0, KernelOutputChannels: n + 1,
		OutputBatch: n, OutputSpatial: xslices.Iota(0, n), OutputChannels: n + 1,
	}
}

func isKernelGradient(axes ConvolveAxesConfig) bool {
	want := kernelGradientAxes(len(axes.InputSpatial))
	return axes.InputBatch == want.InputBatch && axes.InputChannels == want.InputChannels &&
		axes.KernelInputChannels == want.KernelInputChannels && axes.KernelOutputChannels == want.KernelOutputChannels &&
		axes.OutputBatch == want.OutputBatch && axes.OutputChannels == want.OutputChannels &&
		slices.Equal(axes.InputSpatial, want.InputSpatial) && slices.Equal(axes.KernelSpatial, want.KernelSpatial) &&
		slices.Equal(axes.OutputSpatial, want.OutputSpatial)
}

// kernelGradientNode returns the ConvGeneral node of the kernel gradient.
func kernelGradientNode(c geometry, x, v *Node, kernelDims []int) *Node {
	return kernelGradientOver(kernelGradientAxes(c.spatial()), c, x, v, kernelDims)
}

// kernelGradientOver is kernelGradientNode with other axes for the output.
func kernelGradientOver(axes ConvolveAxesConfig, c geometry, x, v *Node, kernelDims []int) *Node {
	n := c.spatial()
	paddings := slices.Clone(c.paddings)
	for i := range n {
		covered := (kernelDims[i]-1)*c.kernelDilations[i] + (v.Shape().Dim(i+1)-1)*c.strides[i] + 1
		paddings[i][1] = covered - paddings[i][0] - x.Shape().Dim(i+1)
	}
	return ConvGeneral(x, v, axes, c.kernelDilations, paddings, slices.Repeat([]int{1}, n), c.strides, 1, 1)
}

// Dilated returns the extent of n elements with dilation-1 holes between neighbours.
func Dilated(n, dilation int) int { return (n-1)*dilation + 1 }

func allOnes(values []int) bool {
	return !slices.ContainsFunc(values, func(v int) bool { return v != 1 })
}

func spatialDims(x *Node) []int { return x.Shape().Dimensions[1 : x.Rank()-1] }

// transpose returns x with the given order of axes, x itself if that is its own.
func transpose(x *Node, permutation []int) *Node {
	if slices.Equal(permutation, xslices.Iota(0, x.Rank())) {
		return x
	}
	return TransposeAllAxes(x, permutation...)
}

func inverse(permutation []int) []int {
	inverse := make([]int, len(permutation))
	for to, from := range permutation {
		inverse[from] = to
	}
	return inverse
}
