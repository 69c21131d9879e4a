package main

import (
	"github.com/gomlx/compute"

	"github.com/geometric-complexity/toolkit/internal/platform"
)

// This file has every number that comes from a measurement, all from BenchmarkTuning: four networks
// (dense, convolutions, residual, attention), exactly and by one projection.

// memoryFor estimates the memory to measure a batch, in bytes, given that of all values of the
// network for the batch. It is an upper bound for the benchmark's networks, so that a divided batch
// fits. The peak of the process's memory grew, over the memory of the values, by
//
//	                 Go backend            XLA on a CPU
//	                 projection  exact     projection  exact
//	dense layers           1.17   1.85           0.76   0.58
//	convolutions           0.25   0.70           0.47   0.85
//	residual               0.23   0.61           0.12   0.62
//	attention              0.61   1.62           0.17   0.99
//
// XLA computes most elementwise values again instead of keeping them. On an accelerator the result
// is 0, unknown.
func memoryFor(b compute.Backend, values float64) float64 {
	switch platform.Of(b) {
	case platform.Go:
		return 2 * values
	case platform.XLACPU:
		return values
	}
	return 0
}

// pilotFrom is the work, in products of a vector and a Jacobian times parameters of the network,
// from which a small batch is measured first to estimate the time. A network uses the weights of a
// convolution at every position, so that equal work takes different times. This work takes
//
//	convolutions     15-81 s of CPU time
//	attention        3-14 s
//	a ResNet18       0.8-4 s
//	dense layers     0.01-0.03 s
//
// So nearly every measurement that takes more than 100 s of CPU time gets an estimate. A network of
// dense layers with this work is measured sooner than its small batch is compiled, and loses the
// time for that.
const pilotFrom = 1e9

// pilotBytesFrom is the like for the work in products times the memory of the network's values for
// one example, in bytes. It takes, by the same benchmark,
//
//	convolutions     8-17 s of CPU time
//	attention        5-31 s
//	a ResNet18       6-12 s
//	dense layers     40-99 s, but there pilotFrom is reached long before
//
// So it also finds networks of few weights that are used at many positions. The memory is known for
// ONNX files only.
const pilotBytesFrom = 4e10
