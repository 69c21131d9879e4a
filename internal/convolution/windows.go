package convolution

import (
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/support/xslices"
)

// windows say what each group of neighbouring outputs of a convolution sees of the images, see
// windows_blocks.go. The slices have one entry per spatial axis.
type windows struct {
	geometry
	lastTap []int // The position of the kernel's last element.
	group   []int // Outputs of a group.
	count   []int // Groups; the last may reach beyond the outputs.
	size    []int // Elements of the images in a window.
	step    []int // From one group's window to the next.
	first   []int // Where the first window begins: negative in the padding.
}

// windowsOf returns the windows of a convolution that has no kernel dilation, and strides or input
// dilation but not both.
func windowsOf(c geometry, kernelDims, outputDims []int, out int) windows {
	n := c.spatial()
	w := windows{geometry: c}
	for i, k := range kernelDims {
		stride, dilation, before := c.strides[i], c.inputDilations[i], c.paddings[i][0]
		group := dilation // The pattern of the elements between the zeros repeats after so many outputs.
		if i == n-1 && allOnes(c.inputDilations) {
			group = groupFor(outputDims[i], k, stride, out)
		}
		first := -floorDiv(before, dilation)
		last := floorDiv((group-1)*stride+k-1-before, dilation)
		w.lastTap = append(w.lastTap, k-1)
		w.group = append(w.group, group)
		w.count = append(w.count, (outputDims[i]+group-1)/group)
		w.size = append(w.size, last-first+1)
		w.step = append(w.step, group*stride/dilation)
		w.first = append(w.first, first)
	}
	return w
}

// groupFor returns the number of outputs along an axis that is cheapest to compute from one window:
// the elements to gather for an output, times the columns that each is multiplied with.
func groupFor(outputs, kernel, stride, out int) int {
	best, lowest := 1, 0.0
	for group := 1; group <= min(outputs, maxGroup); group++ {
		columns := (group*out + tileColumns - 1) / tileColumns * tileColumns
		cost := float64((group-1)*stride+kernel) / float64(group) * float64(columns+gatherColumns)
		if outputs%group == 0 && (group == 1 || cost < lowest) {
			best, lowest = group, cost
		}
	}
	return best
}

// padded returns images x with the zeros that windows see before and after them, and how many are
// before, for each axis.
func (w windows) padded(x *Node) (_ *Node, before []int) {
	for i, first := range w.first {
		end := (w.count[i]-1)*w.step[i] + first + w.size[i]
		before = append(before, max(0, -first))
		x = withZeros(x, i+1, before[i], end-x.Shape().Dim(i+1))
	}
	return x, before
}

// gather returns the windows of a block of padded images as a matrix: one row for each image and
// group.
func (w windows) gather(x *Node, before []int, block imageBlock) *Node {
	n := w.spatial()
	batch, in := x.Shape().Dim(0), x.Shape().Dim(-1)
	dims := append([]int{}, spatialDims(x)...)
	rows := block.images * product(w.count)
	if product(w.size) == 1 && product(w.count) == product(dims) { // Every element is a window.
		return Reshape(block.of(x), rows, in)
	}
	// Two axes less, so that a window is found faster: the batch is one with the first, the
	// channels with the last.
	starts := ConstTensor(x.Graph(), w.starts(block, in, dims, before))
	sizes := append([]int{}, w.size...)
	dims[0] *= batch
	dims[n-1] *= in
	sizes[n-1] *= in
	return Reshape(GatherSlices(Reshape(x, dims...), xslices.Iota(0, n), starts, sizes, true), rows, product(sizes))
}

// starts returns where every window of a block begins in images that are padded to the given
// dimensions.
func (w windows) starts(block imageBlock, in int, dims, before []int) *tensors.Tensor {
	n := w.spatial()
	groups := Taps(w.count)
	starts := make([]int32, 0, block.images*len(groups)*n)
	for image := range block.images {
		for _, group := range groups {
			for i, g := range group {
				start := g*w.step[i] + w.first[i] + before[i]
				if i == 0 {
					start += (block.first + image) * dims[0]
				}
				if i == n-1 {
					start *= in
				}
				starts = append(starts, int32(start))
			}
		}
	}
	return tensors.FromFlatDataAndDimensions(starts, block.images*len(groups), n)
}

