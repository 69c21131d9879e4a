package vjp

import (
	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/geometric-complexity/toolkit/internal/gomlxcompat"
)

// knownValues has the values of nodes of integers and booleans that do not depend on parameters: 0
// and 1 for booleans, nil where they could not be computed.
type knownValues map[*Node][]int

// of computes the values of n from Iotas, small constants, their sums, differences, products,
// comparisons and choices, and ops that rearrange them. It returns false for other nodes.
func (k knownValues) of(n *Node) (values []int, ok bool) {
	values, seen := k[n]
	if !seen {
		values = k.compute(n)
		k[n] = values
	}
	return values, values != nil
}

func (k knownValues) compute(n *Node) []int {
	switch n.Type() {
	case NodeTypeConstant:
		return constantInts(n.ConstantValue())
	case NodeTypeIota:
		axis, _ := gomlxcompat.AxisOf(n)
		after := product(dimsOf(n)[axis+1:])
		values := make([]int, n.Shape().Size())
		for i := range values {
			values[i] = i / after % dimsOf(n)[axis]
		}
		return values
	}
	in, ok := k.ofInputs(n)
	if !ok {
		return nil
	}
	switch n.Type() {
	case NodeTypeConcatenate:
		return concatenated(n, in)
	case NodeTypeWhere:
		return chosen(n, in)
	}
	if combine := arithmetic[n.Type()]; combine != nil {
		values := make([]int, n.Shape().Size())
		for i := range values {
			values[i] = combine(valueAt(n, in, 0, i), valueAt(n, in, 1, i))
		}
		return values
	}
	return rearranged(n, in)
}

// ofInputs returns the values of the inputs of n, which has some.
func (k knownValues) ofInputs(n *Node) (all [][]int, ok bool) {
	for _, input := range append([]*Node{n}, n.Inputs()...) {
		switch input.DType() {
		case dtypes.Int32, dtypes.Int64, dtypes.Uint32, dtypes.Bool:
		default: // It may round, or wrap around.
			return nil, false
		}
	}
	for _, input := range n.Inputs() {
		values, ok := k.of(input)
		if !ok {
			return nil, false
		}
		all = append(all, values)
	}
	return all, len(all) > 0
}

// arithmetic has the ops on pairs that are computed.
var arithmetic = map[NodeType]func(a, b int) int{
	NodeTypeAdd:            func(a, b int) int { return a + b },
	NodeTypeSub:            func(a, b int) int { return a - b },
	NodeTypeMul:            func(a, b int) int { return a * b },
	NodeTypeMax:            func(a, b int) int { return max(a, b) },
	NodeTypeMin:            func(a, b int) int { return min(a, b) },
	NodeTypeEqual:          func(a, b int) int { return oneIf(a == b) },
	NodeTypeNotEqual:       func(a, b int) int { return oneIf(a != b) },
	NodeTypeLessThan:       func(a, b int) int { return oneIf(a < b) },
	NodeTypeLessOrEqual:    func(a, b int) int { return oneIf(a <= b) },
	NodeTypeGreaterThan:    func(a, b int) int { return oneIf(a > b) },
	NodeTypeGreaterOrEqual: func(a, b int) int { return oneIf(a >= b) },
}

func oneIf(yes bool) int {
	if yes {
		return 1
	}
	return 0
}

// valueAt is the value of an input that belongs to element i of n. The input has the shape of n but
// for axes of size 1, or is a scalar.
func valueAt(n *Node, in [][]int, input, i int) int {
	values := in[input]
	switch len(values) {
	case 1:
		return values[0]
	case n.Shape().Size():
		return values[i]
	}
	from := n.Inputs()[input]
	return values[elementAt(n, from, i, axesFrom(0, from.Rank()))]
}

func chosen(n *Node, in [][]int) []int {
	values := make([]int, n.Shape().Size())
	for i := range values {
		if valueAt(n, in, 0, i) != 0 {
			values[i] = valueAt(n, in, 1, i)
		} else {
			values[i] = valueAt(n, in, 2, i)
		}
	}
	return values
}

func concatenated(n *Node, in [][]int) []int {
	axis, _ := gomlxcompat.ConcatenateOf(n)
	values := make([]int, 0, n.Shape().Size())
	for before := range product(dimsOf(n)[:axis]) {
		for i, input := range n.Inputs() {
			block := product(dimsOf(input)[axis:])
			values = append(values, in[i][before*block:(before+1)*block]...)
		}
	}
	return values
}

// rearranged has the values of the only input of n in other places.
func rearranged(n *Node, in [][]int) []int {
	at := func(i int) int { return i } // The element of the input that becomes element i.
	switch n.Type() {
	case NodeTypeReshape, NodeTypeIdentity:
	case NodeTypeConvertDType:
		if n.DType() == dtypes.Bool {
			return nil
		}
	case NodeTypeBroadcastInDim:
		axes, _ := gomlxcompat.BroadcastInDimOf(n)
		at = func(i int) int { return elementAt(n, n.Inputs()[0], i, axes) }
	case NodeTypeTranspose:
		permutation, _ := gomlxcompat.TransposeOf(n)
		axes := make([]int, len(permutation))
		for to, from := range permutation {
			axes[from] = to
		}
		at = func(i int) int { return elementAt(n, n.Inputs()[0], i, axes) }
	case NodeTypeSlice:
		s, _ := gomlxcompat.SliceOf(n)
		at = func(i int) (element int) {
			for axis, size := range dimsOf(n.Inputs()[0]) {
				index := i / product(dimsOf(n)[axis+1:]) % dimsOf(n)[axis]
				element = element*size + s.Starts[axis] + s.Strides[axis]*index
			}
			return element
		}
	default:
		return nil
	}
	values := make([]int, n.Shape().Size())
	for i := range values {
		values[i] = in[0][at(i)]
	}
	return values
}

// elementAt returns the index of the element of from that becomes element i of n, where axis a of
// from becomes axis axes[a] of n.
func elementAt(n, from *Node, i int, axes []int) (element int) {
	for a, size := range dimsOf(from) {
		index := i / product(dimsOf(n)[axes[a]+1:]) % dimsOf(n)[axes[a]]
		if size == 1 {
			index = 0
		}
		element = element*size + index
	}
	return element
}

// constantInts returns the elements of a constant, or nil for none. GoMLX keeps them only for small
// constants.
func constantInts(t *tensors.Tensor) (values []int) {
	if t == nil {
		return nil
	}
	_ = t.ConstFlatData(func(flat any) {
		switch flat := flat.(type) {
		case []int32:
			values = toInts(flat)
		case []int64:
			values = toInts(flat)
		case []uint32:
			values = toInts(flat)
		case []bool:
			values = make([]int, len(flat))
			for i, v := range flat {
				values[i] = oneIf(v)
			}
		}
	})
	return values
}

func toInts[T int32 | int64 | uint32](flat []T) []int {
	values := make([]int, len(flat))
	for i, v := range flat {
		values[i] = int(v)
	}
	return values
}
