package gcml

import (
	"slices"

	"github.com/gomlx/compute"
	. "github.com/gomlx/gomlx/core/graph"

	"github.com/geometric-complexity/toolkit/internal/platform"
	"github.com/geometric-complexity/toolkit/internal/vjp"
)

// This file has every threshold that comes from a measurement, each with its benchmark. They change
// how values are computed, not the values. Tests change some of them, so that small shapes reach
// the code paths of large ones.

var (
	// cpuWorkingSet is the memory that the adjoints of cotangents computed together may take on a
	// CPU. If the batch alone makes the products wide enough, one cotangent at a time is fastest,
	// because its adjoints stay in the cache. With this value bench's gc_exact (docs/cost.md) runs
	// at the rate of the forward pass. Large weights allow more, see workingSet: in
	// growth/inputs-12288/gc_exact that takes 4 % less CPU time on XLA and 20 % less in pure Go.
	cpuWorkingSet = 4 << 20

	// cpuConvolutionSet is the same for a network with convolutions on XLA's CPU backend, if it has
	// room for all cotangents, as for ten outputs of a ResNet18 at batch 32. With all of them at
	// once bench's exact step takes 9 s instead of 13 in the first call of resnet18bn, and a fifth
	// less afterwards in resnet18k16; gc_exact takes 1 to 11 % less CPU time and no more memory.
	// For the 1,000 outputs of resnet18k8c1000 larger parts took no less time and more memory.
	cpuConvolutionSet = 256 << 20

	// acceleratorWorkingSet is the same for accelerators, on which wide products are fastest. It is
	// a guess that no benchmark varies: far above what fills an accelerator and far below its
	// memory.
	acceleratorWorkingSet = 512 << 20

	// cpuMemoryBudget and acceleratorMemoryBudget are the defaults of WithMemoryBudget. The CPU's
	// value comes from BenchmarkMemory, for penalties whose gradient takes no longer in parts: it
	// divides Convolutions1000 and ResNet18. Otherwise these values only reflect the memory that
	// such machines have.
	cpuMemoryBudget         = 512 << 20
	acceleratorMemoryBudget = 8 << 30

	// cpuSlowPartsBudget is the CPU's default for a penalty whose gradient takes longer in parts
	// (see vjp.Pullback.IsPiecewiseLinear). It comes from BenchmarkMemory's ResNet18BatchNorm.
	cpuSlowPartsBudget = 4 << 30

	// maxParts limits the parts of the cotangents in one graph, unless the memory or WithCotangents
	// requires more. With this value XLA compiles mlp/gc_exact in 0.3 s of CPU time.
	maxParts = 16

	// fewestStepParts is the number of parts of a penalty's gradient on XLA's CPU backend, for a
	// network with convolutions, if memory holds such parts but not all cotangents together: XLA
	// compiles every part. With 8 parts instead of 19 the first call of resnet18k8c1000/step_exact
	// takes 10.2 s instead of 15.8, a step 2 % more CPU time, and the process 1.45 GB instead of
	// 1.35. With 4 parts that is 9.3 s, 7 %, and 2.1 GB.
	fewestStepParts = 8

	// largestSquaresBytes limits the memory of the squares of all parts that are added before they
	// are summed. XLA fuses the squares and their sum over the parts into one loop and keeps all of
	// them. Summing over each example first is slower and, over the short axes of a ResNet18's
	// inputs, has three times the error. bench's gc_exact stays below this limit.
	largestSquaresBytes = 256 << 20

	// largestDenseSpectrum is the largest size of the smaller Gram matrix, and
	// largestDenseSpectrumBytes the largest Jacobian, for which the largest singular value is
	// computed from the whole Jacobian. They come from a count, not a measurement: the 26 to 40
	// squarings at that size take up to 84 million multiplications per example.
	largestDenseSpectrum      = 128
	largestDenseSpectrumBytes = 512 << 20
)

// defaultLanczosSteps is chosen for accuracy, not for speed: see JacobianSpectralNorm for the
// guarantee.
const defaultLanczosSteps = 24

// tile is the number of columns of a product that YNNPACK, the library of XLA's CPU backend,
// computes together. Blocks of that width are part of a change that made bench's gc_dense 2 %
// faster.
const tile = 64

