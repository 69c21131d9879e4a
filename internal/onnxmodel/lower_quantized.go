package onnxmodel

import (
	"fmt"
	"slices"

	"github.com/gomlx/compute-onnx/support/protos"
)

var _ = register(map[string]rewrite{"DequantizeLinear": dequantizeLinear})

// rounding has the operators of quantized networks that round their results, in ONNX's own domain
// and ONNX Runtime's. DequantizeLinear is not among them: it does not round, and weights stored as
// integers are constants.
var rounding = []string{"QuantizeLinear", "DynamicQuantizeLinear", "ConvInteger", "MatMulInteger", "QLinearConv",
	"QLinearMatMul",
	"com.microsoft.QuantizeLinear", "com.microsoft.QLinearAdd", "com.microsoft.QLinearAveragePool",
	"com.microsoft.QLinearConcat", "com.microsoft.QLinearConv", "com.microsoft.QLinearGlobalAveragePool",
	"com.microsoft.QLinearLeakyRelu", "com.microsoft.QLinearMul", "com.microsoft.QLinearReduceMean",
	"com.microsoft.QLinearSigmoid", "com.microsoft.QLinearSoftmax", "com.microsoft.QLinearWhere",
	"com.microsoft.QGemm", "com.microsoft.QAttention", "com.microsoft.DynamicQuantizeMatMul",
	"com.microsoft.DynamicQuantizeLSTM", "com.microsoft.MatMulIntegerToFloat"}

// checkQuantized refuses an operator that rounds.
func checkQuantized(n *protos.NodeProto) error {
	if !slices.Contains(rounding, operatorKey(n)) {
		return nil
	}
	return fmt.Errorf("operator %s: it rounds to integers, so that a quantized network is constant between its jumps and "+
		"its GC is 0; measure the network that it was quantized from", nodeName(n))
}

// dequantizeLinear is (x - zero point)·scale, with one scale for all values or one for each number
// along an axis.
func dequantizeLinear(l *lowering, n *protos.NodeProto) (bool, error) {
	if b := intOr(n, "block_size", 0); b != 0 {
		return refused(n, "the attribute block_size is %d", b)
	}
	scale := n.Input[1]
	dtype := l.floatType(scale)
	if to := intOr(n, "output_dtype", 0); to != 0 && to != int64(dtype) {
		return refused(n, "the attribute output_dtype is %s for scales of %s", protos.TensorProto_DataType(to), dtype)
	}
	aligned := func(v string) string { return v }
	rank, known := l.rank(scale)
	switch {
	case !known:
		return refused(n, "its scale is of a rank that the file does not tell")
	case rank > 1:
		return refused(n, "its scale has the rank %d", rank)
	case rank == 1 && !slices.Equal(l.dims(scale), []int64{1}):
		axis := intOr(n, "axis", 1)
		if rank, ok := l.rank(n.Input[0]); ok && axis >= 0 {
			axis -= int64(rank)
		}
		aligned = func(v string) string { return l.along(v, n.Input[0], axis) }
	case rank == 1:
		aligned = func(v string) string { return l.op("Reshape", v, l.integers()) }
	}
	y := l.cast(n.Input[0], dtype)
	if zero := input(n, 2); zero != "" {
		y = l.op("Sub", y, aligned(l.cast(zero, dtype)))
	}
	return l.finish(n, l.op("Mul", y, aligned(scale)))
}
