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
// other two. So derivatives of every order are again these three ops, also for a convolution of
// groups of channels, whose graph has no part for each group (groups.go). What a backend computes
// for them is another matter, see lower: where that is not the ConvGeneral node, the node stays in
// the graph as the alternate through which GoMLX differentiates (as for GoMLX's own fused ops), and
// is never executed.
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
// where x is 0 between its elements and outside. With groups, the channels of the images and of the
// outputs are divided into as many equal runs, and each run of outputs sees its run of images
// alone: the kernel is [spatial..., channels in / groups, channels out].
type geometry struct {
	strides, inputDilations, kernelDilations []int
	paddings                                 [][2]int
	groups                                   int // 0 is 1.
}

func (c geometry) spatial() int { return len(c.strides) }

func (c geometry) groupCount() int { return max(1, c.groups) }

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
	if p.BatchGroupCount > 1 && !isKernelGradient(p.Axes) {
		return batchGroupsVJP(p, x, kernel, v)
	}
	c := geometry{strides: p.Strides, paddings: p.Paddings, inputDilations: p.InputDilations,
		kernelDilations: p.KernelDilations, groups: max(p.ChannelGroupCount, p.BatchGroupCount)}
	if isKernelGradient(p.Axes) && p.ChannelGroupCount <= 1 {
		dx, dk := kernelGradientVJP(c, x, kernel, v)
		return []*Node{dx, dk}
	}
	xAxes, kAxes, vAxes := axesOf(p.Axes)
	dx, dk := gradients(c, transpose(x, xAxes), transpose(kernel, kAxes), transpose(v, vAxes))
	return []*Node{transpose(dx, inverse(xAxes)), transpose(dk, inverse(kAxes))}
}

// axesOf returns the axes of a ConvGeneral's images, kernel and outputs in the order of geometry.
func axesOf(axes ConvolveAxesConfig) (x, kernel, v []int) {
	x = slices.Concat([]int{axes.InputBatch}, axes.InputSpatial, []int{axes.InputChannels})
	kernel = slices.Concat(axes.KernelSpatial, []int{axes.KernelInputChannels, axes.KernelOutputChannels})
	v = slices.Concat([]int{axes.OutputBatch}, axes.OutputSpatial, []int{axes.OutputChannels})
	return x, kernel, v
}

// gradients returns the gradients of the images and of the kernel of a convolution.
func gradients(c geometry, x, kernel, v *Node) (dx, dk *Node) {
	dx = inputGradient(c, v, kernel, spatialDims(x))
	kernelDims := kernel.Shape().Dimensions[:c.spatial()]
	if isFlip(kernel) && allOnes(c.strides) && loweringOf(x) != onGo {
		dk = flippedKernelGradient(c, x, v, kernelDims) // Flipped back on the way to the kernel that was flipped: free.
	} else {
		dk = kernelGradient(c, x, v, kernelDims)
	}
	return dx, dk
}

// batchGroupsVJP is the rule of a convolution of groups of the batch: group i of the examples makes
// group i of the output channels. It is a convolution of groups of channels, those of the groups of
// examples side by side.
func batchGroupsVJP(p gomlxcompat.ConvAttributes, x, kernel, v *Node) []*Node {
	c := geometry{strides: p.Strides, paddings: p.Paddings, inputDilations: p.InputDilations,
		kernelDilations: p.KernelDilations, groups: p.BatchGroupCount}
	xAxes, kAxes, vAxes := axesOf(p.Axes)
	x = transpose(x, xAxes)
	dims, n := x.Shape().Dimensions, c.spatial()
	apart := slices.Concat([]int{c.groups, dims[0] / c.groups}, dims[1:])
	together := slices.Concat([]int{dims[0] / c.groups}, dims[1:n+1], []int{c.groups * dims[n+1]})
	order := slices.Concat([]int{1}, xslices.Iota(2, n), []int{0, n + 2}) // [examples, spatial..., groups, channels]
	x = Reshape(transpose(Reshape(x, apart...), order), together...)
	dx, dk := gradients(c, x, transpose(kernel, kAxes), transpose(v, vAxes))
	dx = Reshape(dx, slices.Concat(together[:n+1], []int{c.groups, dims[n+1]})...)
	dx = Reshape(transpose(dx, inverse(order)), dims...)
	return []*Node{transpose(dx, inverse(xAxes)), transpose(dk, inverse(kAxes))}
}

// kernelGradientVJP is the rule of the ConvGeneral node that stands for a kernel gradient: d is the
// gradient of a kernel, x are images and v the gradient of the outputs. c is the node's geometry,
// where the strides of the convolution proper appear as dilations of the kernel and the other way
// round.
func kernelGradientVJP(c geometry, x, v, d *Node) (dx, dv *Node) {
	proper := geometry{
		strides: c.kernelDilations, kernelDilations: c.strides, inputDilations: c.inputDilations,
		paddings: slices.Clone(c.paddings), groups: c.groups,
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
		strides: c.inputDilations, inputDilations: c.strides, kernelDilations: c.kernelDilations,
		paddings: make([][2]int, n), groups: c.groups,
	}
	for i := range n {
		extent := Dilated(kernel.Shape().Dim(i), c.kernelDilations[i])
		start := extent - 1 - c.paddings[i][0]
		end := Dilated(inputDims[i], c.inputDilations[i]) - 1 + extent - start - Dilated(v.Shape().Dim(i+1), c.strides[i])
		back.paddings[i] = [2]int{start, end}
	}
	if c.groupCount() == 1 && allOnes(c.strides) { // With a stride every phase flips a part.
		return convolve(v, flipInSteps(kernel), back)
	}
	return convolve(v, flip(kernel, c.groupCount()), back)
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
		paddings: make([][2]int, c.spatial()), groups: c.groups}
	for i := range c.spatial() {
		forward.paddings[i][0] = Dilated(kernelDims[i], c.kernelDilations[i]) - 1 - c.paddings[i][0]
	}
	return flip(kernelGradient(forward, v, x, kernelDims), c.groupCount())
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