// matrix lays a kernel out as the matrix that takes a window to the outputs of its group.
func (w windows) matrix(kernel *Node) *Node {
	in, out := kernel.Shape().Dim(-2), kernel.Shape().Dim(-1)
	taps := kernel.Shape().Size() / (in * out)
	if product(w.group) == 1 {
		return Reshape(kernel, taps*in, out)
	}
	elements, outputs := Taps(w.size), Taps(w.group)
	numbers := make([]int32, 0, len(elements)*len(outputs))
	for _, element := range elements {
		for _, output := range outputs {
			numbers = append(numbers, int32(w.tapAt(element, output, taps)))
		}
	}
	index := ConstTensor(kernel.Graph(), tensors.FromFlatDataAndDimensions(numbers, len(numbers), 1))
	withNone := withZeros(Reshape(kernel, taps, in, out), 0, 0, 1)
	blocks := GatherSlices(withNone, []int{0}, index, []int{1}, false)
	blocks = transpose(Reshape(blocks, len(elements), len(outputs), in, out), []int{0, 2, 1, 3})
	return Reshape(blocks, len(elements)*in, len(outputs)*out)
}

// tapAt returns the number of the tap by which an element of a window enters an output of its
// group, or none.
func (w windows) tapAt(element, output []int, none int) int {
	number := 0
	for i, last := range w.lastTap {
		tap := (w.first[i]+element[i])*w.inputDilations[i] + w.paddings[i][0] - output[i]*w.strides[i]
		if tap < 0 || tap > last {
			return none
		}
		number = number*(last+1) + tap
	}
	return number
}

// kernelOf returns the gradient of the kernel, given the transposed gradient of its matrix, of a
// convolution without dilations: the kernel is in the matrix once for each output of a group.
func (w windows) kernelOf(d *Node, in, out int) *Node {
	last := w.spatial() - 1
	width := w.lastTap[last] + 1
	d = Reshape(d, w.group[last], out, product(w.size[:last]), w.size[last]*in)
	var sum *Node
	for i := range w.group[last] {
		start := i * w.strides[last] * in
		sum = addNonNil(sum, Slice(d, AxisElem(i), AxisRange(), AxisRange(), AxisRange(start, start+width*in)))
	}
	dims := append(append([]int{}, w.size[:last]...), width, in, out)
	return Reshape(transpose(Reshape(sum, out, -1), []int{1, 0}), dims...)
}

// images takes the outputs of the groups, one row for each image and group, to where they belong.
func (w windows) images(y *Node, batch int, outputDims []int, out int) *Node {
	n := w.spatial()
	if product(w.group[:n-1]) > 1 {
		// Axes that need not be parted stay together, as for these transpositions the backend has
		// fast code.
		dims := append([]int{batch * w.count[0]}, w.count[1:]...)
		dims = append(append(dims, w.group[:n-1]...), w.group[n-1]*out)
		axes := []int{0}
		for i := 1; i < n; i++ {
			axes = append(axes, n-1+i, i)
		}
		y = transpose(Reshape(y, dims...), append(axes, 2*n-1))
	}
	whole, wanted := []int{batch}, []SliceAxisSpec{AxisRange()}
	for i, dim := range outputDims {
		whole = append(whole, w.count[i]*w.group[i])
		wanted = append(wanted, AxisRange(0, dim))
	}
	y = Reshape(y, append(whole, out)...)
	if y.Shape().Size() > batch*product(outputDims)*out {
		y = Slice(y, wanted...)
	}
	return y
}

// withZeros puts zeros before and after the elements of an axis, where these numbers are positive.
func withZeros(x *Node, axis, before, after int) *Node {
	parts := []*Node{x}
	zerosLike := func(n int) *Node {
		shape := x.Shape().Clone()
		shape.Dimensions[axis] = n
		return zeros(x.Graph(), shape)
	}
	if before > 0 {
		parts = []*Node{zerosLike(before), x}
	}
	if after > 0 {
		parts = append(parts, zerosLike(after))
	}
	return concatenate(parts, axis)
}

// floorDiv returns a/b rounded down, for positive b.
func floorDiv(a, b int) int {
	if a < 0 {
		return -((-a + b - 1) / b)
	}
	return a / b
}
