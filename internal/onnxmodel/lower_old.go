package onnxmodel

import (
	"slices"

	"github.com/gomlx/compute-onnx/support/protos"
)

// Operators of two values, which before opset 7 broadcast the second only if an attribute says so,
// along the axes from the attribute axis on.
var _ = register(map[string]rewrite{
	"Add": withOldBroadcast, "Sub": withOldBroadcast, "Mul": withOldBroadcast, "Div": withOldBroadcast,
	"And": withOldBroadcast, "Or": withOldBroadcast, "Xor": withOldBroadcast,
	"Equal": equal, "Less": withOldBroadcast, "Greater": withOldBroadcast,
	"Gemm": withOldBroadcast,
})

// withOldBroadcast leaves a node as it is of opset 7, with the second value reshaped so that its
// axes lie where they are wanted.
func withOldBroadcast(l *lowering, n *protos.NodeProto) (bool, error) {
	broadcast, axis := attribute(n, "broadcast"), attribute(n, "axis")
	if l.opset >= 7 && (broadcast != nil || axis != nil) {
		return refused(n, "it has the attribute broadcast or axis, which opset 7 ended")
	}
	remove(n, "broadcast", "axis")
	if axis == nil || broadcast == nil || broadcast.I == 0 {
		return false, nil // Of the same shape, or broadcast from the last axis on.
	}
	dims, known := l.dims(n.Input[1]), l.tensor(n.Input[1]) != nil
	rank, ok := l.rank(n.Input[0])
	if !known || !ok {
		return refused(n, "it has the attribute axis, and inputs of a rank that the file does not tell")
	}
	first := axis.I
	if first < 0 {
		first += int64(rank)
	}
	after := int64(rank) - first - int64(len(dims))
	if first < 0 || after < 0 {
		return refused(n, "the attribute axis is %d for the ranks %d and %d", axis.I, rank, len(dims))
	}
	n.Input[1] = l.op("Reshape", n.Input[1], l.integers(slices.Concat(dims, slices.Repeat([]int64{1}, int(after)))...))
	return false, nil
}

// equal compares booleans by Xor, because the Go backend compares only numbers.
func equal(l *lowering, n *protos.NodeProto) (bool, error) {
	if _, err := withOldBroadcast(l, n); err != nil {
		return false, err
	}
	if l.dtypes[n.Input[0]] != int32(protos.TensorProto_BOOL) {
		return false, nil
	}
	return l.finish(n, l.op("Not", l.op("Xor", n.Input[0], n.Input[1])))
}
