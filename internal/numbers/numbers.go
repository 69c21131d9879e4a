// Package numbers converts between the values of tensors, whatever their dtype, and float64 and
// int64.
package numbers

import (
	"math"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/dtypes/bfloat16"
	"github.com/gomlx/compute/dtypes/float16"
	"github.com/gomlx/compute/dtypes/gotype"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/pkg/errors"
)

// Float64s copies the values of a tensor of any float or integer dtype. It returns an error for
// other dtypes. It rounds integers beyond ±2⁵³.
func Float64s(t *tensors.Tensor) (values []float64, err error) {
	err = t.ConstFlatData(func(flat any) {
		switch flat := flat.(type) {
		case []float64:
			values = append(values, flat...)
		case []float32:
			values = converted[float64](flat)
		case []float16.Float16:
			values = widened(flat)
		case []bfloat16.BFloat16:
			values = widened(flat)
		default:
			values, _ = convertedIntegers[float64](flat)
		}
	})
	return values, checked(t, len(values), err)
}

// Tensor returns a tensor of a float dtype with a copy of the values, in row-major order and
// rounded to the dtype. It returns an error for other dtypes, and panics if the number of values is
// not the product of the dimensions.
func Tensor(values []float64, dtype dtypes.DType, dims ...int) (*tensors.Tensor, error) {
	switch dtype {
	case dtypes.Float64:
		return tensors.FromFlatDataAndDimensions(values, dims...), nil
	case dtypes.Float32:
		return tensors.FromFlatDataAndDimensions(converted[float32](values), dims...), nil
	case dtypes.Float16:
		return tensors.FromFlatDataAndDimensions(narrowed(values, float16.FromFloat64), dims...), nil
	case dtypes.BFloat16:
		return tensors.FromFlatDataAndDimensions(narrowed(values, bfloat16.FromFloat64), dims...), nil
	}
	return nil, errors.Errorf("cannot convert numbers to dtype %s, want a float dtype", dtype)
}

// Int64s copies the values of a tensor of any integer dtype. It returns an error for other dtypes,
// and for a value above the largest int64.
func Int64s(t *tensors.Tensor) (values []int64, err error) {
	var tooLarge error
	err = t.ConstFlatData(func(flat any) { values, tooLarge = convertedIntegers[int64](flat) })
	if err == nil {
		err = tooLarge
	}
	return values, checked(t, len(values), err)
}

// checked returns err, or an error if not all values of t were read.
func checked(t *tensors.Tensor, read int, err error) error {
	if err == nil && read != t.Shape().Size() {
		return errors.Errorf("cannot read values of dtype %s as numbers", t.DType())
	}
	return err
}

// convertedIntegers converts a slice of any integer type; it returns nil for other types. The error
// is for values above the largest int64.
func convertedIntegers[To int64 | float64](flat any) (values []To, tooLarge error) {
	switch flat := flat.(type) {
	case []int64:
		return converted[To](flat), nil
	case []int32:
		return converted[To](flat), nil
	case []int16:
		return converted[To](flat), nil
	case []int8:
		return converted[To](flat), nil
	case []uint32:
		return converted[To](flat), nil
	case []uint16:
		return converted[To](flat), nil
	case []uint8:
		return converted[To](flat), nil
	case []uint64:
		for _, v := range flat {
			if v > math.MaxInt64 {
				tooLarge = errors.Errorf("value %d is above the largest int64", v)
				break
			}
		}
		return converted[To](flat), tooLarge
	}
	return nil, nil
}

func converted[To, From gotype.NumericNotComplex](values []From) []To {
	out := make([]To, len(values))
	for i, v := range values {
		out[i] = To(v)
	}
	return out
}

func widened[T interface{ Float32() float32 }](values []T) []float64 {
	out := make([]float64, len(values))
	for i, v := range values {
		out[i] = float64(v.Float32())
	}
	return out
}

func narrowed[T any](values []float64, to func(float64) T) []T {
	out := make([]T, len(values))
	for i, v := range values {
		out[i] = to(v)
	}
	return out
}
