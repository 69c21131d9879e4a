package main

import (
	"fmt"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/layers"
	"github.com/gomlx/gomlx/ml/layers/activation"
	"github.com/gomlx/gomlx/ml/model"

	"github.com/geometric-complexity/toolkit/internal/autodiff"
)

// useStockGradient registers GoMLX's own gradient of convolutions, until restore is called.
func useStockGradient() (restore func()) {
	ours := VJPRegistration[NodeTypeConvGeneral]
	VJPRegistration[NodeTypeConvGeneral] = autodiff.StockRule(NodeTypeConvGeneral)
	return func() { VJPRegistration[NodeTypeConvGeneral] = ours }
}

// stockResNet18 is this repository's layers.ResNet18 (no normalization, no biases) with GoMLX's own
// convolution instead of ours, for the pure Go backend, where the two differ. A shortcut is a slice
// with stride 2 followed by a 1×1 convolution, because GoMLX's gradient fails for a 1×1 convolution
// with stride 2.
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
