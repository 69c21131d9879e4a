package gcml

import (
	"github.com/gomlx/compute/dtypes/gotype"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/pkg/errors"
)

// toFloat64 copies the values of a tensor of any number dtype.
func toFloat64(t *tensors.Tensor) ([]float64, error) {
	values := make([]float64, 0, t.Shape().Size())
	err := t.ConstFlatData(func(flat any) { values = convert(values, flat) })
	if err == nil && len(values) != t.Shape().Size() {
		err = errors.Errorf("gcml: cannot read values of dtype %s", t.DType())
	}
	return values, err
}

func convert(values []float64, flat any) []float64 {
	switch flat := flat.(type) {
	case []float64:
		return append(values, flat...)
	case []float32:
		return appendNumbers(values, flat)
	case []int8:
		return appendNumbers(values, flat)
	case []int16:
		return appendNumbers(values, flat)
	case []int32:
		return appendNumbers(values, flat)
	case []int64:
		return appendNumbers(values, flat)
	case []uint8:
		return appendNumbers(values, flat)
	case []uint16:
		return appendNumbers(values, flat)
	case []uint32:
		return appendNumbers(values, flat)
	case []uint64:
		return appendNumbers(values, flat)
	}
	return values
}

func appendNumbers[T gotype.NumericNotComplex](values []float64, flat []T) []float64 {
	for _, v := range flat {
		values = append(values, float64(v))
	}
	return values
}
