package convolution

import (
	"slices"

	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"

	"github.com/gomlx/gomlx/support/xslices"

	"github.com/geometric-complexity/toolkit/internal/gomlxcompat"
	"github.com/geometric-complexity/toolkit/internal/platform"
)

// lowering holds the properties of a convolution that decide how it is computed.
type lowering int

const (
	backendsOwn lowering = iota // On accelerators and unknown backends: the backend's own convolutions.
	xlaCPU                      // XLA on a CPU.
	oneDNN                      // XLA on a CPU, with oneDNN's convolutions.
	onGo                        // GoMLX's pure-Go backend.
)

func loweringOf(x *Node) lowering {
	b := x.Graph().Backend()
	switch platform.Of(b) {
	case platform.XLACPU:
		if x.Rank() == 4 && platform.ConvolvesByOneDNN(b, x.DType()) {
			return oneDNN
		}
		return xlaCPU
	case platform.Go:
		return onGo
	}
	return backendsOwn
}

// convolve returns the convolution, computed in the way that is fastest on the platform.
func convolve(x, kernel *Node, c geometry) *Node {
	on := loweringOf(x)
	if on == oneDNN && allOnes(c.inputDilations) {
		x, c = cropped(x, c)
	}
	node := convolutionNode(x, kernel, c)
	if on == backendsOwn || node.Shape().Size() == 0 || x.Shape().Size() == 0 {
		return node
	}
	if c.groups > 1 {
		return convolveGroups(node, x, kernel, c)
	}
	dilates, strided := !allOnes(c.inputDilations), !allOnes(c.strides)
	outputDims := spatialDims(node)
	pixels, in, out := product(outputDims), kernel.Shape().Dim(-2), kernel.Shape().Dim(-1)
	isFastOnXLA := pixels > fewPixels || in < fewDepth || strided && pixels > fewPixels/4
	isNative := !dilates && (on == oneDNN || on == xlaCPU && isFastOnXLA)
	return lowerSmall(node, x, kernel, c, func() *Node {
		switch {
		case isNative:
			return node
		case strided && dilates:
			x, c = dilateExplicitly(x, c)
			return convolve(x, kernel, c)
		case on == onGo && allOnes(c.kernelDilations):
			return convolveByWindows(x, kernel, c, outputDims)
		case on == oneDNN && allOnes(c.kernelDilations) && product(kernel.Shape().Dimensions[:c.spatial()]) > 1:
			return convolveByPhases(x, kernel, c, outputDims)
		case strided, !dilates && in < fewDepth:
			return convolveByPatches(x, kernel, c, outputDims)
		case out < fewDepth:
			return convolveByColumns(x, kernel, c, outputDims)
		}
		return convolveByTaps(x, kernel, c, outputDims)
	})
}

// cropped crops x by its negative paddings, which oneDNN does not take.
func cropped(x *Node, c geometry) (*Node, geometry) {
	spec := []SliceAxisSpec{AxisRange()}
	paddings := make([][2]int, len(c.paddings))
	for i, p := range c.paddings {
		spec = append(spec, AxisRange(max(0, -p[0]), x.Shape().Dim(i+1)+min(0, p[1])))
		paddings[i] = [2]int{max(0, p[0]), max(0, p[1])}
	}
	if slices.Equal(paddings, c.paddings) {
		return x, c
	}
	c.paddings = paddings
	return Slice(x, spec...), c
}

// convolveByPatches multiplies the patches that the kernel sees with the kernel.
func convolveByPatches(x, kernel *Node, c geometry, outputDims []int) *Node {
	taps := Taps(kernel.Shape().Dimensions[:c.spatial()])
	in, out := kernel.Shape().Dim(-2), kernel.Shape().Dim(-1)
	x = padFor(x, c, taps[len(taps)-1], outputDims)
	patches := Patches(x, 1, -1, taps, c.strides, c.kernelDilations, outputDims)
	rows := product(outputDims) * x.Shape().Dim(0)
	y := Dot(Reshape(patches, rows, len(taps)*in), Reshape(kernel, len(taps)*in, out)).Product()
	return Reshape(y, append(append([]int{x.Shape().Dim(0)}, outputDims...), out)...)
}

