package convolution

import (
	"slices"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"

	"github.com/geometric-complexity/toolkit/internal/gomlxcompat"
)

// Winograd's minimal filtering for kernels of 3×3 and stride 1, as in Lavin and Gray, "Fast
// algorithms for convolutional neural networks" (2015, arXiv 1509.09308).
//
// Along one axis a tile is four elements d0 to d3 of an image, of which the elements k0 to k2 of a
// kernel make two outputs, y0 and y1. That takes four products instead of six:
//
//	y0 = d0·k0 + d1·k1 + d2·k2 = m0 + m1 + m2    m0 = (d0-d2)·k0    m1 = (d1+d2)·(k0+k1+k2)/2
//	y1 = d1·k0 + d2·k1 + d3·k2 = m1 - m2 + m3    m3 = (d3-d1)·k2    m2 = (d2-d1)·(k0-k1+k2)/2
//
// So does the kernel's gradient, where y0 and y1 are the gradients of the outputs:
//
//	k0 = d0·y0 + d1·y1 = m0 + (m1+m2)/2          m0 = (d0-d2)·y0    m1 = (d1+d2)·(y0+y1)
//	k1 = d1·y0 + d2·y1 = (m1-m2)/2               m3 = (d3-d1)·y1    m2 = (d2-d1)·(y0-y1)
//	k2 = d2·y0 + d3·y1 = (m1+m2)/2 + m3
//
// Along both axes a tile has 16 products instead of 36. Each of the 16, over all tiles and
// channels, is a product of matrices.
//
// A kernel that is flipped, for the gradient of images, has the same sums with k0 and k2 exchanged.
// So m0 and m3 are exchanged instead, and a convolution and its gradient share the sums of a
// kernel.

// isWinograd reports whether minimal filtering is the fastest way to compute a convolution on XLA
// on a CPU.
func isWinograd(c geometry, x *Node, kernelDims, outputDims []int) bool {
	return hasTiles(c, x, kernelDims, outputDims) && min(kernelDims[2], kernelDims[3]) >= manyDepth
}

// isWinogradGradient is isWinograd for the gradient of a kernel.
func isWinogradGradient(c geometry, x, v *Node, kernelDims []int) bool {
	channels := min(x.Shape().Dim(-1), v.Shape().Dim(-1))
	return hasTiles(c, x, kernelDims, spatialDims(v)) &&
		(channels >= manyDepth || channels >= manyDepth/2 && product(spatialDims(v)) >= fewPixels)
}

// hasTiles reports whether minimal filtering can compute a convolution of x, and has enough tiles
// to be worth the sums. In half precision these would lose digits.
func hasTiles(c geometry, x *Node, kernelDims, outputDims []int) bool {
	dtype := x.DType()
	if c.spatial() != 2 || kernelDims[0] != 3 || kernelDims[1] != 3 || c.groupCount() > 1 || !allOnes(c.strides) ||
		!allOnes(c.inputDilations) || !allOnes(c.kernelDilations) || dtype != dtypes.Float32 && dtype != dtypes.Float64 {
		return false
	}
	tiles := tilingOf(c, outputDims).tiles()
	return x.Shape().Dim(0)*tiles >= winogradTiles && winogradTile*tiles <= winogradProducts*product(outputDims)
}

// tiling divides the outputs of a convolution into tiles of 2×2. Those at the end of an axis may be
// half empty.
type tiling struct {
	geometry
	height, width int // In tiles.
	isFlipped     bool
}

func tilingOf(c geometry, outputDims []int) tiling {
	return tiling{geometry: c, height: (outputDims[0] + 1) / 2, width: (outputDims[1] + 1) / 2}
}

// tiles returns the number of tiles of an image.
func (t tiling) tiles() int { return t.height * t.width }

// convolveByWinograd is a convolution by minimal filtering.
func convolveByWinograd(x, kernel *Node, c geometry, outputDims []int) *Node {
	perImage := winogradTile * tilingOf(c, outputDims).tiles() * (kernel.Shape().Dim(2) + kernel.Shape().Dim(3))
	return convolveByWinogradOf(max(1, winogradElements/perImage), x, kernel, c, outputDims)
}

