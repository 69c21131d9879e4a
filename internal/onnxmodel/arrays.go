package onnxmodel

import (
	"fmt"
	"iter"
	"math"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/dtypes/bfloat16"
	"github.com/gomlx/compute/dtypes/float16"
	"github.com/gomlx/compute/dtypes/gotype"
	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/train"
)

// Arrays is a data set of examples in memory, in their order.
type Arrays struct {
	name     string
	columns  []column
	labels   []int32
	examples int
	batch    int
}

// Column is an array for an input of a network: [examples, ...] of any number type or booleans, and
// the dtype that the input takes.
type Column struct {
	Values *tensors.Tensor
	DType  dtypes.DType
	whole  bool // It has no axis of examples.
}

// column holds the values of examples.
type column interface {
	slice(from, to int) *tensors.Tensor
}

type columnOf[T gotype.Supported] struct {
	values []T
	dims   []int // of an example, or of all if the column is whole
	stride int   // 0 if the column is whole
}

func (c *columnOf[T]) slice(from, to int) *tensors.Tensor {
	if c.stride == 0 {
		return tensors.FromFlatDataAndDimensions(c.values, c.dims...)
	}
	return tensors.FromFlatDataAndDimensions(c.values[from*c.stride:to*c.stride], append([]int{to - from}, c.dims...)...)
}

