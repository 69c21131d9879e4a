package autodiff

import (
	"math"
	"slices"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	. "github.com/gomlx/gomlx/support/exceptions"

	"github.com/geometric-complexity/toolkit/internal/convolution"
	"github.com/geometric-complexity/toolkit/internal/gomlxcompat"
)

// registerPooling replaces the rule of max and min pooling by one with a second derivative; other
// poolings keep GoMLX's rule.
func registerPooling() {
	var stock VJP
	stock = replace(NodeTypeReduceWindow, func(node *Node, vjps []*Node, outputShape shapes.Shape) []*Node {
		p, _ := gomlxcompat.ReduceWindowOf(node)
		if p.Reduction != compute.ReduceOpMax && p.Reduction != compute.ReduceOpMin {
			return stock(node, vjps, outputShape)
		}
		return []*Node{extremePoolingVJP(p, node, vjps[0])}
	})
}

// extremePoolingVJP gives the gradient of every window to the window's largest (smallest) element;
// among equal elements to the first in the order of the axes. See register_extreme.go.
func extremePoolingVJP(p gomlxcompat.ReduceWindowAttributes, node, v *Node) *Node {
	x := node.Inputs()[0]
	if !slices.Equal(p.InputDilations, slices.Repeat([]int{1}, x.Rank())) {
		Panicf("autodiff: node %s pools a dilated input, which has no gradient here: dilate the input with Pad instead", node)
	}
	taps := convolution.Taps(p.Window)
	selected := selectedTap(p, x, taps, node.Shape().Dimensions)
	zero, zeros := ScalarZero(v.Graph(), v.DType()), ZerosLike(v)
	var dx *Node
	for number, tap := range taps {
		part := Where(Equal(selected, Scalar(v.Graph(), selected.DType(), number)), v, zeros)
		axes := make([]PadAxis, len(tap))
		for i, t := range tap {
			start := t*p.WindowDilations[i] - p.Paddings[i][0]
			axes[i] = PadAxis{Start: start, Interior: p.Strides[i] - 1,
				End: x.Shape().Dim(i) - start - convolution.Dilated(node.Shape().Dim(i), p.Strides[i])}
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

// selectedTap returns, for every window, the number of the tap at the window's largest (smallest)
// element, [outputDims...].
func selectedTap(p gomlxcompat.ReduceWindowAttributes, x *Node, taps [][]int, outputDims []int) *Node {
	// A pooling treats all axes like the spatial axes of a convolution.
	padded := padPooled(StopGradient(x), p, taps[len(taps)-1], outputDims)
	isBetter, better := GreaterThan, Max
	if p.Reduction == compute.ReduceOpMin {
		isBetter, better = LessThan, Min
	}
	dtype := dtypes.Int8
	if len(taps) > math.MaxInt8 {
		dtype = dtypes.Int32
	}
	best := convolution.SliceTap(padded, 0, taps[0], p.Strides, p.WindowDilations, outputDims)
	selected := Zeros(x.Graph(), shapes.Make(dtype, outputDims...))
	for number, tap := range taps[1:] {
		candidate := convolution.SliceTap(padded, 0, tap, p.Strides, p.WindowDilations, outputDims)
		selected = Where(isBetter(candidate, best), Scalar(x.Graph(), dtype, number+1), selected)
		best = better(best, candidate)
	}
	return once(selected)
}

// padPooled pads (or crops) x so that it has an element for every tap of every window. The padding
// is infinite, so that its elements are never selected.
func padPooled(x *Node, p gomlxcompat.ReduceWindowAttributes, lastTap, outputDims []int) *Node {
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