// symmetricBlocks returns the number of column blocks in which a symmetric product is computed.
// Further blocks save few multiplications. On the Go backend slicing takes as long as it saves, and
// an accelerator is fastest with one large product. See bench's gc_dense and step_dense, above all
// mlp3072.
func symmetricBlocks(b compute.Backend) int {
	if platform.Of(b) == platform.XLACPU {
		return 4
	}
	return 1
}

// contractionParts returns the number of parts of a sum of products over so many terms. The Go
// backend is fastest with up to eight parts of at least 1,024 terms: the product of the weights of
// 12,288 inputs and 500 units with themselves takes 47 ms of CPU time instead of 70.
func contractionParts(b compute.Backend, terms int) int {
	if platform.Of(b) == platform.Go {
		for parts := 8; parts > 1; parts-- {
			if terms%parts == 0 && terms/parts >= 1024 {
				return parts
			}
		}
	}
	return 1
}

// columnsAreFast says whether to keep the adjoints of dense networks as columns, see
// vjp.Pullback.PreferColumns. Exact GC without the closed form (bench's gc_exact) took 3 to 5 %
// less time with columns.
func columnsAreFast(b compute.Backend) bool { return platform.Of(b) == platform.XLACPU }

// columnBlock is the largest number of input features whose adjoints XLA's CPU backend squares and
// sums at a time (see jacobian.columnNorms). For more features it is slower than the product alone
// explains: in blocks growth/inputs-12288/gc_exact takes 8 to 10 % less CPU time, and a network of
// 24,576 inputs 14 %. Half as many features made no difference.
var columnBlock = 3072

// workingSet returns the memory of adjoints that are computed together at full speed, if all
// together take so many bytes and are pulled back to the node until.
func workingSet(b compute.Backend, pullback *vjp.Pullback, until *Node, all int) int {
	switch platform.Of(b) {
	case platform.Accelerator:
		return acceleratorWorkingSet
	case platform.XLACPU:
		if all <= cpuConvolutionSet && slices.ContainsFunc(pullback.Nodes(), isConvolution) {
			return cpuConvolutionSet
		}
	}
	// Each part reads the weights again. Where they take more memory than the adjoints of two
	// cotangents, that costs more than writing and reading the adjoints outside the cache does.
	weights := pullback.LargestWeights(until)
	if all <= 4*weights {
		return all
	}
	return max(cpuWorkingSet, 2*weights)
}

func isConvolution(n *Node) bool { return n.Type() == NodeTypeConvGeneral }

// memoryBudget returns the default of WithMemoryBudget.
func memoryBudget(b compute.Backend) int {
	if platform.Of(b) == platform.Accelerator {
		return acceleratorMemoryBudget
	}
	return cpuMemoryBudget
}

// stepBudget is memoryBudget for a penalty whose gradient keeps so many bytes for each cotangent.
func stepBudget(b compute.Backend, pullback *vjp.Pullback, kept, cotangents int) int {
	switch {
	case platform.Of(b) == platform.Accelerator:
		return acceleratorMemoryBudget
	case !pullback.IsPiecewiseLinear(): // Parts take longer.
		return cpuSlowPartsBudget
	}
	return min(max(cpuMemoryBudget, kept*leastOfStep(b, pullback, cotangents)), cpuSlowPartsBudget)
}

// leastOfStep returns how many cotangents a part of a penalty's gradient should have, if memory
// allows.
func leastOfStep(b compute.Backend, pullback *vjp.Pullback, cotangents int) int {
	if platform.Of(b) == platform.XLACPU && slices.ContainsFunc(pullback.Nodes(), isConvolution) {
		return ceilDiv(cotangents, fewestStepParts)
	}
	return 1
}

// gramIsCheaper compares the multiplications, per unit, of two methods for the squared norms of
// adjoints v, [rows, units], of a dense layer with the given number of input features. A value
// alone takes v·Wᵀ with the Jacobian, and a share of G and of v·G with the Gram matrix, because G
// is symmetric. A value that will be differentiated takes v·Wᵀ and its two gradients, or v·G,
// W·(vᵀ·v), and a share of G and of vᵀ·v. It is a count, not a measurement; bench's gc_dense and
// step_dense compare it with the time.
func gramIsCheaper(b compute.Backend, rows, units, features int, forGradient bool) bool {
	r, n, d := float64(rows), float64(units), float64(features)
	share := (1 + 1/float64(symmetricBlocks(b))) / 2
	if forGradient {
		return (1+share)*(r+d)*n < 3*r*d
	}
	return share*(r+d)*n < r*d
}
