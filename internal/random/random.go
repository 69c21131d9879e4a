// Package random draws what GoMLX draws, but for a defect: see Normal.
package random

import (
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/gomlx/core/graph"
)

// Source is where random numbers come from: a *model.Scope or a *model.Store,
// whose state the draws advance.
type Source interface {
	RandomNormal(g *graph.Graph, shape shapes.Shape) *graph.Node
}

// Normal returns standard normal values of a shape, a floating-point one, all of
// them finite. They are those of the source's RandomNormal.
//
// GoMLX v0.28 computes √(-2·ln u)·cos(2πv) from uniform u and v, and raises a u of
// 0 to the smallest number above it. That one is denormal, and XLA on the CPU
// takes denormals for 0: once in some 10⁹ draws of float32 the value is infinite,
// and with it the loss of the step or the weights of a large network.
func Normal(source Source, g *graph.Graph, shape shapes.Shape) *graph.Node {
	return finite(source.RandomNormal(g, shape))
}

// The largest values that uniform numbers of 32 and of 64 random bits give are
// √(-2·ln 2⁻³²) = 6.66 and √(-2·ln 2⁻⁶⁴) = 9.42.
const (
	largest32 = 6.7
	largest64 = 9.5
)

// finite puts the largest value, with its sign, in the place of an infinity.
func finite(normal *graph.Node) *graph.Node {
	largest := largest64
	if normal.DType() != dtypes.Float64 {
		largest = largest32
	}
	return graph.ClipScalar(normal, -largest, largest)
}
