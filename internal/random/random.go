// Package random draws GoMLX's random numbers without their rare infinities; see Normal.
package random

import (
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/gomlx/core/graph"
)

// Source is a source of random numbers, a *model.Scope or a *model.Store. Each draw advances its
// state.
type Source interface {
	RandomNormal(g *graph.Graph, shape shapes.Shape) *graph.Node
}

// Normal returns standard normal values of a shape with a floating-point dtype. They are the values
// of the source's RandomNormal, except that infinite ones become the largest finite draw.
//
// GoMLX v0.28 computes √(-2·ln u)·cos(2πv) from uniform u and v, and replaces u = 0 by the smallest
// positive number. That number is denormal, and XLA on the CPU treats denormals as 0: about one in
// 10⁹ float32 draws is infinite, and makes the loss of its step, or a weight of a large network,
// infinite.
func Normal(source Source, g *graph.Graph, shape shapes.Shape) *graph.Node {
	return finite(source.RandomNormal(g, shape))
}

// The largest values that uniform numbers of 32 and of 64 random bits give are √(-2·ln 2⁻³²) = 6.66
// and √(-2·ln 2⁻⁶⁴) = 9.42.
const (
	largest32 = 6.7
	largest64 = 9.5
)

// finite replaces ±∞ by the largest value that can be drawn, with the same sign.
func finite(normal *graph.Node) *graph.Node {
	largest := largest64
	if normal.DType() != dtypes.Float64 {
		largest = largest32
	}
	return graph.ClipScalar(normal, -largest, largest)
}
