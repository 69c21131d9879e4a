package gcml

import (
	"github.com/gomlx/compute"

	"example.com/geometric-complexity/internal/platform"
)

// Every threshold that was found by measuring is here, each with the benchmark that it comes from.
// None of them changes what is computed, only how. The tests change some to reach with small shapes
// what otherwise takes large ones.

var (
	// cpuWorkingSet is how much memory the adjoints of the cotangents carried at once may take on a
	// CPU: one cotangent at a time runs fastest where the batch alone makes the products wide
	// enough, as its adjoints stay in the cache. With it bench's gc_exact (docs/cost.md) runs at
	// the rate of the forward pass.
	cpuWorkingSet = 4 << 20

	// acceleratorWorkingSet is the same where wide products run fastest. It is a guess, far above
	// what fills an accelerator and far below its memory: no benchmark varies it.
	acceleratorWorkingSet = 512 << 20

	// cpuMemoryBudget and acceleratorMemoryBudget are the budgets of WithMemoryBudget where it is
	// not given. For a penalty whose gradient in parts takes no longer the CPU's comes from
	// BenchmarkMemory: it divides Convolutions1000 and ResNet18. For all else it is only what such
	// machines have.
	cpuMemoryBudget         = 512 << 20
	acceleratorMemoryBudget = 8 << 30

	// cpuSlowPartsBudget is the CPU's for a penalty whose gradient takes longer in parts, see
	// vjp.Pullback.IsPiecewiseLinear: BenchmarkMemory's ResNet18BatchNorm.
	cpuSlowPartsBudget = 4 << 30

	// maxParts is how many parts of the cotangents one graph has, unless the memory or
	// WithCotangents asks for more. With it the first call of resnet18/step_exact takes 17 s and
	// that of mlp/gc_exact 0.4 s (docs/cost.md).
	maxParts = 16

	// largestSquaresBytes is up to how much memory the squares of all parts are added before they
	// are summed: XLA has one loop for the squares and their sum over the parts, for which it keeps
	// all of them, and sums over an example slowly and, over the several short axes of a ResNet18's
	// inputs, three times less exactly. bench's gc_exact is below it.
	largestSquaresBytes = 256 << 20

	// largestDenseSpectrum is up to which size of the smaller Gram matrix the whole Jacobian is
	// computed for its largest singular value, and largestDenseSpectrumBytes up to how much memory.
	// It is a count and not a measurement: the 26 to 40 squarings of that size then take up to 84
	// million multiplications for an example.
	largestDenseSpectrum      = 128
	largestDenseSpectrumBytes = 512 << 20
)

// defaultLanczosSteps is not for speed: JacobianSpectralNorm says what they guarantee.
const defaultLanczosSteps = 24

// tile is how many columns of a product YNNPACK, the library of XLA's CPU backend, computes at
// once. Blocks of that width are part of a change that made bench's gc_dense 2 % faster.
const tile = 64

// symmetricBlocks returns in how many blocks of columns a symmetric product is computed. With more,
// fewer multiplications are left to save; the Go backend's slices take as long as is saved, and an
// accelerator runs one large product best. See bench's gc_dense and step_dense, mlp3072 most of
// all.
func symmetricBlocks(b compute.Backend) int {
	if platform.Of(b) == platform.XLACPU {
		return 4
	}
	return 1
}

// columnsAreFast tells whether adjoints of dense networks are kept as columns, see
// vjp.Pullback.PreferColumns: exact GC without the closed form (bench's gc_exact) then took 3 to
// 5 % less time.
func columnsAreFast(b compute.Backend) bool { return platform.Of(b) == platform.XLACPU }

// workingSet returns how much memory the adjoints carried at once take where they are fast.
func workingSet(b compute.Backend) int {
	if platform.Of(b) == platform.Accelerator {
		return acceleratorWorkingSet
	}
	return cpuWorkingSet
}

// memoryBudget returns the default of WithMemoryBudget. slowParts says that it is for a penalty
// whose gradient takes longer in parts.
func memoryBudget(b compute.Backend, slowParts bool) int {
	switch {
	case platform.Of(b) == platform.Accelerator:
		return acceleratorMemoryBudget
	case slowParts:
		return cpuSlowPartsBudget
	}
	return cpuMemoryBudget
}

// gramIsCheaper compares the multiplications of the two ways to the squared norm of rows·[units]
// adjoints of a dense layer with so many features, per unit: that of the whole Jacobian, and that
// of the Gram matrix. For a value alone these are v·Wᵀ, or a share of G and of v·G, as G is
// symmetric; for one that will be differentiated v·Wᵀ and its two gradients, or v·G, W·(vᵀ·v), and
// a share of G and vᵀ·v. It is a count and not a measurement, but bench's gc_dense and step_dense
// hold it to the time.
func gramIsCheaper(b compute.Backend, rows, units, features int, forGradient bool) bool {
	r, n, d := float64(rows), float64(units), float64(features)
	share := (1 + 1/float64(symmetricBlocks(b))) / 2
	if forGradient {
		return (1+share)*(r+d)*n < 3*r*d
	}
	return share*(r+d)*n < r*d
}
