package onnxmodel

import (
	"fmt"
	"slices"

	"github.com/gomlx/compute-onnx/support/protos"
	"github.com/gomlx/gomlx/core/graph"
)

// rank of a value as far as the file tells it.
func (l *lowering) rank(name string) (int, bool) { return l.inferredRank(name, 64) }

// statedRank is that of a weight, or of a value whose shape the file states.
func (l *lowering) statedRank(name string) (int, bool) {
	if t := l.tensor(name); t != nil {
		return len(t.Dims), true
	}
	for i, v := range slices.Concat(l.graph.Input, l.graph.ValueInfo, l.graph.Output) {
		if shape := v.GetType().GetTensorType().GetShape(); v.Name == name && shape != nil {
			if i >= len(l.graph.Input) {
				l.stated[name] = len(shape.Dim)
			}
			return len(shape.Dim), true
		}
	}
	if l.outer != nil {
		return l.outer.rank(name)
	}
	return 0, false
}

// checkStated refuses a file that states another rank for a value than it has: a rewrite that used
// the stated one computes something else.
func (l *lowered) checkStated(names []string, values []*graph.Node) error {
	for i, name := range names {
		if want := l.stated[name]; values[i].Rank() != want {
			return fmt.Errorf("value %s has shape %s, but the file states %d axes for it: "+
				"remove the shapes in graph.value_info, and add them anew by onnx.shape_inference.infer_shapes",
				name, values[i].Shape(), want)
		}
	}
	return nil
}

// statedOnPath has the values between inputs and outputs whose stated ranks were used.
func (m *Model) statedOnPath(outputs []string) (names []string) {
	for _, n := range ancestors(m.graph, outputs...) {
		for _, out := range n.Output {
			if _, ok := m.lowered.stated[out]; ok {
				names = append(names, out)
			}
		}
	}
	return names
}

// statedSize is the size of an axis of a value, if the file states it.
func (l *lowering) statedSize(name string, axis int64) (int64, bool) {
	if size, ok := l.sizeOf(name, axis, 16); ok {
		return size, true
	}
	for _, v := range l.graph.ValueInfo {
		if dims := v.GetType().GetTensorType().GetShape().GetDim(); v.Name == name && axis < int64(len(dims)) {
			return dims[axis].GetDimValue(), dims[axis].GetDimValue() > 0
		}
	}
	return 0, false
}

// sameRank has operators, besides elementwise, whose output is of the rank of their first input.
var sameRank = []string{"Conv", "ConvTranspose", "MaxPool", "AveragePool", "LpPool", "GlobalAveragePool",
	"GlobalMaxPool", "BatchNormalization", "InstanceNormalization", "GroupNormalization", "LayerNormalization",
	"LpNormalization", "LRN", "RMSNormalization", "Resize", "Upsample", "Pad", "Slice", "Transpose", "Concat", "Split",
	"TopK", "CumSum", "DFT",
	"DepthToSpace", "SpaceToDepth", "LeakyRelu", "PRelu", "Elu", "Selu", "Celu", "Gelu", "HardSigmoid", "HardSwish",
	"Mish", "Swish", "Softplus", "Softsign", "ThresholdedRelu", "Shrink", "LogSoftmax", "GatherElements",
	"GridSample", "EyeLike", "Not"}

// broadcasting has operators of several values whose output is of the largest rank.
var broadcasting = []string{"Add", "Sub", "Mul", "Div", "Pow", "Mod", "MatMul", "Where", "Max", "Min", "Sum", "Mean",
	"Equal", "Less", "LessOrEqual", "Greater", "GreaterOrEqual", "And", "Or", "Xor"}

// inferredRank is the rank of a value that a node gives, going back a number of nodes. A node that
// was rewritten counts as it was in the file.
func (l *lowering) inferredRank(name string, depth int) (int, bool) {
	if rank, ok := l.ranks[name]; ok {
		return rank, rank >= 0
	}
	rank, ok := l.rankOnce(name, depth)
	if ok {
		l.ranks[name] = rank
	} else if l.makers[name] != nil { // Another value may become known once a node gives it.
		l.ranks[name] = -1
	}
	return rank, ok
}

