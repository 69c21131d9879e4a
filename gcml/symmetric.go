package gcml

import (
	"slices"

	. "github.com/gomlx/gomlx/core/graph"
)

// A product AᵀA is symmetric, so only the part from the diagonal down is computed, in one strip per
// block of columns. With b blocks that takes (1+1/b)/2 of the multiplications.

// blockBounds divides n columns into at most the given number of blocks. It returns the first
// column of each block, and n. Calling it again with the number of blocks that it returned gives
// the same bounds.
func blockBounds(n, blocks int) []int {
	width := (n + blocks - 1) / blocks
	if width > tile {
		width = (width + tile - 1) / tile * tile
	}
	bounds := []int{0}
	for start := width; start < n; start += width {
		bounds = append(bounds, start)
	}
	return append(bounds, n)
}

// symmetricStrips returns the strips of AᵀA, of shapes [from the diagonal down, block]. axis is the
// axis of a that holds the columns of A: 1 if a is A, 0 if a is Aᵀ.
func symmetricStrips(a *Node, axis int) []*Node {
	bounds := blockBounds(a.Shape().Dimensions[axis], symmetricBlocks(a.Graph().Backend()))
	strips := make([]*Node, len(bounds)-1)
	for i := range strips {
		rest := between(a, axis, bounds[i], bounds[len(strips)])
		block := between(a, axis, bounds[i], bounds[i+1])
		strips[i] = contract(rest, block, 1-axis)
	}
	return strips
}

// between returns a slice of one axis. The Go backend would copy even the whole axis.
func between(x *Node, axis, start, end int) *Node {
	if start == 0 && end == x.Shape().Dimensions[axis] {
		return x
	}
	return SliceAxis(x, axis, AxisRange(start, end))
}

// contract sums the products of two matrices over the given axis of both. Its result has the other
// axis of a, then that of b.
func contract(a, b *Node, axis int) *Node {
	length := a.Shape().Dimensions[axis]
	parts := contractionParts(a.Graph().Backend(), length)
	if parts == 1 {
		return Dot(a, b).General([]int{axis}, nil, []int{axis}, nil)
	}
	inParts := func(x *Node) *Node {
		dims := slices.Insert(slices.Clone(x.Shape().Dimensions), axis, parts)
		dims[axis+1] = length / parts
		return Reshape(x, dims...)
	}
	return ReduceSum(Dot(inParts(a), inParts(b)).General([]int{axis + 1}, []int{axis}, []int{axis + 1}, []int{axis}), 0)
}

// doubleBelowDiagonal doubles the elements of a strip below its diagonal block. The sum over the
// strips is then the sum over the whole symmetric matrix.
func doubleBelowDiagonal(strip *Node) *Node {
	rows, columns := strip.Shape().Dimensions[0], strip.Shape().Dimensions[1]
	if rows == columns {
		return strip
	}
	return Concatenate([]*Node{SliceAxis(strip, 0, AxisRange(0, columns)),
		MulScalar(SliceAxis(strip, 0, AxisRange(columns)), 2)}, 0)
}

// symmetricFromStrips puts the matrix together from its strips.
func symmetricFromStrips(strips []*Node) *Node {
	if len(strips) == 1 {
		return strips[0]
	}
	bounds := blockBounds(strips[0].Shape().Dimensions[0], len(strips))
	columns := make([]*Node, len(strips))
	for i, strip := range strips {
		var blocks []*Node
		for before := range i { // What is above the diagonal is the transpose of what is left of it.
			start := bounds[before]
			left := SliceAxis(strips[before], 0, AxisRange(bounds[i]-start, bounds[i+1]-start))
			blocks = append(blocks, TransposeAllAxes(left, 1, 0))
		}
		columns[i] = Concatenate(append(blocks, strip), 0)
	}
	return Concatenate(columns, 1)
}

// addNonNil returns the sum, term alone where sum is nil.
func addNonNil(sum, term *Node) *Node {
	if sum == nil {
		return term
	}
	return Add(sum, term)
}
