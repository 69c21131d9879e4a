package autodiff

import (
	"github.com/gomlx/compute"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	. "github.com/gomlx/gomlx/support/exceptions"
)

// registerPooling replaces the rule of max and min pooling by one whose result can be differentiated again;
// the other reductions keep GoMLX's.
func registerPooling() {
	original := VJPRegistration[NodeTypeReduceWindow]
	VJPRegistration[NodeTypeReduceWindow] = func(node *Node, vjps []*Node, outputShape shapes.Shape) []*Node {
		p, _ := ReduceWindowOf(node)
		if p.Reduction != compute.ReduceOpMax && p.Reduction != compute.ReduceOpMin {
			return original(node, vjps, outputShape)
		}
		return []*Node{extremePoolingVJP(p, node, vjps[0])}
	}
}

// extremePoolingVJP sends the gradient of every window to its largest (smallest) element; of equal ones to
// the first in the order of the axes, as GoMLX's SelectAndScatter does. Which element that is, is constant
// almost everywhere, so the second derivative is that of a fixed selection.
func extremePoolingVJP(p ReduceWindowAttributes, node, v *Node) *Node {
	if !allOnes(p.InputDilations) {
		Panicf("autodiff: the gradient of a pooling with dilated input is not defined (node %s)", node)
	}
	x := StopGradient(node.Inputs()[0])
	extreme := StopGradient(node)
	// Pooling is over all axes, in the manner of a convolution's spatial axes.
	outputDims := node.Shape().Dimensions
	c := geometry{strides: p.Strides, kernelDilations: p.WindowDilations, paddings: p.Paddings}
	taps := tapsOf(p.Window)
	padded := padPooled(x, p, taps[len(taps)-1], outputDims)
	zero := ScalarZero(v.Graph(), v.DType())
	var taken, dx *Node
	for _, tap := range taps {
		chosen := Equal(tapSlice(padded, 0, c, tap, outputDims), extreme)
		if taken == nil {
			taken = chosen
		} else {
			chosen, taken = LogicalAnd(chosen, LogicalNot(taken)), LogicalOr(taken, chosen)
		}
		part := Where(chosen, v, ZerosLike(v))
		axes := make([]PadAxis, len(tap))
		for i, t := range tap {
			start := t*p.WindowDilations[i] - p.Paddings[i][0]
			axes[i] = PadAxis{Start: start, Interior: p.Strides[i] - 1,
				End: x.Shape().Dim(i) - start - dilated(outputDims[i], p.Strides[i])}
		}
		part = Pad(part, zero, axes...)
		if dx == nil {
			dx = part
		} else {
			dx = Add(dx, part)
		}
	}
	return dx
}

// padPooled pads (or crops) x so that every tap finds its elements; those outside x are never chosen.
func padPooled(x *Node, p ReduceWindowAttributes, lastTap, outputDims []int) *Node {
	sign := -1
	if p.Reduction == compute.ReduceOpMin {
		sign = 1
	}
	axes := make([]PadAxis, x.Rank())
	needed := false
	for i := range axes {
		covered := (outputDims[i]-1)*p.Strides[i] + lastTap[i]*p.WindowDilations[i] + 1
		axes[i] = PadAxis{Start: p.Paddings[i][0], End: covered - p.Paddings[i][0] - x.Shape().Dim(i)}
		needed = needed || axes[i] != PadAxis{}
	}
	if !needed {
		return x
	}
	return Pad(x, Infinity(x.Graph(), x.DType(), sign), axes...)
}
