package convolution

import (
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"

	"github.com/geometric-complexity/toolkit/internal/gomlxcompat"
)

// Winograd's minimal filtering for the gradients of kernels of 3×3 with stride 1, as in Lavin and
// Gray, "Fast algorithms for convolutional neural networks" (2015, arXiv 1509.09308).
//
// Along one axis a tile is four elements d0 to d3 of an image and the gradients y0 and y1 of two
// outputs. For the gradient of the kernel's elements k0 to k2 it takes four products instead of
// six:
//
//	k0 = d0·y0 + d1·y1 = m0 + (m1+m2)/2    m0 = (d0-d2)·y0    m1 = (d1+d2)·(y0+y1)
//	k1 = d1·y0 + d2·y1 = (m1-m2)/2         m3 = (d3-d1)·y1    m2 = (d2-d1)·(y0-y1)
//	k2 = d2·y0 + d3·y1 = (m1+m2)/2 + m3
//
// Along both axes a tile has 16 products instead of 36. Each of the 16, over all tiles and
// channels, is a product of matrices.
//
// A convolution can be computed in the same way, and by itself takes two thirds of the time of
// oneDNN's. In the graph of a whole ResNet18 it saved nothing, took more memory, and made XLA
// compile for three times as long.

// isWinograd reports whether minimal filtering is the fastest gradient of a kernel on XLA on a CPU.
// In half precision it would lose digits.
func isWinograd(c geometry, x, v *Node, kernelDims []int) bool {
	dtype := x.DType()
	if c.spatial() != 2 || kernelDims[0] != 3 || kernelDims[1] != 3 || c.groupCount() > 1 || !allOnes(c.strides) ||
		!allOnes(c.inputDilations) || !allOnes(c.kernelDilations) || dtype != dtypes.Float32 && dtype != dtypes.Float64 {
		return false
	}
	tiles, outputs := tilesHigh(v)*tilesWide(v), product(spatialDims(v))
	channels := min(x.Shape().Dim(-1), v.Shape().Dim(-1))
	return winogradTile*tiles <= winogradProducts*outputs && x.Shape().Dim(0)*tiles >= winogradTiles &&
		(channels >= manyDepth || channels >= manyDepth/2 && outputs >= fewPixels)
}

// tilesHigh and tilesWide are the numbers of tiles along the axes of v. The last may be half empty.
func tilesHigh(v *Node) int { return (v.Shape().Dim(1) + 1) / 2 }
func tilesWide(v *Node) int { return (v.Shape().Dim(2) + 1) / 2 }

// kernelGradientByWinograd is the gradient of a kernel by minimal filtering.
func kernelGradientByWinograd(c geometry, x, v *Node) *Node {
	perImage := winogradTile * tilesHigh(v) * tilesWide(v) * (x.Shape().Dim(3) + v.Shape().Dim(3))
	return kernelGradientByWinogradOf(max(1, winogradElements/perImage), c, x, v)
}

// kernelGradientByWinogradOf is kernelGradientByWinograd for groups of so many images.
func kernelGradientByWinogradOf(images int, c geometry, x, v *Node) *Node {
	apart := gomlxcompat.Barrier(x, v) // Every sum would compute them again.
	high, wide, in, out := tilesHigh(v), tilesWide(v), x.Shape().Dim(3), v.Shape().Dim(3)
	m := sumOfGroups(images, apart[0], apart[1], shapes.Make(x.DType(), winogradTile, in, out), func(x, v *Node) *Node {
		x = inFrame(x, c.paddings[0][0], c.paddings[1][0], 2*high+2, 2*wide+2)
		framed := gomlxcompat.Barrier(x, inFrame(v, 0, 0, 2*high, 2*wide))
		xs, vs := sumsOf(framed[0], high, wide, imageSums), sumsOf(framed[1], high, wide, outputSums)
		return DotGeneral(xs, []int{1}, []int{0}, vs, []int{1}, []int{0})
	})
	columns := kernelOf(Reshape(m, 4, 4*in, out))
	for i, column := range columns {
		columns[i] = Reshape(column, 4, 1, in, out)
	}
	rows := kernelOf(Concatenate(columns, 1))
	return Concatenate(rows, 0)
}

// kernelOf returns the gradients of k0, k1 and k2, given the products m0 to m3 along the first
// axis, each with a first axis of size 1.
func kernelOf(products *Node) []*Node {
	var m [4]*Node
	for i := range m {
		m[i] = SliceAxis(products, 0, AxisElem(i))
	}
	inner := half(Add(m[1], m[2]))
	return []*Node{Add(m[0], inner), half(Sub(m[1], m[2])), Add(inner, m[3])}
}

func half(x *Node) *Node { return Mul(x, ConstAsDType(x.Graph(), x.DType(), 0.5)) }

// sumsOf returns the sums along both axes of images [batch, rows, columns, channels], for every
// tile: [16, batch·high·wide, channels], those of columns first. One axis after the other makes for
// fewer branches in XLA's code, which takes long to compile otherwise.
func sumsOf(x *Node, high, wide int, sums func(x *Node, axis, tiles int) [4]*Node) *Node {
	batch, channels := x.Shape().Dim(0), x.Shape().Dim(3)
	ofRows := sums(x, 1, high)
	x = gomlxcompat.Barrier(Concatenate(ofRows[:], 0))[0] // Every sum of columns would compute it again.
	ofColumns := sums(x, 2, wide)
	return Reshape(Concatenate(ofColumns[:], 0), winogradTile, batch*high*wide, channels)
}

// imageSums returns d0-d2, d1+d2, d2-d1 and d3-d1 of so many tiles along an axis of images.
func imageSums(x *Node, axis, tiles int) [4]*Node {
	d := everySecond(x, axis, tiles, 4)
	return [4]*Node{Sub(d[0], d[2]), Add(d[1], d[2]), Sub(d[2], d[1]), Sub(d[3], d[1])}
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