// convolveByColumns computes a convolution with dilated input and stride 1: one product gives what
// every element of x adds to every output that it reaches, and these columns are then added up in
// place.
func convolveByColumns(x, kernel *Node, c geometry, outputDims []int) *Node {
	n := c.spatial()
	kernelDims := kernel.Shape().Dimensions[:n]
	taps := Taps(kernelDims)
	in, out := kernel.Shape().Dim(-2), kernel.Shape().Dim(-1)
	dims := x.Shape().Dimensions
	rows := product(dims[:n+1])
	matrix := Reshape(transpose(Reshape(kernel, len(taps), in, out), []int{1, 0, 2}), in, len(taps)*out)
	columns := Dot(Reshape(x, rows, in), matrix).Product()
	columns = Reshape(columns, append(append([]int{}, dims[:n+1]...), len(taps)*out)...)
	var y *Node
	for i, tap := range taps {
		part := SliceAxis(columns, -1, AxisRange(i*out, (i+1)*out))
		y = addNonNil(y, shifted(part, c, tap, outputDims))
	}
	return y
}

// convolveByTaps is convolveByColumns with one product for each tap.
func convolveByTaps(x, kernel *Node, c geometry, outputDims []int) *Node {
	taps := Taps(kernel.Shape().Dimensions[:c.spatial()])
	in, out := kernel.Shape().Dim(-2), kernel.Shape().Dim(-1)
	dims := x.Shape().Dimensions
	rows := Reshape(x, product(dims[:len(dims)-1]), in)
	matrices := Reshape(kernel, len(taps), in, out)
	var y *Node
	for i, tap := range taps {
		matrix := Reshape(SliceAxis(matrices, 0, AxisElem(i)), in, out)
		part := Reshape(Dot(rows, matrix).Product(), append(append([]int{}, dims[:len(dims)-1]...), out)...)
		y = addNonNil(y, shifted(part, c, tap, outputDims))
	}
	return y
}

// convolveByPhases computes a convolution with dilated input and stride 1, without the zeros
// between x's elements: all outputs with the same position modulo the dilation see the same taps,
// so they are a convolution of x with these.
func convolveByPhases(x, kernel *Node, c geometry, outputDims []int) *Node {
	phases := Taps(c.inputDilations)
	parts := make([]*Node, len(phases))
	for i, phase := range phases {
		parts[i] = phaseOf(x, kernel, c, phase, outputDims)
	}
	// Interleaves the phases, which are ordered with the last axis fastest, from the last axis on.
	for axis := c.spatial(); axis > 0; axis-- {
		dilation := c.inputDilations[axis-1]
		var longer []*Node
		for start := 0; start < len(parts); start += dilation {
			rows := make([]*Node, dilation)
			for i, part := range parts[start : start+dilation] {
				rows[i] = InsertAxes(part, axis+1)
			}
			dims := slices.Clone(parts[start].Shape().Dimensions)
			dims[axis] *= dilation
			longer = append(longer, Reshape(concatenate(rows, axis+1), dims...))
		}
		parts = longer
	}
	wanted := []SliceAxisSpec{AxisRange()}
	for _, dim := range outputDims {
		wanted = append(wanted, AxisRange(0, dim))
	}
	if slices.Equal(spatialDims(parts[0]), outputDims) {
		return parts[0]
	}
	return Slice(parts[0], wanted...)
}

// phaseOf returns the outputs at phase, phase+dilation, ... of a convolution with dilated input: as
// many for every phase, so the last may be beyond the outputs.
func phaseOf(x, kernel *Node, c geometry, phase, outputDims []int) *Node {
	n := c.spatial()
	sub := geometry{strides: c.strides, paddings: make([][2]int, n),
		inputDilations: slices.Repeat([]int{1}, n), kernelDilations: c.kernelDilations}
	taps := make([]SliceAxisSpec, n)
	crop := []SliceAxisSpec{AxisRange()}
	dims := []int{x.Shape().Dim(0)}
	empty := false
	for i, dilation := range c.inputDilations {
		size, elements := kernel.Shape().Dim(i), x.Shape().Dim(i+1)
		outputs := (outputDims[i] + dilation - 1) / dilation
		dims = append(dims, outputs)
		tap := c.paddings[i][0] - phase[i]
		start := floorDiv(tap, dilation) // What is before x for the phase's first output.
		tap -= start * dilation
		if tap >= size {
			empty = true
			continue
		}
		taps[i] = AxisRange(tap).Stride(dilation)
		end := outputs - 1 + (size-tap+dilation-1)/dilation - elements - start
		crop = append(crop, AxisRange(max(0, -start), elements+min(0, end)))
		sub.paddings[i] = [2]int{max(0, start), max(0, end)}
	}
	if empty { // No tap reaches these.
		return Zeros(x.Graph(), shapes.Make(x.DType(), append(dims, kernel.Shape().Dim(-1))...))
	}
	return convolve(Slice(x, crop...), Slice(kernel, taps...), sub)
}