// convolveByWinogradOf is convolveByWinograd for groups of so many images.
func convolveByWinogradOf(images int, x, kernel *Node, c geometry, outputDims []int) *Node {
	t := tilingOf(c, outputDims)
	shape := shapes.Make(x.DType(), slices.Concat(x.Shape().Dimensions[:1], outputDims, kernel.Shape().Dimensions[3:])...)
	if t.isFlipped = isFlip(kernel); t.isFlipped {
		kernel = kernel.Inputs()[0].Inputs()[0]
	}
	apart := gomlxcompat.Barrier(x, kernel) // Every sum would compute them again.
	var filters []*Node
	for _, row := range kernelSums(apart[1], 0) {
		for _, sum := range kernelSums(row, 1) {
			filters = append(filters, Reshape(sum, 1, kernel.Shape().Dim(2), kernel.Shape().Dim(3)))
		}
	}
	return groupsTogether(images, apart[0], Concatenate(filters, 0), shape, func(x, filters *Node) *Node {
		return t.outputs(x, filters, outputDims)
	})
}

// kernelSums returns k0, (k0+k1+k2)/2, (k0-k1+k2)/2 and k2 of a kernel along an axis.
func kernelSums(kernel *Node, axis int) [4]*Node {
	k := elementsOf(kernel, axis, 3)
	outer, middle := half(Add(k[0], k[2])), half(k[1])
	return [4]*Node{k[0], Add(outer, middle), Sub(outer, middle), k[2]}
}

// outputs returns the outputs of a group of images, given the sums of the kernel, [16, channels in,
// channels out], or those of the kernel that was flipped, where these are exchanged.
func (t tiling) outputs(x, filters *Node, outputDims []int) *Node {
	in, out := 1, 2
	if t.isFlipped {
		in, out = 2, 1
	}
	batch, channels := x.Shape().Dim(0), filters.Shape().Dim(out)
	m := DotGeneral(t.sumsOf(t.framed(x), t.imageSums), []int{2}, []int{0}, filters, []int{in}, []int{0})
	m = Reshape(m, 4, 4, batch, t.height, t.width, channels)
	rows := t.outputsOf(m, 0) // Each is [1, 4, batch, height, width, channels].
	for i, row := range rows {
		columns := t.outputsOf(row, 1)
		for j, column := range columns {
			columns[j] = Reshape(column, batch, t.height, t.width, 1, channels)
		}
		rows[i] = Reshape(Concatenate(columns[:], 3), batch, t.height, 1, 2*t.width, channels)
	}
	y := Reshape(Concatenate(rows[:], 2), batch, 2*t.height, 2*t.width, channels)
	return inFrame(y, 0, 0, outputDims[0], outputDims[1])
}

// outputsOf returns y0 and y1 of the products m0 to m3 along an axis.
func (t tiling) outputsOf(products *Node, axis int) [2]*Node {
	m := elementsOf(products, axis, 4)
	if t.isFlipped {
		m[0], m[3] = m[3], m[0]
	}
	return [2]*Node{Add(m[0], Add(m[1], m[2])), Add(Sub(m[1], m[2]), m[3])}
}

// kernelGradientByWinograd is the gradient of a kernel by minimal filtering.
func kernelGradientByWinograd(c geometry, x, v *Node) *Node {
	perImage := winogradTile * tilingOf(c, spatialDims(v)).tiles() * (x.Shape().Dim(3) + v.Shape().Dim(3))
	return kernelGradientByWinogradOf(max(1, winogradElements/2/perImage), c, x, v)
}

