package onnxmodel

import (
	"slices"
	"strings"

	"github.com/gomlx/compute-onnx/support/protos"
)

// differentiable has operators whose outputs have a derivative with respect to all data that they
// are computed from.
var differentiable = func() map[string]bool {
	names := map[string]bool{}
	for _, name := range strings.Fields(`
		Abs Add AveragePool BatchNormalization Celu Clip Concat Conv ConvTranspose Cos DepthToSpace Div Dropout
		Elu Erf Exp Flatten GRU Gelu Gemm GlobalAveragePool GlobalLpPool GlobalMaxPool GroupNormalization
		HardSigmoid HardSwish Identity InstanceNormalization LRN LSTM LayerNormalization LeakyRelu Log LogSoftmax
		LpNormalization LpPool MatMul Max MaxPool Mean MeanVarianceNormalization Min Mish Mul Neg PRelu Pad Pow RNN
		Reciprocal ReduceL1 ReduceL2 ReduceLogSum ReduceLogSumExp ReduceMax ReduceMean ReduceMin ReduceProd
		ReduceSum ReduceSumSquare Relu Reshape Selu Sigmoid Sin Slice Softmax Softplus Softsign SpaceToDepth
		Split Sqrt Squeeze Sub Sum Swish Tanh Transpose Unsqueeze`) {
		names[name] = true
	}
	return names
}()

// derivativesShowMeetings reports whether examples can meet only where derivatives pass, so that
// following these finds every meeting. All data comes from one input then, by differentiable
// operators, and the number of examples enters only into shapes.
func (m *Model) derivativesShowMeetings() bool {
	if len(m.inputs) != 1 || m.node != "" {
		return false
	}
	data, sizes := map[string]bool{m.inputs[0]: true}, map[string]bool{}
	for _, n := range ancestors(m.graph, m.output) {
		takesData, takesSizes := anyOf(data, n.Input), anyOf(sizes, n.Input)
		switch {
		case hasSubgraph(n):
			return false
		case !takesData && !takesSizes: // A constant.
		case !takesData && (n.OpType == "ConstantOfShape" || n.OpType == "Expand" && !sizes[n.Input[0]]):
			add(data, n.Output) // A constant, once for each example.
		case !takesData || n.OpType == "Shape" || n.OpType == "Size":
			add(sizes, n.Output)
		case takesSizes && (n.OpType != "Reshape" && n.OpType != "Expand" || sizes[n.Input[0]] || data[n.Input[1]]):
			return false
		case takesSizes || differentiable[n.OpType] && !hasIndices(n) || isFloatCast(n):
			add(data, n.Output)
		default:
			return false
		}
	}
	return true
}

func anyOf(set map[string]bool, names []string) bool {
	return slices.ContainsFunc(names, func(name string) bool { return set[name] })
}

func add(set map[string]bool, names []string) {
	for _, name := range names {
		set[name] = true
	}
}

func hasSubgraph(n *protos.NodeProto) bool {
	return slices.ContainsFunc(n.Attribute, func(a *protos.AttributeProto) bool { return a.G != nil || len(a.Graphs) > 0 })
}

// hasIndices reports whether a pool returns the places of its maxima, too.
func hasIndices(n *protos.NodeProto) bool { return n.OpType == "MaxPool" && len(n.Output) > 1 }

// isFloatCast reports whether a node converts to a floating-point type.
func isFloatCast(n *protos.NodeProto) bool {
	if n.OpType != "Cast" {
		return false
	}
	switch to := attribute(n, "to"); protos.TensorProto_DataType(to.GetI()) {
	case protos.TensorProto_FLOAT, protos.TensorProto_DOUBLE, protos.TensorProto_FLOAT16, protos.TensorProto_BFLOAT16:
		return true
	}
	return false
}
