package autodiff

import (
	. "github.com/gomlx/gomlx/core/graph"

	"github.com/geometric-complexity/toolkit/internal/convolution"
	"github.com/geometric-complexity/toolkit/internal/gomlxcompat"
)

// registerPad replaces GoMLX's rule, which fails for negative paddings (they crop) and treats the
// fill value as a constant.
func registerPad() { registerOne(NodeTypePad, padVJP) }

func padVJP(node, v *Node) []*Node {
	axes, _ := gomlxcompat.PadOf(node)
	x, fill := node.Inputs()[0], node.Inputs()[1]
	// Cropped elements of x get gradient 0.
	restored := make([]PadAxis, len(axes))
	spec := make([]SliceAxisSpec, len(axes))
	cropped := false
	for i, axis := range axes {
		restored[i] = PadAxis{Start: max(0, -axis.Start), End: max(0, -axis.End)}
		cropped = cropped || axis.Start < 0 || axis.End < 0
		start, stride := max(0, axis.Start), axis.Interior+1
		if dim := x.Shape().Dim(i); dim == 0 {
			spec[i] = AxisRange(0, 0)
		} else {
			spec[i] = AxisRange(start, start+convolution.Dilated(dim, stride)).Stride(stride)
		}
	}
	whole := v
	if cropped {
		whole = Pad(v, ScalarZero(v.Graph(), v.DType()), restored...)
	}
	dx := Slice(whole, spec...)
	if fill.Type() == NodeTypeConstant {
		return []*Node{dx, nil}
	}
	return []*Node{dx, Sub(ReduceAllSum(v), ReduceAllSum(dx))}
}
