package convolution

// Every threshold that was found by measuring is here. None of them changes what is computed, only how.

// The choices of a lowering come from timing (BenchmarkResNet18) every convolution of a ResNet18 for 32×32 images, at batch 32 and 320,
// on two CPU cores. Relative to the matrix product of the same size (about 20 ms of CPU time per 2.4 GFLOP):
//
//	XLA, stride 1: its own convolution 1.0-1.2 for images of 16×16 and more, 1.4 for 8×8 and 2.8 for 4×4, where
//	    one product per tap takes 1.0; its own with dilated input 1.5-2.2, taps 1.1-2.0.
//	XLA, gradient of the kernel: its own 3.5-6 for large images, patches 6, rows 2.5-3.5; all about 1.2-1.8 for
//	    8×8 and less. (On an AMD EPYC its own takes 1.2-1.6 at batch 32, but 4 at batch 320.)
//	XLA with oneDNN: its own convolutions 0.9-1.1; with dilated input by phases 1.0-1.2, where its own takes up to 2.4.
//	    Gradient of the kernel: its own 1.0-1.6 at batch 32, and for each image 1.5 to 4 times as long at batch 320 but for
//	    images of 4×4.
//
// On the Go backend products of windows (windows_blocks.go) were fastest for all. For the 3×3 kernels of a network with
// 16, 32, 64 and 128 channels at batch 16, in multiples of the same product's CPU time: the convolution 2.6, 1.5, 1.2 and
// 1.1, taps 4.8, 2.0, 1.6 and 1.6, its own convolution 30 to 40; the kernel's gradient 3.0, 1.8, 1.4 and 1.6, rows or
// patches 6.6, 3.3, 2.4 and 2.1, its own 70 to 107.
const (
	fewPixels  = 64  // Up to this many output pixels XLA's own convolution is slow.
	manyPixels = 256 // From this many output pixels on copying patches costs more than products.
	fewDepth   = 16  // Below this many channels products by tap are too thin.

	// oneDNN's kernel gradient takes more than twice as long for images together than in groups of so many, unless they are small;
	// a batch has no more groups than that, so that graphs stay small.
	groupImages, maxGroups = 32, 16
)

const (
	// contraction is about how many products are summed in one matrix product of a kernel's gradient by patches.
	contraction = 256
)

// Windows, on the Go backend.
const (
	// About how many elements of windows are there at a time, of a convolution and of a kernel's gradient: more were
	// slower, as caches do not hold them, and so were fewer, as every product takes a kernel's matrix apart again.
	forwardElements, gradientElements = 1 << 20, 1 << 19
	// A batch has no more blocks than this, so that graphs stay small.
	maxBlocks = 16
)

const (
	// tileColumns is how many columns of a product the backend computes together.
	tileColumns = 32
	// gatherColumns is how many more columns a product could have in the time that gathering its rows takes.
	gatherColumns = 5
	maxGroup      = 8
)
