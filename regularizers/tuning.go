package regularizers

import (
	"github.com/gomlx/compute"

	"github.com/geometric-complexity/toolkit/internal/platform"
)

// This file holds the choices that come from measurements, each with its benchmark. They change how
// a result is computed, not the result.

// productsPreferTranspose reports whether Wᵀ·y is faster with a transpose that is computed once.
// The Go backend transposes W for each such product, which costs more than the product: with one
// transpose, 100 iterations for the 18 kernels of a ResNet18 (11 million weights) took 4.3 s
// instead of 16 s on 2 cores. XLA is faster without it. BenchmarkPenaltyStep/Spectral measures this
// choice.
func productsPreferTranspose(b compute.Backend) bool { return platform.Of(b) == platform.Go }
