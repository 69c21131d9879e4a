package regularizers

import (
	"github.com/gomlx/compute"

	"example.com/geometric-complexity/internal/platform"
)

// Every choice that was found by measuring is here, each with the benchmark that it comes from.
// None of them changes what is computed, only how.

// productsPreferTranspose tells whether a product of a matrix's rows with a vector is faster from
// its transpose, ready made. The pure-Go backend transposes the matrix for each such product, which
// costs more than the product: for the 18 kernels of a ResNet18, 11 million weights, 100 iterations
// on 2 cores took 4.3 s instead of 16 s. XLA does not, and is faster without.
// BenchmarkPenaltyStep/Spectral watches it.
func productsPreferTranspose(b compute.Backend) bool { return platform.Of(b) == platform.Go }
