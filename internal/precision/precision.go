// Package precision chooses the dtype in which many values are summed.
package precision

import (
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/gomlx/core/graph"
)

// Accumulator returns the dtype in which to sum values of a float dtype: float32 for shorter ones.
// bfloat16 and float16 round to 3 and 4 digits, so that their sums stop growing, and float16
// overflows above 65,504.
func Accumulator(dtype dtypes.DType) dtypes.DType {
	if dtype.Size() < dtypes.Float32.Size() {
		return dtypes.Float32
	}
	return dtype
}

// Wide converts x to the Accumulator of its dtype.
func Wide(x *graph.Node) *graph.Node { return graph.ConvertDType(x, Accumulator(x.DType())) }
