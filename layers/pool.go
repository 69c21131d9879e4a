package layers

import (
	. "github.com/gomlx/gomlx/core/graph"
	. "github.com/gomlx/gomlx/support/exceptions"

	"github.com/geometric-complexity/toolkit/internal/convolution"
	"github.com/geometric-complexity/toolkit/internal/precision"
)

// This package has no window pooling, because GoMLX's graph.MaxPool, MinPool, MeanPool and SumPool
// can be differentiated twice with the gradients that this package registers, whether their windows
// overlap or not.

// GlobalMeanPool returns the mean over all spatial axes of x, shaped [batch, spatial..., channels]:
// [batch, channels]. It sums in float32 for an x of a shorter dtype.
func GlobalMeanPool(x *Node) *Node {
	return ConvertDType(ReduceMean(precision.Wide(convolution.Unfused(x)), spatialAxes(x)...), x.DType())
}

// GlobalMaxPool returns the largest element over all spatial axes of x, shaped [batch, spatial...,
// channels]: [batch, channels]. Of equal largest elements the first gets the gradient.
func GlobalMaxPool(x *Node) *Node { return ReduceMax(x, spatialAxes(x)...) }

func spatialAxes(x *Node) []int {
	if x.Rank() < 3 {
		Panicf("layers: global pooling needs x shaped [batch, spatial..., channels], got %s", x.Shape())
	}
	axes := make([]int, x.Rank()-2)
	for i := range axes {
		axes[i] = i + 1
	}
	return axes
}
