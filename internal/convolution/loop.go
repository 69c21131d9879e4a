package convolution

import (
	"slices"

	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"

	"github.com/geometric-complexity/toolkit/internal/gomlxcompat"
)

// How XLA on a CPU takes the images of a batch in groups: by a loop in the graph.
//
// What a small group needs stays in the processor's caches. Groups without a loop would not save
// that: XLA takes the first op of all groups first. And a loop is compiled once, whatever the
// number of groups.
//
// This is not for the Go backend, which deadlocks on products within a loop (compute v0.1.14).
// GoMLX caches scalars for a whole graph, and no loop can use those of another: what is computed in
// a loop makes its own, with ConstAsDType.

// sumOfGroups returns the sum of what fn makes of each group of so many examples of x and of v. It
// has the given shape, and fn makes zeros of examples that are zeros.
func sumOfGroups(images int, x, v *Node, shape shapes.Shape, fn func(x, v *Node) *Node) *Node {
	images, total := evenGroups(images, x.Shape().Dim(0))
	if images == total {
		return fn(x, v)
	}
	g := x.Graph()
	x, v = withZeros(x, 0, 0, total-x.Shape().Dim(0)), withZeros(v, 0, 0, total-v.Shape().Dim(0))
	initial := []*Node{Const(g, int32(0)), zeros(g, shape), x, v}
	isUnfinished := NewClosure(g, func(g *Graph) []*Node {
		start := gomlxcompat.LoopState(g, initial)[0]
		return []*Node{LessThan(start, Const(g, int32(total)))}
	})
	next := NewClosure(g, func(g *Graph) []*Node {
		state := gomlxcompat.LoopState(g, initial)
		start, sum, x, v := state[0], state[1], state[2], state[3]
		sum = Add(sum, fn(examplesFrom(start, images, x), examplesFrom(start, images, v)))
		return []*Node{Add(start, Const(g, int32(images))), sum, x, v}
	})
	return While(isUnfinished, next, initial...)[1]
}

// examplesFrom returns so many examples of x, the first of them at start.
func examplesFrom(start *Node, images int, x *Node) *Node {
	starts := []*Node{start}
	for range x.Rank() - 1 {
		starts = append(starts, Const(x.Graph(), int32(0)))
	}
	return DynamicSlice(x, starts, slices.Concat([]int{images}, x.Shape().Dimensions[1:]))
}

// evenGroups returns the size of groups of up to so many images, and that of all together. That is
// the batch, if a divisor of it is not much smaller than the groups wanted; otherwise it is more,
// as the last group is filled up.
func evenGroups(images, batch int) (_, total int) {
	if even := divisorUpTo(batch, images); 2*even >= images {
		return even, batch
	}
	groups := (batch + images - 1) / images
	images = (batch + groups - 1) / groups
	return images, images * groups
}

// zeros is Zeros without GoMLX's cached scalar.
func zeros(g *Graph, shape shapes.Shape) *Node {
	return BroadcastToDims(ConstAsDType(g, shape.DType, 0), shape.Dimensions...)
}
