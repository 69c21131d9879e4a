package onnxmodel

import (
	"fmt"
	"iter"
	"math"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/train"
)

// Arrays is a data set of examples in memory, in their order.
type Arrays struct {
	name             string
	inputs           any // []float32 or []float64
	dims             []int
	labels           []int32
	examples, stride int
	batch            int
}

// NewArrays makes a data set of inputs [examples, ...] of any number type,
// converted to float32 or float64 as dtype says, and labels, nil or whole
// numbers [examples] or [examples, 1]. n > 0 takes the first n examples only.
// batch is the number of examples at once, at least 1.
func NewArrays(name string, inputs, labels *tensors.Tensor, dtype dtypes.DType, n, batch int) (*Arrays, error) {
	shape := inputs.Shape()
	if shape.Rank() == 0 || shape.Size() == 0 {
		return nil, fmt.Errorf("%s: an array of shape %v holds no examples", name, shape.Dimensions)
	}
	a := &Arrays{name: name, dims: shape.Dimensions[1:], examples: shape.Dimensions[0], batch: batch}
	a.stride = shape.Size() / a.examples
	if labels != nil {
		if !labels.DType().IsInt() || labels.Shape().Size() != a.examples {
			return nil, fmt.Errorf("%s: labels of shape %s, want one whole number for each of the %d examples", name, labels.Shape(), a.examples)
		}
		var wide []float64
		if err := labels.ConstFlatData(func(flat any) { wide = numbers[float64](flat) }); err != nil {
			return nil, err
		}
		for _, class := range wide {
			if class < math.MinInt32 || class > math.MaxInt32 {
				return nil, fmt.Errorf("%s: label %.0f is too large for the number of a class", name, class)
			}
		}
		a.labels = cast[int32](wide)
	}
	if n > a.examples {
		return nil, fmt.Errorf("%s: there are %d examples, and %d were asked for", name, a.examples, n)
	}
	if n > 0 {
		a.examples = n
	}
	a.batch = min(a.batch, a.examples) // Sums with the largest of integers would overflow.
	known := true
	err := inputs.ConstFlatData(func(flat any) {
		if dtype == dtypes.Float64 {
			values := numbers[float64](flat)
			a.inputs, known = values, values != nil
		} else {
			values := numbers[float32](flat)
			a.inputs, known = values, values != nil
		}
	})
	if err == nil && (!known || dtype != dtypes.Float32 && dtype != dtypes.Float64) {
		err = fmt.Errorf("%s: values of type %s cannot be given to an input of type %s; convert them to float32", name, inputs.DType(), dtype)
	}
	return a, err
}

// NumExamples is how many examples the data set has.
func (a *Arrays) NumExamples() int { return a.examples }

// Name implements train.Dataset.
func (a *Arrays) Name() string { return a.name }

// Iter implements train.Dataset: inputs [batch, ...], labels [batch].
func (a *Arrays) Iter() iter.Seq2[train.Batch, error] {
	return func(yield func(train.Batch, error) bool) {
		for from := 0; from < a.examples; from += a.batch {
			to := min(from+a.batch, a.examples)
			dims := append([]int{to - from}, a.dims...)
			var b train.Batch
			switch values := a.inputs.(type) {
			case []float64:
				b.Inputs = []*tensors.Tensor{tensors.FromFlatDataAndDimensions(values[from*a.stride:to*a.stride], dims...)}
			case []float32:
				b.Inputs = []*tensors.Tensor{tensors.FromFlatDataAndDimensions(values[from*a.stride:to*a.stride], dims...)}
			}
			if a.labels != nil {
				b.Labels = []*tensors.Tensor{tensors.FromFlatDataAndDimensions(a.labels[from:to], to-from)}
			}
			if !yield(b, nil) {
				return
			}
		}
	}
}

// numbers copies a slice of any number type; nil if it is none.
func numbers[T float32 | float64](flat any) []T {
	switch flat := flat.(type) {
	case []float64:
		return cast[T](flat)
	case []float32:
		return cast[T](flat)
	case []int64:
		return cast[T](flat)
	case []int32:
		return cast[T](flat)
	case []int16:
		return cast[T](flat)
	case []int8:
		return cast[T](flat)
	case []uint8:
		return cast[T](flat)
	case []uint16:
		return cast[T](flat)
	case []uint32:
		return cast[T](flat)
	case []uint64:
		return cast[T](flat)
	}
	return nil
}

func cast[T int32 | float32 | float64, F float64 | float32 | int64 | int32 | int16 | int8 | uint8 | uint16 | uint32 | uint64](from []F) []T {
	to := make([]T, len(from))
	for i, v := range from {
		to[i] = T(v)
	}
	return to
}