// shifted puts what one tap gives for every element of x at the outputs that it reaches.
func shifted(part *Node, c geometry, tap, outputDims []int) *Node {
	axes := make([]PadAxis, part.Rank())
	for a := range tap {
		start := c.paddings[a][0] - tap[a]*c.kernelDilations[a]
		axes[a+1] = PadAxis{Start: start, Interior: c.inputDilations[a] - 1,
			End: outputDims[a] - start - Dilated(part.Shape().Dim(a+1), c.inputDilations[a])}
	}
	return Pad(part, ScalarZero(part.Graph(), part.DType()), axes...)
}

func addNonNil(sum, term *Node) *Node {
	if sum == nil {
		return term
	}
	return Add(sum, term)
}

// lowerKernelGradient returns the gradient of the kernel of a convolution without input dilation.
func lowerKernelGradient(c geometry, x, v *Node, kernelDims []int) *Node {
	node := kernelGradientNode(c, x, v, kernelDims)
	on := loweringOf(x)
	if on == backendsOwn || node.Shape().Size() == 0 || x.Shape().Size() == 0 || v.Shape().Size() == 0 {
		return node
	}
	return gomlxcompat.WithGradientOf(node, func() *Node {
		if c.groups > 1 {
			return kernelGradientOfGroups(c, x, v, kernelDims)
		}
		if on == onGo && allOnes(c.kernelDilations) {
			return kernelGradientByWindows(c, x, v, kernelDims)
		}
		if on != onGo && isDense(c, x.Shape().Dim(0), spatialDims(x), kernelDims) {
			return kernelGradientByMatrix(c, x, v, kernelDims)
		}
		if isWinograd(c, x, v, kernelDims) {
			return kernelGradientByWinograd(c, x, v)
		}
		if isByRows(on, c, x, v, kernelDims) {
			return kernelGradientByRows(c, x, v, kernelDims)
		}
		if on == oneDNN && (product(kernelDims) > 1 || allOnes(c.strides)) {
			return kernelGradientByGroups(c, x, v, kernelDims)
		}
		return kernelGradientByPatches(c, x, v, kernelDims)
	})
}

// isByRows reports whether products of rows are the fastest gradient of a kernel.
func isByRows(on lowering, c geometry, x, v *Node, kernelDims []int) bool {
	if on == onGo || c.spatial() != 2 || !allOnes(c.kernelDilations) || product(kernelDims) == 1 {
		return false
	}
	pixels, in, out := product(spatialDims(x)), x.Shape().Dim(-1), v.Shape().Dim(-1)
	switch {
	case on != oneDNN:
		return product(spatialDims(v)) >= manyPixels && in >= fewDepth
	case pixels >= manyPixels:
		return in >= fewDepth/2 || out <= fewDepth
	case in >= manyDepth:
		return !allOnes(c.strides)
	}
	return pixels >= fewPixels && in >= fewDepth/2 && max(in, out) <= fewDepth
}

// kernelGradientByGroups is the gradient of the kernel as a convolution over each group of images.
// The groups are not in a loop: there XLA gives oneDNN each together with the sum, which oneDNN
// computes by a scalar loop.
func kernelGradientByGroups(c geometry, x, v *Node, kernelDims []int) *Node {
	n, batch := c.spatial(), x.Shape().Dim(0)
	if product(spatialDims(v)) > product(spatialDims(x)) {
		x, c = padApart(x, c, kernelDims, spatialDims(v))
	}
	apart := gomlxcompat.Barrier(x, v) // Both are transposed.
	x, v = apart[0], apart[1]
	images := batch
	if product(spatialDims(v)) >= fewPixels {
		images = max(groupImages, (batch+maxGroups-1)/maxGroups)
	}
	// The images' channels stay first in what the groups give, as oneDNN has them: they are moved
	// in the sum alone.
	axes := kernelGradientAxes(n)
	axes.OutputBatch, axes.OutputSpatial = 0, xslices.Iota(1, n)
	var d *Node
	for start := 0; start < batch; start += images {
		group := AxisRange(start, min(start+images, batch))
		d = addNonNil(d, kernelGradientOver(axes, c, SliceAxis(x, 0, group), SliceAxis(v, 0, group), kernelDims))
	}
	return transpose(d, append(xslices.Iota(1, n), 0, n+1))
}

