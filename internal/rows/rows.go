// Package rows copies examples out of tensors: on the host, because a graph would be compiled for
// each number of them.
package rows

import (
	"errors"
	"fmt"

	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/gomlx/core/tensors"
)

// Slice returns a copy of the rows from, from+1, ... up to the one before to of a tensor [n, ...]
// of any dtype. It returns an error unless 0 <= from < to <= n.
func Slice(t *tensors.Tensor, from, to int) (*tensors.Tensor, error) {
	if from >= to {
		return nil, fmt.Errorf("rows: none from %d to %d", from, to)
	}
	indices := make([]int, to-from)
	for i := range indices {
		indices[i] = from + i
	}
	return Take(t, indices)
}

// Take returns a copy of the rows of a tensor [n, ...] of any dtype at the indices, in their order.
// It returns an error for a scalar, and for an index that is not one of the tensor's rows.
func Take(t *tensors.Tensor, indices []int) (*tensors.Tensor, error) {
	if t.Shape().Rank() == 0 {
		return nil, errors.New("rows: a scalar has none")
	}
	n := t.Shape().Dimensions[0]
	for _, i := range indices {
		if i < 0 || i >= n {
			return nil, fmt.Errorf("rows: there is no row %d of %d", i, n)
		}
	}
	dims := append([]int{len(indices)}, t.Shape().Dimensions[1:]...)
	out := tensors.FromShape(shapes.Make(t.DType(), dims...))
	var inner error
	err := t.ConstBytes(func(all []byte) {
		size := len(all) / n
		inner = out.MutableBytes(func(to []byte) {
			for at, i := range indices {
				copy(to[at*size:(at+1)*size], all[i*size:(i+1)*size])
			}
		})
	})
	if err == nil {
		err = inner
	}
	return out, err
}
