package convolution

// This file has every threshold that comes from a measurement, each with its benchmark. They change
// how values are computed, not the values.

// The choices between lowerings come from BenchmarkResNet18: every convolution of a ResNet18 for
// 32×32 images, at batch 32 and 320, on two CPU cores. In multiples of the CPU time of the matrix
// product of the same size (about 20 ms for 2.4 GFLOP):
//
//	XLA, stride 1: its own convolution takes 1.0-1.2 for images of 16×16 and more, 1.4 for 8×8 and
//	    2.8 for 4×4, where one product per tap takes 1.0; its own with dilated input 1.5-2.2, taps
//	    1.1-2.0.
//	XLA, gradient of the kernel: its own takes 3.5-6 for large images, patches 6, rows 2.5-3.5; all
//	    take about 1.2-1.8 for 8×8 and less. (On an AMD EPYC its own takes 1.2-1.6 at batch 32, but
//	    4 at batch 320.)
//	XLA with oneDNN: its own convolutions take 0.9-1.1; with dilated input phases take 1.0-1.2,
//	    where its own takes up to 2.4. Gradient of the kernel: its own takes 1.0-1.6 at batch 32,
//	    and for each image 1.5 to 4 times as long at batch 320 but for images of 4×4.
//
// BenchmarkLowerings compares those with oneDNN on two cores of an AMD EPYC, for kernels of 3×3.
// In milliseconds, for the gradient of a kernel, by groups of images, rows, patches and Winograd:
//
//	batch 128, 32×32, 16 to 16 channels   9.3   3.4   18.2    6.0
//	           16×16, 32 to 32            6.1   2.8    8.7    3.5
//	             8×8, 64 to 64            2.6   2.8    5.7    1.9
//	           32×32, 16 to 32, stride 2  5.2   2.2    5.0
//	           32×32,  3 to 16            3.4   1.6    2.4    3.3
//	batch 32,  32×32, 64 to 64           18.3   8.8   17.6    5.7
//	           16×16, 128 to 128         14.0   7.3   13.9    4.2
//	             8×8, 256 to 256          9.7   8.0   10.3    3.9
//	             4×4, 512 to 512          9.7  11.3    9.3    4.7
//	           32×32,  3 to 64            1.8   1.6    0.9    2.0
//	             8×8, 256 to 512, stride 2  5.8   4.6    4.2
//
// On the Go backend products of windows (windows_blocks.go) were fastest for all. For the 3×3
// kernels of a network with 16, 32, 64 and 128 channels at batch 16, in multiples of the same
// product's CPU time: the convolution takes 2.6, 1.5, 1.2 and 1.1, taps take 4.8, 2.0, 1.6 and 1.6,
// and its own convolution takes 30 to 40; the kernel's gradient takes 3.0, 1.8, 1.4 and 1.6, rows
// or patches 6.6, 3.3, 2.4 and 2.1, and its own 70 to 107.
const (
	// fewPixels: up to this number of output pixels, XLA's own convolution is slow.
	fewPixels = 64
	// manyPixels: from this number of output pixels on, copying patches costs more than products.
	manyPixels = 256
	// fewDepth: below this number of channels, products by tap are too thin to be fast.
	fewDepth = 16

	// manyDepth: from this number of channels on, products are large whatever the image.
	manyDepth = 128

	// mostTaps: a depthwise convolution with more taps is not summed over them, so that graphs stay
	// small.
	mostTaps = 128

	// groupImages is the number of images that oneDNN's gradient of a kernel takes together, unless
	// they are small: with more images it takes more than twice as long for each. A batch has at
	// most maxGroups groups, so that graphs stay small.
	groupImages, maxGroups = 32, 16

	// rowElements is about the number of elements of all copies that a kernel's gradient by rows
	// makes of a group of images.
	rowElements = 1 << 20
	// rowParts limits the products that these copies are cut into. Where images are large, XLA
	// takes about a tenth less time for one product per image than for one over all.
	rowParts = 8

	// wideRows: images with so many channels have a product for each column and row of taps. XLA
	// would compile the copies that put them side by side anew for every loop: with batch norm, 437
	// kernels for a ResNet18's exact step instead of 379. From 64 channels on, a plain step with 16
	// channels in the first stage would take 1 to 2 % more CPU time.
	wideRows = 128

	// winogradTile is the number of products in a tile of minimal filtering, winogradProducts how
	// many it may take for each output and pair of channels, where a convolution takes nine: 4
	// where no tile is half empty.
	winogradTile, winogradProducts = 16, 6
	// winogradTiles: with fewer tiles of all images, the sums of the products cost more than is
	// saved.
	winogradTiles = 128
	// winogradElements is about the number of elements that minimal filtering makes of a group of
	// images.
	winogradElements = 1 << 21

	// denseColumns is the time to lay out the dense matrix of a convolution, in units of the time
	// to multiply one image by it.
	denseColumns = 16

	// largeKernel: from this number of elements on, XLA flips a kernel faster if it first reverses
	// and then transposes it. For 3×3 taps and 512 to 512 channels that takes 1.3 ms of CPU time
	// instead of 3.3, for 256 to 256 0.15 instead of 0.52, for 128 to 128 0.043 instead of 0.056,
	// but for 64 to 64 0.015 instead of 0.010.
	largeKernel = 9 * 128 * 128

	// contraction is about the number of products that one matrix product sums in a kernel's
	// gradient by patches.
	contraction = 256
)

// These belong to the products of windows on the Go backend, and come from the same benchmark.
const (
	// forwardElements and gradientElements are about the number of elements of windows in memory at
	// a time, for a convolution and for a kernel's gradient. More were slower, because caches do
	// not hold them. Fewer were slower, because every product unpacks the kernel's matrix again.
	forwardElements, gradientElements = 1 << 20, 1 << 19
	// maxBlocks limits the blocks of a batch, so that graphs stay small.
	maxBlocks = 16

	// tileColumns is the number of columns of a product that the backend computes together.
	tileColumns = 32
	// gatherColumns is the time to gather the rows of a product, in units of the time of one more
	// column.
	gatherColumns = 5
	// maxGroup limits the outputs of a group along the last axis.
	maxGroup = 8
)
