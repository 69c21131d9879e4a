package main

import (
	"fmt"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/layers"
	"github.com/gomlx/gomlx/ml/layers/activation"
	"github.com/gomlx/gomlx/ml/model"

	"github.com/geometric-complexity/toolkit/internal/autodiff"
)

// useStockGradient puts GoMLX's own gradient of the convolution back in place, until the function
// that it returns is called.
func useStockGradient() (restore func()) {
	ours := VJPRegistration[NodeTypeConvGeneral]
	VJPRegistration[NodeTypeConvGeneral] = autodiff.StockRule(NodeTypeConvGeneral)
	return func() { VJPRegistration[NodeTypeConvGeneral] = ours }
}

// stockResNet18 is layers.ResNet18 of this repository (no normalization, no biases) with GoMLX's
// own convolution in place of ours, for the pure-Go backend, where that is the difference. The
// shortcuts' convolutions, 1×1 with stride 2, are slices with that stride and convolutions without:
// GoMLX's gradient fails for the former.
func stockResNet18(scope *model.Scope, x *Node, width, outputs int) *Node {
	conv := func(scope *model.Scope, x *Node, channels, kernel, stride int) *Node {
		return layers.Convolution(scope,
			x).Channels(channels).KernelSize(kernel).Strides(stride).PadSame().UseBias(false).Done()
	}
	x = activation.Relu(conv(scope.In("stem"), x, width, 3, 1))
	for stage := range 4 {
		for block := range 2 {
			s := scope.In("%s", fmt.Sprintf("stage_%d_block_%d", stage, block))
			stride := 1
			if stage > 0 && block == 0 {
				stride = 2
			}
			channels := width << stage
			y := activation.Relu(conv(s.In("first"), x, channels, 3, stride))
			y = conv(s.In("second"), y, channels, 3, 1)
			if stride == 2 {
				even := AxisRange().Stride(2)
				x = conv(s.In("shortcut"), Slice(x, AxisRange(), even, even), channels, 1, 1)
			}
			x = activation.Relu(Add(y, x))
		}
	}
	return layers.Dense(scope.In("head"), ReduceMean(x, 1, 2), true, outputs)
}