// kernelGradientByWinogradOf is kernelGradientByWinograd for groups of so many images.
func kernelGradientByWinogradOf(images int, c geometry, x, v *Node) *Node {
	t := tilingOf(c, spatialDims(v))
	apart := gomlxcompat.Barrier(x, v) // Every sum would compute them again.
	in, out := x.Shape().Dim(3), v.Shape().Dim(3)
	m := sumOfGroups(images, apart[0], apart[1], shapes.Make(x.DType(), winogradTile, in, out), func(x, v *Node) *Node {
		framed := gomlxcompat.Barrier(t.framed(x), inFrame(v, 0, 0, 2*t.height, 2*t.width))
		xs, vs := t.sumsOf(framed[0], t.imageSums), t.sumsOf(framed[1], outputSums)
		return DotGeneral(xs, []int{1}, []int{0}, vs, []int{1}, []int{0})
	})
	rows := kernelOf(Reshape(m, 4, 4, in, out), 0) // Each is [1, 4, in, out].
	for i, row := range rows {
		columns := kernelOf(row, 1)
		rows[i] = Concatenate(columns[:], 1)
	}
	return Concatenate(rows[:], 0)
}

// kernelOf returns the gradients of k0, k1 and k2, given the products m0 to m3 along an axis.
func kernelOf(products *Node, axis int) [3]*Node {
	m := elementsOf(products, axis, 4)
	inner := half(Add(m[1], m[2]))
	return [3]*Node{Add(m[0], inner), half(Sub(m[1], m[2])), Add(inner, m[3])}
}

func half(x *Node) *Node { return Mul(x, ConstAsDType(x.Graph(), x.DType(), 0.5)) }

// framed returns images with the zeros that their tiles see around them.
func (t tiling) framed(x *Node) *Node {
	return inFrame(x, t.paddings[0][0], t.paddings[1][0], 2*t.height+2, 2*t.width+2)
}

// sumsOf returns the sums along both axes of images [batch, rows, columns, channels], for every
// tile: [16, batch·height·width, channels].
func (t tiling) sumsOf(x *Node, sums func(x *Node, axis, tiles int) [4]*Node) *Node {
	rows := sums(x, 1, t.height)
	copy(rows[:], gomlxcompat.Barrier(rows[:]...)) // Every sum of columns would compute those of rows again.
	var all []*Node
	for _, row := range rows {
		for _, sum := range sums(row, 2, t.width) {
			all = append(all, Reshape(sum, 1, x.Shape().Dim(0)*t.tiles(), x.Shape().Dim(3)))
		}
	}
	return Concatenate(all, 0)
}

// imageSums returns d0-d2, d1+d2, d2-d1 and d3-d1 of so many tiles along an axis of images.
func (t tiling) imageSums(x *Node, axis, tiles int) [4]*Node {
	d := everySecond(x, axis, tiles, 4)
	first, last := Sub(d[0], d[2]), Sub(d[3], d[1])
	if t.isFlipped {
		first, last = last, first
	}
	return [4]*Node{first, Add(d[1], d[2]), Sub(d[2], d[1]), last}
}

// outputSums returns y0, y0+y1, y0-y1 and y1 of so many tiles along an axis of outputs.
func outputSums(v *Node, axis, tiles int) [4]*Node {
	y := everySecond(v, axis, tiles, 2)
	return [4]*Node{y[0], Add(y[0], y[1]), Sub(y[0], y[1]), y[1]}
}

// everySecond returns every second element of an axis from element 0 on, from 1 on, and so on below
// n, as many as there are tiles.
func everySecond(x *Node, axis, tiles, n int) []*Node {
	elements := make([]*Node, n)
	for i := range elements {
		elements[i] = SliceAxis(x, axis, AxisRange(i, i+Dilated(tiles, 2)).Stride(2))
	}
	return elements
}

// elementsOf returns the n elements of an axis, each with that axis.
func elementsOf(x *Node, axis, n int) []*Node {
	elements := make([]*Node, n)
	for i := range elements {
		elements[i] = SliceAxis(x, axis, AxisElem(i))
	}
	return elements
}

// inFrame puts images [batch, rows, columns, channels] into a frame of zeros, so many rows below
// its top and columns from its left. What is outside the frame is cut off.
func inFrame(x *Node, top, left, rows, columns int) *Node {
	bottom, right := rows-top-x.Shape().Dim(1), columns-left-x.Shape().Dim(2)
	if top == 0 && left == 0 && bottom == 0 && right == 0 {
		return x
	}
	return Pad(x, ConstAsDType(x.Graph(), x.DType(), 0), PadAxis{}, PadAxis{Start: top, End: bottom},
		PadAxis{Start: left, End: right})
}