func (l *lowering) rankOnce(name string, depth int) (int, bool) {
	rank, ok := l.statedRank(name)
	n := l.makers[name]
	if origin := l.origins[name]; origin != nil && slices.Contains(origin.Output, name) && origin.OpType != "If" {
		n = origin
	}
	if ok || n == nil || depth == 0 || len(n.Input) == 0 || !isOwn(n) {
		return rank, ok
	}
	switch {
	case n.OpType == "Gemm", n.OpType == "Flatten", n.OpType == "MelWeightMatrix":
		return 2, true
	case n.OpType == "STFT":
		return 4, true
	case n.OpType == "Col2Im" && len(n.Input) > 1:
		axes, known := l.length(n.Input[1], depth-1)
		return axes + 2, known
	case n.OpType == "Unsqueeze":
		axes, known := l.axes(n)
		rank, ok := l.inferredRank(n.Input[0], depth-1)
		return rank + len(axes), ok && known
	case n.OpType == "Squeeze":
		axes, known := l.axes(n)
		rank, ok := l.inferredRank(n.Input[0], depth-1)
		return rank - len(axes), ok && known && len(axes) <= rank
	case (n.OpType == "Reshape" || n.OpType == "AffineGrid") && len(n.Input) > 1:
		return l.length(n.Input[1], depth-1)
	case n.OpType == "ConstantOfShape":
		return l.length(n.Input[0], depth-1)
	case n.OpType == "Expand" && len(n.Input) > 1:
		rank, ok := l.inferredRank(n.Input[0], depth-1)
		length, known := l.length(n.Input[1], depth-1)
		return max(rank, length), ok && known
	case slices.Contains(broadcasting, n.OpType):
		return l.largestRank(n, depth-1)
	case slices.Contains(elementwise, n.OpType), slices.Contains(sameRank, n.OpType):
		return l.inferredRank(n.Input[0], depth-1)
	}
	return 0, false
}

// largestRank is that of the inputs of a node.
func (l *lowering) largestRank(n *protos.NodeProto, depth int) (largest int, known bool) {
	for _, in := range n.Input {
		rank, ok := l.inferredRank(in, depth)
		if !ok || n.OpType == "MatMul" && rank < 2 {
			return 0, false
		}
		largest = max(largest, rank)
	}
	return largest, true
}

// axes is the axes of a node, an attribute or a constant input.
func (l *lowering) axes(n *protos.NodeProto) (axes []int64, known bool) {
	if a := attribute(n, "axes"); a != nil {
		return a.Ints, true
	}
	return l.constant(input(n, 1))
}

// length is how many numbers a list has, such as a shape: a constant one, or the parts of a Concat.
func (l *lowering) length(name string, depth int) (int, bool) {
	if values, ok := l.constant(name); ok {
		return len(values), true
	}
	if t := l.tensor(name); t != nil && len(t.Dims) == 1 {
		return int(t.Dims[0]), true
	}
	n := l.makers[name]
	if n == nil || depth == 0 || len(n.Input) == 0 || !isOwn(n) {
		return 0, false
	}
	switch n.OpType {
	case "Shape":
		return l.inferredRank(n.Input[0], depth-1)
	case "Unsqueeze":
		return 1, true // Of a number.
	case "Cast", "Identity":
		return l.length(n.Input[0], depth-1)
	case "Concat":
		total := 0
		for _, in := range n.Input {
			part, ok := l.length(in, depth-1)
			if !ok {
				return 0, false
			}
			total += part
		}
		return total, true
	case "Slice":
		return l.sliceLength(n)
	case "Gather": // Of a list.
		indices, known := l.constant(n.Input[1])
		return len(indices), known && intOr(n, "axis", 0) == 0
	}
	return 0, false
}

// sliceLength is that of a part of a list with constant bounds, which do not count from its end.
func (l *lowering) sliceLength(n *protos.NodeProto) (int, bool) {
	starts, okStarts := l.constant(input(n, 1))
	ends, okEnds := l.constant(input(n, 2))
	if !okStarts || !okEnds || input(n, 4) != "" || len(starts) != 1 || len(ends) != 1 || starts[0] < 0 ||
		ends[0] < starts[0] || ends[0] > 16 {
		return 0, false
	}
	return int(ends[0] - starts[0]), true
}
