package vjp

import (
	"slices"

	. "github.com/gomlx/gomlx/core/graph"

	"github.com/geometric-complexity/toolkit/internal/gomlxcompat"
	"github.com/geometric-complexity/toolkit/internal/platform"
)

// Batch norm after a convolution multiplies every channel by a gain. On the way back the gain
// belongs into the kernel: instead of (u∘gain) times the kernel, a Pullback computes u times
// (gain∘kernel), once for all cotangents. So it multiplies no images by the gain, and does not keep
// both u and u∘gain for a second derivative, in which the gradient of the gain is a sum over the
// kernel instead of one over all images and cotangents.

// channelGain is an adjoint u∘gain. gain has size 1 along all axes of the node but one.
type channelGain struct {
	u, gain *Node
	axis    int // Of the node, not of the adjoint.
}

// channelGain returns the other operand, if n is the product of its operand i with one that does
// not depend on the inputs and has size 1 along all axes but one. Otherwise it returns nil.
func (s *Pullback) channelGain(n *Node, i int) (gain *Node, axis int) {
	if n.Type() != NodeTypeMul || n.Rank() < 3 || !sameDims(n.Inputs()[i], n) {
		return nil, 0
	}
	gain = n.Inputs()[1-i]
	isWide := func(dim int) bool { return dim > 1 }
	dims := gain.Shape().Dimensions
	axis = slices.IndexFunc(dims, isWide)
	if s.onPath[gain] || gain.Rank() != n.Rank() || axis < 0 || slices.ContainsFunc(dims[axis+1:], isWide) {
		return nil, 0
	}
	return gain, axis
}

// timesGain returns v∘gain, and remembers the factors.
func (s *Pullback) timesGain(v, gain *Node, axis int) *Node {
	p := Mul(v, InsertAxes(gain, 0))
	s.gains[p] = channelGain{u: v, gain: gain, axis: axis}
	return p
}

// largestKernel is how many times as large as the adjoint of the convolution a kernel may be to
// take the gain. With a kernel of 512 channels and a single cotangent for 32 images of 4×4, which
// is nine times as large, a ResNet18's steps with one projection took 2 to 3 % longer that way.
const largestKernel = 4

// gainIntoKernel returns the convolution n with the gain of its adjoint v in the kernel, and the
// adjoint without it. It returns n and v as they are if v has no gain, or one along another axis
// than that of the output's channels, or if the kernel is large. On the Go backend the gain stays
// where it is, because the numbers of runs there would change in their last digits.
func (s *Pullback) gainIntoKernel(n, v *Node) (_, _ *Node) {
	f, ok := s.gains[v]
	if !ok || platform.Of(n.Graph().Backend()) == platform.Go {
		return n, v
	}
	conv, isConv := gomlxcompat.ConvOf(n)
	if !isConv || conv.BatchGroupCount > 1 || f.axis != conv.Axes.OutputChannels || s.onPath[n.Inputs()[1]] {
		return n, v
	}
	if n.Inputs()[1].Shape().Size() > largestKernel*n.Shape().Size()*v.Shape().Dim(0) {
		return n, v
	}
	if s.scaled[n] == nil {
		images, kernel := n.Inputs()[0], n.Inputs()[1]
		gain := asAxis(f.gain, kernel.Rank(), conv.Axes.KernelOutputChannels)
		s.scaled[n] = n.CloneWithInputs(images, Mul(kernel, gain))
	}
	return s.scaled[n], f.u
}

// asAxis reshapes a node to the given rank, with all its values along an axis.
func asAxis(x *Node, rank, axis int) *Node {
	dims := slices.Repeat([]int{1}, rank)
	dims[axis] = x.Shape().Size()
	return Reshape(x, dims...)
}
