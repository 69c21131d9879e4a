package programs

import (
	"slices"

	. "github.com/gomlx/gomlx/core/graph"
)

// Kind is an op of the language of programs.
type Kind struct {
	Name string

	// Params are the ranges that the parameters are drawn from, both ends included.
	Params []Range

	// Build applies the op to x, of shape [batch, ...] and a float dtype, and returns a node of
	// that form. It returns nil where the op does not fit x.
	Build func(b *Builder, x *Node, p []int) *Node

	// Kinks says that the op is not differentiable everywhere.
	Kinks bool

	// Mixes says that the op computes values from several examples. Build takes them from
	// Builder.Held.
	Mixes bool

	// Trains says that the op mixes examples in training alone.
	Trains bool

	// Refused says that GoMLX has no derivative of the op. Few programs have one, to see that it is
	// said.
	Refused bool

	// Stops says that the op stops gradients on purpose, so that a derivative by a weight is not
	// the slope.
	Stops bool

	// Approximates says that the op is the error function, which the Go backend approximates, with
	// a small step at 0: there the oracle's slope is off by some 1e-4.
	Approximates bool

	// Lowers says that the op computes in less than the program's precision.
	Lowers bool
}

// Range is a closed range of whole numbers.
type Range struct{ Min, Max int }

// one returns the builder of an op of no parameters that needs nothing but x.
func one(f func(x *Node) *Node) func(b *Builder, x *Node, p []int) *Node {
	return func(_ *Builder, x *Node, _ []int) *Node { return f(x) }
}

// axis makes an axis of x that is not the batch axis of any whole number.
func axis(x *Node, p int) int { return 1 + p%(x.Rank()-1) }

func dim(x *Node, axis int) int { return x.Shape().Dim(axis) }

func batchOf(x *Node) int { return dim(x, 0) }

var (
	axisRange  = Range{1, 3}
	widthRange = Range{1, 5}
	flag       = Range{0, 1}
)

// Kinds has every op there is, simple ones first, which is what programs shrink to.
var Kinds = slices.Concat(elementwise, reductions, shapeOps, indexOps, layerOps, imageOps, sequenceOps,
	dtypeOps, moreOps, mixingOps)

// Lookup returns the kind of that name, nil if there is none.
func Lookup(name string) *Kind {
	for _, kind := range Kinds {
		if kind.Name == name {
			return kind
		}
	}
	return nil
}
