package onnxmodel

import (
	"slices"

	"github.com/gomlx/compute-onnx/support/protos"
)

// Layer is a value that a layer with weights computes.
type Layer struct {
	Value string // its name in the file
	Name  string // the operator, and the node's name in brackets
}

// weighted are the operators that multiply their input by weights.
var weighted = []string{"Conv", "ConvTranspose", "Gemm", "MatMul", "FusedMatMul", "FusedConv", "LSTM", "GRU", "RNN"}

// Layers are the values that layers with weights compute on the way from the inputs to the output,
// in this order.
func (m *Model) Layers() []Layer {
	var layers []Layer
	for _, l := range m.layersWithWeights() {
		layers = append(layers, Layer{Value: l.out, Name: nodeName(l.node)})
	}
	return layers
}

// Features returns the input of the last dense layer before the output, "" if no layer with weights
// comes before it.
func (m *Model) Features() string {
	dense := []string{"Gemm", "MatMul", "FusedMatMul"}
	for i, l := range slices.Backward(m.layersWithWeights()) {
		if i > 0 && slices.Contains(dense, l.node.OpType) {
			return l.in
		}
	}
	return ""
}

// layerWithWeights is a node of the file with its input and its output.
type layerWithWeights struct {
	node    *protos.NodeProto
	in, out string
}

func (m *Model) layersWithWeights() (layers []layerWithWeights) {
	depends := make(map[string]bool)
	for _, in := range m.inputs {
		depends[in] = true
	}
	for _, n := range ancestors(m.graph, m.output) {
		if n.OpType == "Shape" || n.OpType == "Size" || !slices.ContainsFunc(n.Input,
			func(in string) bool { return depends[in] }) {
			continue
		}
		for _, out := range n.Output {
			if out == "" {
				continue
			}
			depends[out] = true
			origin := m.lowered.origins[out]
			if origin == nil || len(origin.Output) == 0 || origin.Output[0] != out || !slices.Contains(weighted, origin.OpType) {
				continue
			}
			var moving []string // The inputs that depend on those of the network.
			for _, in := range origin.Input {
				if depends[in] {
					moving = append(moving, in)
				}
			}
			if len(moving) == 1 { // Else it is a product of two values, as in attention.
				layers = append(layers, layerWithWeights{origin, moving[0], out})
			}
		}
	}
	return layers
}
