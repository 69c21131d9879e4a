package convolution

// Every threshold that was found by measuring is here, each with the benchmark that it comes from.
// None of them changes what is computed, only how.

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
// On the Go backend products of windows (windows_blocks.go) were fastest for all. For the 3×3
// kernels of a network with 16, 32, 64 and 128 channels at batch 16, in multiples of the same
// product's CPU time: the convolution takes 2.6, 1.5, 1.2 and 1.1, taps take 4.8, 2.0, 1.6 and 1.6,
// and its own convolution takes 30 to 40; the kernel's gradient takes 3.0, 1.8, 1.4 and 1.6, rows
// or patches 6.6, 3.3, 2.4 and 2.1, and its own 70 to 107.
const (
	// fewPixels is up to how many output pixels XLA's own convolution is slow.
	fewPixels = 64
	// manyPixels is from how many output pixels on copying patches costs more than products.
	manyPixels = 256
	// fewDepth is below how many channels products by tap are too thin.
	fewDepth = 16

	// mostTaps is how many taps a depthwise convolution has at most that is summed over them, so
	// that graphs stay small.
	mostTaps = 128

	// groupImages is how many images are together in oneDNN's gradient of a kernel, unless they are
	// small: for more it takes more than twice as long for each. A batch has at most maxGroups
	// groups, so that graphs stay small.
	groupImages, maxGroups = 32, 16

	// denseColumns is how many images could be multiplied by the dense matrix of a convolution in
	// the time that it takes to lay that matrix out.
	denseColumns = 16

	// contraction is about how many products are summed in one matrix product of a kernel's
	// gradient by patches.
	contraction = 256
)

// Of the products of windows on the Go backend, from the same benchmark.
const (
	// forwardElements and gradientElements are about how many elements of windows are there at a
	// time, of a convolution and of a kernel's gradient: more were slower, as caches do not hold
	// them, and so were fewer, as every product takes a kernel's matrix apart again.
	forwardElements, gradientElements = 1 << 20, 1 << 19
	// maxBlocks is how many blocks a batch has at most, so that graphs stay small.
	maxBlocks = 16

	// tileColumns is how many columns of a product the backend computes together.
	tileColumns = 32
	// gatherColumns is how many more columns a product could have in the time that gathering its
	// rows takes.
	gatherColumns = 5
	// maxGroup is how many outputs a group has at most along the last axis.
	maxGroup = 8
)
