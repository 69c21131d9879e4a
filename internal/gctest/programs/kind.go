package programs

import (
	"slices"

	. "github.com/gomlx/gomlx/core/graph"
)

// Kind is an op of the language of programs.
type Kind struct {
	Name string

	// Params are the ranges of the parameters, both ends included.
	Params []Range

	// Build applies the op to x, of shape [batch, ...] and a float dtype, and returns a node of
	// that form. It returns nil if the op cannot be applied to x.
	Build func(b *Builder, x *Node, p []int) *Node

	// Kinks says that the op is not differentiable everywhere.
	Kinks bool

	// MixesExamples says that the op computes statistics of several examples. Build computes them
	// from Builder.Held.
	MixesExamples bool

	// MixesInTraining says that the op mixes examples in training only.
	MixesInTraining bool

	// NoDerivative says that GoMLX has no derivative of the op. A few programs have such an op, to
	// check the error message.
	NoDerivative bool

	// StopsGradient says that the op stops gradients on purpose, so that GoMLX's derivative with
	// respect to a weight differs from the slope.
	StopsGradient bool

	// UsesErf says that the op uses the error function. The Go backend approximates it with a small
	// step at 0, where the oracle's slope is off by about 1e-4.
	UsesErf bool

	// LowersPrecision says that the op computes in a lower precision than the program's dtype.
	LowersPrecision bool
}

// Range is a closed range of integers.
type Range struct{ Min, Max int }

// one returns the Build function of an op that has no parameters and needs only x.
func one(f func(x *Node) *Node) func(b *Builder, x *Node, p []int) *Node {
	return func(_ *Builder, x *Node, _ []int) *Node { return f(x) }
}

// axis maps a parameter to an axis of x other than the batch axis.
func axis(x *Node, p int) int { return 1 + p%(x.Rank()-1) }

func dim(x *Node, axis int) int { return x.Shape().Dim(axis) }

func batchOf(x *Node) int { return dim(x, 0) }

var (
	axisRange  = Range{1, 3}
	widthRange = Range{1, 5}
	flag       = Range{0, 1}
)

// Kinds are all ops. Simple ops come first, because failing programs shrink to the first ops.
var Kinds = slices.Concat(elementwise, reductions, shapeOps, indexOps, layerOps, imageOps, sequenceOps,
	dtypeOps, moreOps, mixingOps)

// Lookup returns the kind with this name, nil if there is none.
func Lookup(name string) *Kind {
	for _, kind := range Kinds {
		if kind.Name == name {
			return kind
		}
	}
	return nil
}