// NewArrays returns a data set of columns and labels. The first column decides the number of
// examples. Labels are nil or integers [examples] or [examples, 1]. n > 0 takes the first n
// examples only. batch is the number of examples at once, at least 1.
func NewArrays(name string, columns []Column, labels *tensors.Tensor, n, batch int) (*Arrays, error) {
	a := &Arrays{name: name, batch: batch}
	for i, c := range columns {
		shape := c.Values.Shape()
		if shape.Rank() == 0 || shape.Size() == 0 {
			return nil, fmt.Errorf("%s: an array of shape %v holds no examples", name, shape.Dimensions)
		}
		if i == 0 {
			a.examples = shape.Dimensions[0]
		}
		if shape.Dimensions[0] != a.examples {
			return nil, fmt.Errorf("%s: array %d has %d examples, and those before have %d", name, i+1, shape.Dimensions[0],
				a.examples)
		}
		made, err := newColumn(c)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		a.columns = append(a.columns, made)
	}
	if labels != nil {
		if shape := labels.Shape(); !shape.DType.IsInt() || shape.Size() != a.examples || shape.Rank() == 0 ||
			shape.Dim(0) != a.examples {
			return nil, fmt.Errorf("%s: its labels have the shape %s, want one whole number for each of the %d examples; "+
				"convert them with numpy.astype and numpy.reshape", name, shape, a.examples)
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
	return a, nil
}

// newColumn converts numbers to floats, rounded to their precision, and integers to integers that
// can represent them.
func newColumn(c Column) (column, error) {
	switch c.DType {
	case dtypes.Float32:
		return fill[float32](c)
	case dtypes.Float64:
		return fill[float64](c)
	case dtypes.Int64:
		return fill[int64](c)
	case dtypes.Int32:
		return fill[int32](c)
	case dtypes.Int16:
		return fill[int16](c)
	case dtypes.Int8:
		return fill[int8](c)
	case dtypes.Uint8:
		return fill[uint8](c)
	case dtypes.Uint16:
		return fill[uint16](c)
	case dtypes.Uint32:
		return fill[uint32](c)
	case dtypes.Uint64:
		return fill[uint64](c)
	case dtypes.Bool:
		if c.Values.DType() == dtypes.Bool {
			return shaped(c, tensors.MustCopyFlatData[bool](c.Values)), nil
		}
		numbers, err := fill[int64](c)
		if err != nil {
			return nil, err
		}
		var values []bool
		for _, v := range numbers.(*columnOf[int64]).values {
			if v != 0 && v != 1 {
				return nil, fmt.Errorf("the value %d is given to an input of booleans, which takes 0 and 1", v)
			}
			values = append(values, v == 1)
		}
		return shaped(c, values), nil
	}
	return nil, fmt.Errorf("values of type %s cannot be given to an input of type %s", c.Values.DType(), c.DType)
}

func shaped[T gotype.Supported](c Column, values []T) column {
	dims := c.Values.Shape().Dimensions
	if c.whole {
		return &columnOf[T]{values: values, dims: dims}
	}
	return &columnOf[T]{values: values, dims: dims[1:], stride: max(1, len(values)/dims[0])}
}

func fill[T numeric](c Column) (column, error) {
	from := c.Values.DType()
	var values []T
	var lost bool
	err := c.Values.ConstFlatData(func(flat any) {
		values = numbers[T](flat)
		if !c.DType.IsFloat() {
			lost = !sameNumbers(flat, values)
		}
	})
	switch {
	case err != nil:
		return nil, err
	case values == nil || from.IsFloat() && !c.DType.IsFloat():
		return nil, fmt.Errorf("values of type %s cannot be given to an input of type %s; convert them with numpy.astype",
			from, c.DType)
	case lost:
		return nil, fmt.Errorf("values of type %s are too large for an input of type %s", from, c.DType)
	}
	return shaped(c, values), nil
}

// sameNumbers reports whether integers are unchanged by a conversion.
func sameNumbers[T numeric](flat any, converted []T) bool {
	before, after := numbers[float64](flat), cast[float64](converted)
	for i := range before {
		if before[i] != after[i] {
			return false
		}
	}
	return true
}

// NumExamples is the number of examples of the data set.
func (a *Arrays) NumExamples() int { return a.examples }

// Name implements train.Dataset.
func (a *Arrays) Name() string { return a.name }

// Iter implements train.Dataset: inputs [batch, ...], labels [batch].
func (a *Arrays) Iter() iter.Seq2[train.Batch, error] {
	return func(yield func(train.Batch, error) bool) {
		for from := 0; from < a.examples; from += a.batch {
			to := min(from+a.batch, a.examples)
			var b train.Batch
			for _, c := range a.columns {
				b.Inputs = append(b.Inputs, c.slice(from, to))
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

type numeric interface {
	float32 | float64 | int8 | int16 | int32 | int64 | uint8 | uint16 | uint32 | uint64
}

// numbers copies a slice of any number type, or of booleans as 0 and 1; nil if it is none.
func numbers[T numeric](flat any) []T {
	switch flat := flat.(type) {
	case []float64:
		return cast[T](flat)
	case []float32:
		return cast[T](flat)
	case []float16.Float16:
		return halves[T](flat)
	case []bfloat16.BFloat16:
		return halves[T](flat)
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
	case []bool:
		to := make([]T, len(flat))
		for i, v := range flat {
			if v {
				to[i] = 1
			}
		}
		return to
	}
	return nil
}

func halves[T numeric, F interface{ Float32() float32 }](from []F) []T {
	to := make([]T, len(from))
	for i, v := range from {
		to[i] = T(v.Float32())
	}
	return to
}

func cast[T, F numeric](from []F) []T {
	to := make([]T, len(from))
	for i, v := range from {
		to[i] = T(v)
	}
	return to
}

// BatchFirst moves an axis of an array to the front.
func BatchFirst(t *tensors.Tensor, axis int) (*tensors.Tensor, error) {
	dims := t.Shape().Dimensions
	if axis == 0 {
		return t, nil
	}
	if axis < 0 || axis >= len(dims) {
		return nil, fmt.Errorf("an array of shape %v has no axis %d", dims, axis)
	}
	outer, n, inner := 1, dims[axis], 1
	for i, d := range dims {
		if i < axis {
			outer *= d
		} else if i > axis {
			inner *= d
		}
	}
	moved := append(append([]int{n}, dims[:axis]...), dims[axis+1:]...)
	size := int(t.DType().Size())
	out := tensors.FromShape(shapes.Make(t.DType(), moved...))
	err := t.ConstBytes(func(from []byte) {
		err := out.MutableBytes(func(to []byte) {
			row := inner * size
			for o := range outer {
				for i := range n {
					copy(to[(i*outer+o)*row:][:row], from[(o*n+i)*row:][:row])
				}
			}
		})
		if err != nil {
			panic(err)
		}
	})
	return out, err
}