// kernelGradientByRows is the gradient of a kernel with two spatial axes by products of copies: the
// columns of taps are stacked on x's channels, and the rows of taps on v's, so that one product
// over all pixels gives all pairs of a column and a row. For a 3×3 kernel that copies both three
// times, where patches copy x nine times. Images are taken in groups, so that the copies stay
// small.
func kernelGradientByRows(c geometry, x, v *Node, kernelDims []int) *Node {
	copies := product(spatialDims(v)) * (kernelDims[1]*x.Shape().Dim(-1) + kernelDims[0]*v.Shape().Dim(-1))
	return kernelGradientByRowsOf(max(1, rowElements/copies), c, x, v, kernelDims)
}

// kernelGradientByRowsOf is kernelGradientByRows for groups of so many images.
func kernelGradientByRowsOf(images int, c geometry, x, v *Node, kernelDims []int) *Node {
	apart := gomlxcompat.Barrier(x, v) // Every copy would compute x and v again.
	x, v = apart[0], apart[1]
	shape := shapes.Make(x.DType(), kernelDims[0], kernelDims[1], x.Shape().Dim(-1), v.Shape().Dim(-1))
	return sumOfGroups(images, x, v, shape, func(x, v *Node) *Node { return productOfRows(c, x, v, kernelDims) })
}

// productOfRows is kernelGradientByRows for one group of images. With a stride, every offset of a
// row modulo the stride has a product of its own.
func productOfRows(c geometry, x, v *Node, kernelDims []int) *Node {
	zero := ConstAsDType(x.Graph(), x.DType(), 0)
	height, width := v.Shape().Dim(1), v.Shape().Dim(2)
	// The rows of x for one offset of a row modulo the stride.
	rows := height + (kernelDims[0]-1)/c.strides[0]
	x = inFrame(x, c.paddings[0][0], c.paddings[1][0], rows*c.strides[0], (width-1)*c.strides[1]+kernelDims[1])
	if !allOnes(c.strides) { // With the frame inside, XLA makes a kernel of its own for every copy.
		x = gomlxcompat.Barrier(x)[0]
	}
	in, out := x.Shape().Dim(-1), v.Shape().Dim(-1)
	images, parts := v.Shape().Dim(0), 1
	if rows*width >= manyPixels {
		parts = divisorUpTo(images, rowParts)
	}
	pixels := images / parts * rows * width
	step := c.strides[0]
	byRow := make([][]*Node, kernelDims[0]) // [taps, in, out], for one column of taps or all.
	for offset := range min(step, kernelDims[0]) {
		var columns, shifts []*Node
		for j := range kernelDims[1] {
			columns = append(columns, Slice(x, AxisRange(), AxisRange(offset).Stride(step),
				AxisRange(j, j+Dilated(width, c.strides[1])).Stride(c.strides[1])))
		}
		for i := offset; i < kernelDims[0]; i += step {
			above := i / step
			shifts = append(shifts, Pad(v, zero, PadAxis{}, PadAxis{Start: above, End: rows - height - above}))
		}
		for _, column := range stackedIfNarrow(columns) {
			i := offset
			for _, shift := range stackedIfNarrow(shifts) {
				xs, vs := Reshape(column, parts, pixels, -1), Reshape(shift, parts, pixels, -1)
				d := sumOfParts(DotGeneral(xs, []int{1}, []int{0}, vs, []int{1}, []int{0}))
				d = Reshape(d, -1, in, vs.Shape().Dim(2))
				for start := 0; start < vs.Shape().Dim(2); start += out {
					byRow[i] = append(byRow[i], SliceAxis(d, 2, AxisRange(start, start+out)))
					i += step
				}
			}
		}
	}
	return Reshape(concatenate(slices.Concat(byRow...), 0), append(slices.Clone(kernelDims), in, out)...)
}

// stackedIfNarrow puts images with few channels side by side along these, for one product of all.
func stackedIfNarrow(images []*Node) []*Node {
	if images[0].Shape().Dim(3) >= wideRows {
		return images
	}
	return []*Node{concatenate(images, 3)}
}

// sumOfParts returns the sum over the first axis, which it keeps. It makes no scalar of GoMLX's
// cache, so it can be in a loop.
func sumOfParts(x *Node) *Node {
	var sum *Node
	for i := range x.Shape().Dim(0) {
		sum = addNonNil(sum, SliceAxis(x, 0, AxisElem(i)))
	}
	return sum
}

