package gcml

import (
	"math"

	"github.com/gomlx/compute/dtypes/bfloat16"
	"github.com/gomlx/compute/dtypes/float16"
	"github.com/gomlx/compute/dtypes/gotype"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/pkg/errors"
)

// toFloat64 copies the values of a tensor of any float dtype.
func toFloat64(t *tensors.Tensor) ([]float64, error) {
	var values []float64
	err := t.ConstFlatData(func(flat any) {
		switch flat := flat.(type) {
		case []float64:
			values = append(values, flat...)
		case []float32:
			values = converted[float64](flat)
		case []float16.Float16:
			for _, v := range flat {
				values = append(values, float64(v.Float32()))
			}
		case []bfloat16.BFloat16:
			for _, v := range flat {
				values = append(values, float64(v.Float32()))
			}
		}
	})
	if err == nil && len(values) != t.Shape().Size() {
		err = errors.Errorf("gcml: cannot read values of dtype %s", t.DType())
	}
	return values, err
}

// toInt64 copies the values of a tensor of any integer dtype. It returns an error for a value
// beyond the largest int64.
func toInt64(t *tensors.Tensor) ([]int64, error) {
	var values []int64
	var tooLarge error
	err := t.ConstFlatData(func(flat any) {
		switch flat := flat.(type) {
		case []int64:
			values = append(values, flat...)
		case []int32:
			values = converted[int64](flat)
		case []int16:
			values = converted[int64](flat)
		case []int8:
			values = converted[int64](flat)
		case []uint32:
			values = converted[int64](flat)
		case []uint16:
			values = converted[int64](flat)
		case []uint8:
			values = converted[int64](flat)
		case []uint64:
			for _, v := range flat {
				if v > math.MaxInt64 && tooLarge == nil {
					tooLarge = errors.Errorf("%d is beyond the largest int64", v)
				}
			}
			values = converted[int64](flat)
		}
	})
	if err == nil {
		err = tooLarge
	}
	if err == nil && len(values) != t.Shape().Size() {
		err = errors.Errorf("gcml: cannot read values of dtype %s", t.DType())
	}
	return values, err
}

func converted[To, From gotype.NumericNotComplex](values []From) []To {
	out := make([]To, len(values))
	for i, v := range values {
		out[i] = To(v)
	}
	return out
}