// flip reverses the spatial axes of a kernel and exchanges its channels, in each group.
func flip(kernel *Node, groups int) *Node {
	if groups > 1 {
		return flipGroups(kernel, groups)
	}
	if platform.Of(kernel.Graph().Backend()) == platform.Go {
		return flipByCopying(kernel)
	}
	return exchangeChannels(Reverse(kernel, xslices.Iota(0, kernel.Rank()-2)...))
}

// exchangeChannels exchanges the channels of a kernel.
func exchangeChannels(kernel *Node) *Node {
	n := kernel.Rank() - 2
	return transpose(kernel, append(xslices.Iota(0, n), n+1, n))
}

// flipInSteps is flip in two steps, where XLA on a CPU takes longer for both together.
func flipInSteps(kernel *Node) *Node {
	flipped := flip(kernel, 1)
	if platform.Of(kernel.Graph().Backend()) != platform.XLACPU || kernel.Shape().Size() < largeKernel {
		return flipped
	}
	return gomlxcompat.WithGradientOf(flipped, func() *Node {
		return exchangeChannels(gomlxcompat.Barrier(flipped.Inputs()[0])[0])
	})
}

// isFlip reports whether a kernel comes from flip.
func isFlip(kernel *Node) bool {
	if kernel.Type() != NodeTypeTranspose {
		return false
	}
	reversed := kernel.Inputs()[0]
	if reversed.Type() == NodeTypeSplitNode { // An output of the barrier of flipInSteps.
		reversed = reversed.Inputs()[0].Inputs()[0]
	}
	return reversed.Type() == NodeTypeReverse
}

// convolutionNode returns the ConvGeneral node of the convolution.
func convolutionNode(x, kernel *Node, c geometry) *Node {
	n := c.spatial()
	axes := ConvolveAxesConfig{
		InputBatch: 0, InputSpatial: xslices.Iota(1, n), InputChannels: n + 1,
		KernelSpatial: xslices.Iota(0, n), KernelInputChannels: n, KernelOutputChannels: n + 1,
		OutputBatch: 0, OutputSpatial: xslices.Iota(1, n), OutputChannels: n + 1,
	}
	return ConvGeneral(x, kernel, axes, c.strides, c.paddings, c.inputDilations, c.kernelDilations,
		c.groupCount(), 1)
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

// isKernelGradient reports whether a ConvGeneral with these axes, and without groups of channels,
// is of the form of kernelGradientNode.
func isKernelGradient(axes ConvolveAxesConfig) bool {
	want := kernelGradientAxes(len(axes.InputSpatial))
	return axes.InputBatch == want.InputBatch && axes.InputChannels == want.InputChannels &&
		axes.KernelInputChannels == want.KernelInputChannels && axes.KernelOutputChannels == want.KernelOutputChannels &&
		axes.OutputBatch == want.OutputBatch && axes.OutputChannels == want.OutputChannels &&
		slices.Equal(axes.InputSpatial, want.InputSpatial) && slices.Equal(axes.KernelSpatial, want.KernelSpatial) &&
		slices.Equal(axes.OutputSpatial, want.OutputSpatial)
}

// kernelGradientNode returns the ConvGeneral node of the kernel gradient. What are groups of
// channels of the convolution are groups of its batch. The Go backend does not compute groups of
// the batch right for these axes (of the wrong axis it takes their size), so there it must not be
// executed.
func kernelGradientNode(c geometry, x, v *Node, kernelDims []int) *Node {
	return kernelGradientOver(kernelGradientAxes(c.spatial()), c, x, v, kernelDims)
}

// kernelGradientOver is kernelGradientNode with other axes for the output.
func kernelGradientOver(axes ConvolveAxesConfig, c geometry, x, v *Node, kernelDims []int) *Node {
	paddings := exactPaddings(c, spatialDims(x), kernelDims, spatialDims(v))
	ones := slices.Repeat([]int{1}, c.spatial())
	return ConvGeneral(x, v, axes, c.kernelDilations, paddings, ones, c.strides, 1, c.groupCount())
}

// exactPaddings returns the paddings of a convolution without input dilation, those at the end such
// that the last output's view ends where the padded images do.
func exactPaddings(c geometry, inputDims, kernelDims, outputDims []int) [][2]int {
	paddings := slices.Clone(c.paddings)
	for i := range paddings {
		covered := (kernelDims[i]-1)*c.kernelDilations[i] + (outputDims[i]-1)*c.strides[i] + 1
		paddings[i][1] = covered - paddings[i][0] - inputDims[i]
	}
	return paddings
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