// kernelGradientByPatches multiplies the transposed patches of x with v, for groups of images of
// about the same number of pixels, and adds up the groups. With the pixels last in the first factor
// and first in the second, both backends run the products at full speed, which they do not for the
// other orders.
func kernelGradientByPatches(c geometry, x, v *Node, kernelDims []int) *Node {
	n := c.spatial()
	taps := Taps(kernelDims)
	outputDims := spatialDims(v)
	batch, in, out := x.Shape().Dim(0), x.Shape().Dim(-1), v.Shape().Dim(-1)
	pixels := product(outputDims)
	images := divisorUpTo(batch, max(1, contraction/pixels))
	groups := batch / images

	x = padFor(x, c, taps[len(taps)-1], outputDims)
	if len(taps) == 1 { // Only what the stride leaves needs to be transposed.
		x = SliceTap(x, 1, taps[0], c.strides, c.kernelDilations, outputDims)
		c.strides = slices.Repeat([]int{1}, n)
	}
	x = Reshape(x, append([]int{groups, images}, x.Shape().Dimensions[1:]...)...)
	x = transpose(x, append([]int{0, n + 2, 1}, xslices.Iota(2, n)...)) // [groups, in, images, spatial...]
	patches := Patches(x, 3, 1, taps, c.strides, c.kernelDilations, outputDims)
	patches = Reshape(patches, groups, len(taps)*in, images*pixels)
	d := DotGeneral(patches, []int{2}, []int{0}, Reshape(v, groups, images*pixels, out), []int{1}, []int{0})
	return Reshape(ReduceSum(d, 0), append(append([]int{}, kernelDims...), in, out)...)
}

// padFor pads (or crops) the images x [batch, spatial..., channels], so that every tap up to the
// last finds its elements.
func padFor(x *Node, c geometry, lastTap, outputDims []int) *Node {
	axes := make([]PadAxis, x.Rank())
	needed := false
	for i := range c.spatial() {
		covered := (outputDims[i]-1)*c.strides[i] + lastTap[i]*c.kernelDilations[i] + 1
		start := c.paddings[i][0]
		axes[i+1] = PadAxis{Start: start, End: covered - start - x.Shape().Dim(i+1)}
		needed = needed || axes[i+1].Start != 0 || axes[i+1].End != 0
	}
	if !needed {
		return x
	}
	return Pad(x, ScalarZero(x.Graph(), x.DType()), axes...)
}

// Patches returns what the taps of a window see of x, padded, whose spatial axes begin at axis,
// side by side along channelAxis, the first tap first.
func Patches(x *Node, axis, channelAxis int, taps [][]int, strides, windowDilations, outputDims []int) *Node {
	parts := make([]*Node, len(taps))
	for i, tap := range taps {
		parts[i] = SliceTap(x, axis, tap, strides, windowDilations, outputDims)
	}
	return concatenate(parts, channelAxis)
}

// SliceTap returns what one tap of a window sees of x, padded, from axis on: as many elements as
// there are outputs, each so many strides after the one before.
func SliceTap(x *Node, axis int, tap, strides, windowDilations, outputDims []int) *Node {
	spec := make([]SliceAxisSpec, axis, axis+len(tap)+1)
	for i := range spec {
		spec[i] = AxisRange()
	}
	for i, t := range tap {
		start := t * windowDilations[i]
		spec = append(spec, AxisRange(start, start+Dilated(outputDims[i], strides[i])).Stride(strides[i]))
	}
	return Slice(x, spec...)
}

// Taps returns the positions of a kernel's elements, the last axis fastest.
func Taps(kernelDims []int) [][]int {
	taps := [][]int{{}}
	for _, dim := range kernelDims {
		var longer [][]int
		for _, tap := range taps {
			for t := range dim {
				longer = append(longer, append(append([]int{}, tap...), t))
			}
		}
		taps = longer
	}
	return taps
}

func concatenate(parts []*Node, axis int) *Node {
	if len(parts) == 1 {
		return parts[0]
	}
	return Concatenate(parts, axis)
}

func product(values []int) int {
	p := 1
	for _, v := range values {
		p *= v
	}
	return p
}

// divisorUpTo returns the largest divisor of n that is at most limit.
func divisorUpTo(n, limit int) int {
	for d := min(n, limit); d > 1; d-- {
		if n%d == 0 {
			return d
		}
	}
	return 1
}
