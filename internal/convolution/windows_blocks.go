package convolution

import (
	. "github.com/gomlx/gomlx/core/graph"
)

// How convolutions are computed on the Go backend.
//
// It multiplies matrices, gathers runs of memory and concatenates at full speed, while Slice goes
// element by element, and Pad first writes zeros everywhere. So what a group of neighbouring
// outputs sees of the images, its window, is gathered into a row of a matrix, and the kernel is
// laid out as the matrix that takes a window to the outputs of its group:
//
//	[batch·groups, window·in] · [window·in, group·out] = [batch·groups, group·out]
//
// For groups of one output this is the well-known product of patches with the kernel. Larger groups
// serve two ends. Along the last axis they fill columns that the backend computes anyway where
// there are few output channels, and less is gathered, as neighbours see much the same. And for
// dilated images (the gradient of a strided convolution's images) groups of as many outputs as the
// dilation all see the same pattern, and the zeros between the elements need not be there.

// convolveByWindows is a convolution as a product for each block of images. It has no kernel
// dilation, and strides or input dilation but not both.
func convolveByWindows(x, kernel *Node, c geometry, outputDims []int) *Node {
	out := kernel.Shape().Dim(-1)
	w := windowsOf(c, kernel.Shape().Dimensions[:c.spatial()], outputDims, out)
	matrix := w.matrix(kernel)
	x, before := w.padded(x)
	var parts []*Node
	for _, block := range w.blocks(x, forwardElements) {
		y := Dot(w.gather(x, before, block), matrix).Product()
		parts = append(parts, w.images(y, block.images, outputDims, out))
	}
	return concatenate(parts, 0)
}

// kernelGradientByWindows is the gradient of the kernel of a convolution without dilations.
func kernelGradientByWindows(c geometry, x, v *Node, kernelDims []int) *Node {
	in, out := x.Shape().Dim(-1), v.Shape().Dim(-1)
	w := windowsOf(c, kernelDims, spatialDims(v), out)
	// The backend would see that these are the windows of the forward pass, and keep all from there
	// to here; or gather them as soon as x is there.
	x, before := w.padded(SchedulingBarrier(x, v))
	var d *Node
	for _, block := range w.blocks(x, gradientElements) {
		patches := w.gather(x, before, block)
		groups := Reshape(block.of(v), patches.Shape().Dim(0), -1)
		d = addNonNil(d, Dot(transpose(groups, []int{1, 0}), patches).Product())
	}
	return w.kernelOf(d, in, out)
}

// flipByCopying is flip by transpositions for which the backend has fast code.
func flipByCopying(kernel *Node) *Node {
	n := kernel.Rank() - 2
	dims := append([]int{}, kernel.Shape().Dimensions...)
	taps, in, out := product(dims[:n]), dims[n], dims[n+1]
	dims[n], dims[n+1] = out, in
	flipped := transpose(Reshape(kernel, taps*in, out), []int{1, 0})
	flipped = transpose(Reshape(flipped, out, taps, in), []int{1, 0, 2})
	return Reshape(Reverse(flipped, 0), dims...)
}

// imageBlock is a run of the images of a batch.
type imageBlock struct{ first, images int }

// blocks divides the images so that the windows of a block have about so many elements, but at
// least an image's.
func (w windows) blocks(x *Node, blockElements int) []imageBlock {
	batch := x.Shape().Dim(0)
	elements := batch * product(w.count) * product(w.size) * x.Shape().Dim(-1)
	wanted := min((elements+blockElements-1)/blockElements, batch, maxBlocks)
	images := (batch + wanted - 1) / wanted
	var blocks []imageBlock
	for first := 0; first < batch; first += images {
		blocks = append(blocks, imageBlock{first, min(images, batch-first)})
	}
	return blocks
}

// of returns the block's part of x. A gather copies it at once, a Slice would go element by
// element.
func (b imageBlock) of(x *Node) *Node {
	if b.images == x.Shape().Dim(0) {
		return x
	}
	start := Const(x.Graph(), [][]int32{{int32(b.first)}})
	part := GatherSlices(x, []int{0}, start, []int{b.images}, true)
	return Reshape(part, part.Shape().Dimensions[1:]...)
}
