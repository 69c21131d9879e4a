package convolution

import (
	"slices"

	. "github.com/gomlx/gomlx/core/graph"

	"github.com/geometric-complexity/toolkit/internal/gomlxcompat"
)

// How XLA on a CPU computes convolutions of images that are no larger than the kernel.
//
// Where an image has fewer elements than the kernel, XLA exchanges the two, as that pads less. The
// exchanged convolution reverses its window, which neither oneDNN nor Eigen can do, and XLA makes
// scalar loops of it: tens of times slower. So such a convolution is one product of whole images
// with a dense matrix, which a large kernel is in truth: for 2×2 images and a 3×3 kernel every
// output sees all of the image by 4 of the 9 taps, and the product has no multiplication too many.
// Where that matrix is too large for the batch, the zeros around the images are put there before,
// apart from the convolution, so that XLA leaves kernel and images where they are.

// isDense reports whether a convolution, or the gradient of its kernel, costs less as a product
// with a dense matrix. Both are estimated in multiplications for each pair of channels and each
// output.
func isDense(c geometry, batch int, inputDims, kernelDims []int) bool {
	dense := product(inputDims) * (batch + denseColumns)
	return dense*product(c.inputDilations) < product(kernelDims)*batch
}

// seenBy returns how each output's view of a kernel lies in it: the padding of the kernel after
// which no view goes beyond it, and for each output, the last axis fastest, the slice of the padded
// kernel that holds the tap for every element of the images.
func seenBy(c geometry, inputDims, kernelDims, outputDims []int) (padding []PadAxis, views [][]SliceAxisSpec) {
	n := c.spatial()
	padding = make([]PadAxis, n+2)
	for i, dim := range inputDims {
		// Element p enters output o by the tap p·inputDilation + padding - o·stride.
		lowest := c.paddings[i][0] - (outputDims[i]-1)*c.strides[i]
		highest := c.paddings[i][0] + (dim-1)*c.inputDilations[i]
		extent := Dilated(kernelDims[i], c.kernelDilations[i])
		padding[i] = PadAxis{Start: -lowest, End: highest + 1 - extent, Interior: c.kernelDilations[i] - 1}
	}
	for _, output := range Taps(outputDims) {
		var view []SliceAxisSpec
		for i, dim := range inputDims {
			start := (outputDims[i] - 1 - output[i]) * c.strides[i]
			view = append(view, AxisRange(start, start+Dilated(dim, c.inputDilations[i])).Stride(c.inputDilations[i]))
		}
		views = append(views, view)
	}
	return padding, views
}

// convolveByMatrix is a convolution as one product of whole images with a matrix.
func convolveByMatrix(x, kernel *Node, c geometry, outputDims []int) *Node {
	n := c.spatial()
	batch, in, out := x.Shape().Dim(0), kernel.Shape().Dim(-2), kernel.Shape().Dim(-1)
	elements := product(spatialDims(x)) * in
	padding, views := seenBy(c, spatialDims(x), kernel.Shape().Dimensions[:n], outputDims)
	kernel = Pad(kernel, ScalarZero(kernel.Graph(), kernel.DType()), padding...)
	columns := make([]*Node, len(views))
	for i, view := range views {
		columns[i] = Reshape(Slice(kernel, view...), elements, out)
	}
	y := Dot(Reshape(x, batch, elements), concatenate(columns, 1)).Product()
	return Reshape(y, slices.Concat([]int{batch}, outputDims, []int{out})...)
}

// kernelGradientByMatrix is the gradient of a kernel by that of the matrix of convolveByMatrix.
func kernelGradientByMatrix(c geometry, x, v *Node, kernelDims []int) *Node {
	batch, in, out := x.Shape().Dim(0), x.Shape().Dim(-1), v.Shape().Dim(-1)
	inputDims, outputDims := spatialDims(x), spatialDims(v)
	padding, views := seenBy(c, inputDims, kernelDims, outputDims)
	d := DotGeneral(Reshape(x, batch, -1), []int{0}, []int{}, Reshape(v, batch, -1), []int{0}, []int{})
	d = Reshape(d, product(inputDims)*in, len(views), out)
	zero := ScalarZero(x.Graph(), x.DType())
	var sum *Node
	for i := range views {
		part := Reshape(SliceAxis(d, 1, AxisElem(i)), slices.Concat(inputDims, []int{in, out})...)
		sum = addNonNil(sum, Pad(part, zero, viewToKernel(c, padding, views[i], inputDims, kernelDims)...))
	}
	// Only every kernelDilation-th element of what the images see is the kernel's.
	taps := make([]SliceAxisSpec, len(kernelDims))
	for i := range taps {
		taps[i] = AxisRange().Stride(c.kernelDilations[i])
	}
	return Slice(sum, taps...)
}

// viewToKernel returns the padding that takes a view back to where it lies in the dilated kernel.
func viewToKernel(c geometry, padding []PadAxis, view []SliceAxisSpec, inputDims, kernelDims []int) []PadAxis {
	axes := make([]PadAxis, len(padding))
	for i, spec := range view {
		start := spec.Start - padding[i].Start
		extent := Dilated(inputDims[i], c.inputDilations[i])
		axes[i] = PadAxis{Start: start, Interior: c.inputDilations[i] - 1,
			End: Dilated(kernelDims[i], c.kernelDilations[i]) - start - extent}
	}
	return axes
}

// lowerSmall returns the convolution node, computed as it has to be on XLA where images are no
// larger than the kernel, and as otherwise says where they are, or on another backend.
func lowerSmall(node, x, kernel *Node, c geometry, otherwise func() *Node) *Node {
	inputDims, kernelDims, outputDims := spatialDims(x), kernel.Shape().Dimensions[:c.spatial()], spatialDims(node)
	onXLA := loweringOf(x) == oneDNN || loweringOf(x) == xlaCPU
	if onXLA && isDense(c, x.Shape().Dim(0), inputDims, kernelDims) {
		return gomlxcompat.WithGradientOf(node, func() *Node { return convolveByMatrix(x, kernel, c, outputDims) })
	}
	if onXLA && allOnes(c.inputDilations) && product(kernelDims) > product(inputDims) {
		return gomlxcompat.WithGradientOf(node, func() *Node {
			x, c := padApart(x, c, kernelDims, outputDims)
			return convolutionNode(x, kernel, c)
		})
	}
	y := otherwise()
	if y == node {
		return node
	}
	return gomlxcompat.WithGradientOf(node, func() *Node { return y })
}

// padApart puts the zeros around the images of a convolution without input dilation, apart from
// what is done with the images then.
func padApart(x *Node, c geometry, kernelDims, outputDims []int) (*Node, geometry) {
	last := make([]int, len(kernelDims))
	for i, dim := range kernelDims {
		last[i] = dim - 1
	}
	padded := padFor(x, c, last, outputDims)
	c.paddings = make([][2]int, c.spatial())
	if padded == x {
		return x, c
	}
	return gomlxcompat.After(padded), c
}
