package autodiff

import (
	. "github.com/gomlx/gomlx/core/graph"
)

// How the three ops of register_conv.go are computed on each platform.

// platform tells apart what a lowering is chosen by.
type platform int

const (
	platformOther  platform = iota // GPUs and unknown backends: the backend's own convolutions.
	platformXLACPU                 // XLA on a CPU.
	platformGo                     // GoMLX's pure-Go backend.
)

func platformOf(x *Node) platform {
	backend := x.Graph().Backend()
	if xla, ok := backend.(interface{ IsCPU() bool }); ok && xla.IsCPU() {
		return platformXLACPU
	}
	if backend.String() == "go" {
		return platformGo
	}
	return platformOther
}

// convolve returns the convolution, computed in the way that is fastest on the platform.
func convolve(x, kernel *Node, c geometry) *Node {
	node := convolutionNode(x, kernel, c)
	on := platformOf(x)
	switch {
	case on == platformOther || node.Shape().Size() == 0:
		return node
	case on == platformXLACPU && allOnes(c.inputDilations):
		return node // XLA hands it to Eigen, which runs near the rate of a matrix product.
	}
	outputDims := spatialDims(node)
	return withGradientOf(node, func() *Node {
		if allOnes(c.inputDilations) {
			return convolveByPatches(x, kernel, c, outputDims)
		}
		if allOnes(c.strides) {
			return convolveByColumns(x, kernel, c, outputDims)
		}
		x, c := dilateExplicitly(x, c)
		return convolveByPatches(x, kernel, c, outputDims)
	})
}

// convolveByPatches multiplies the patches that the kernel sees with the kernel.
func convolveByPatches(x, kernel *Node, c geometry, outputDims []int) *Node {
	taps := tapsOf(kernel.Shape().Dimensions[:c.spatial()])
	in, out := kernel.Shape().Dim(-2), kernel.Shape().Dim(-1)
	parts := make([]*Node, len(taps))
	x = padFor(x, c, taps[len(taps)-1], outputDims)
	for i, tap := range taps {
		parts[i] = tapSlice(x, 1, c, tap, outputDims)
	}
	patches := concatenate(parts, -1)
	rows := product(outputDims) * x.Shape().Dim(0)
	y := Dot(Reshape(patches, rows, len(taps)*in), Reshape(kernel, len(taps)*in, out)).Product()
	return Reshape(y, append(append([]int{x.Shape().Dim(0)}, outputDims...), out)...)
}

// convolveByColumns computes a convolution with dilated input and stride 1: one product gives what every
// element of x adds to every output that it reaches, and these columns are then added up in place.
func convolveByColumns(x, kernel *Node, c geometry, outputDims []int) *Node {
	n := c.spatial()
	kernelDims := kernel.Shape().Dimensions[:n]
	taps := tapsOf(kernelDims)
	in, out := kernel.Shape().Dim(-2), kernel.Shape().Dim(-1)
	dims := x.Shape().Dimensions
	rows := product(dims[:n+1])
	matrix := Reshape(transpose(Reshape(kernel, len(taps), in, out), []int{1, 0, 2}), in, len(taps)*out)
	columns := Dot(Reshape(x, rows, in), matrix).Product()
	columns = Reshape(columns, append(append([]int{}, dims[:n+1]...), len(taps)*out)...)
	var y *Node
	for i, tap := range taps {
		part := SliceAxis(columns, -1, AxisRange(i*out, (i+1)*out))
		axes := make([]PadAxis, n+2)
		for a := range n {
			start := c.paddings[a][0] - tap[a]*c.kernelDilations[a]
			axes[a+1] = PadAxis{Start: start, Interior: c.inputDilations[a] - 1,
				End: outputDims[a] - start - dilated(dims[a+1], c.inputDilations[a])}
		}
		part = Pad(part, ScalarZero(x.Graph(), x.DType()), axes...)
		if y == nil {
			y = part
		} else {
			y = Add(y, part)
		}
	}
	return y
}

// lowerKernelGradient returns the gradient of the kernel of a convolution without input dilation.
func lowerKernelGradient(c geometry, x, v *Node, kernelDims []int) *Node {
	node := kernelGradientNode(c, x, v, kernelDims)
	if platformOf(x) == platformOther || node.Shape().Size() == 0 || v.Shape().Size() == 0 {
		return node
	}
	return withGradientOf(node, func() *Node { return kernelGradientByPatches(c, x, v, kernelDims) })
}

// contraction is about how many products are summed in one matrix product of a kernel's gradient.
const contraction = 1024

// kernelGradientByPatches multiplies the transposed patches of x with v, for groups of images of about the
// same number of pixels, and adds up the groups. With the pixels last in the first factor and first in the
// second, both backends run the products at full speed, which they do not for the other orders.
func kernelGradientByPatches(c geometry, x, v *Node, kernelDims []int) *Node {
	n := c.spatial()
	taps := tapsOf(kernelDims)
	outputDims := spatialDims(v)
	batch, in, out := x.Shape().Dim(0), x.Shape().Dim(-1), v.Shape().Dim(-1)
	pixels := product(outputDims)
	images := divisorUpTo(batch, max(1, contraction/pixels))
	groups := batch / images

	x = padFor(x, c, taps[len(taps)-1], outputDims)
	x = Reshape(x, append([]int{groups, images}, x.Shape().Dimensions[1:]...)...)
	x = transpose(x, append([]int{0, n + 2, 1}, countFrom(2, n)...)) // [groups, in, images, spatial...]
	parts := make([]*Node, len(taps))
	for i, tap := range taps {
		parts[i] = tapSlice(x, 3, c, tap, outputDims)
	}
	patches := Reshape(concatenate(parts, 1), groups, len(taps)*in, images*pixels)
	d := DotGeneral(patches, []int{2}, []int{0}, Reshape(v, groups, images*pixels, out), []int{1}, []int{0})
	return Reshape(ReduceSum(d, 0), append(append([]int{}, kernelDims...), in, out)...)
}

// padFor pads (or crops) the images x [batch, spatial..., channels], so that every tap up to the last finds
// its elements.
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

// tapSlice returns what one tap of the kernel sees of the padded images, whose spatial axes begin at axis.
func tapSlice(x *Node, axis int, c geometry, tap, outputDims []int) *Node {
	spec := make([]SliceAxisSpec, axis, axis+len(tap)+1)
	for i := range spec {
		spec[i] = AxisRange()
	}
	for i, t := range tap {
		start := t * c.kernelDilations[i]
		spec = append(spec, AxisRange(start, start+dilated(outputDims[i], c.strides[i])).Stride(c.strides[i]))
	}
	return Slice(x, spec...)
}

// tapsOf returns the positions of a kernel's elements, the last axis fastest.
func tapsOf(kernelDims []int) [][]int {
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
