package onnxmodel

import (
	"strings"
	"testing"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute-onnx/support/protos"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/geometric-complexity/toolkit/internal/gctest"
)

// TestIndependence: a network whose output for an example depends on the rest of the batch is
// refused, also where no derivative shows it.
func TestIndependence(t *testing.T) {
	scalar := func(name string, value int64) *protos.TensorProto {
		return &protos.TensorProto{Name: name, DataType: int32(protos.TensorProto_INT64), Int64Data: []int64{value}}
	}
	weights := []*protos.TensorProto{whole("first", 0), whole("last", 1), scalar("zero", 0), scalar("one", 1),
		whole("three", 3, 12)}
	toFloat := number("to", int64(protos.TensorProto_FLOAT))
	held := []*protos.NodeProto{node("ReduceMax", "lengths", "m", number("keepdims", 0)),
		node("Cast", "m", "f", toFloat), node("Div", "x f", "y")}
	sign := []*protos.NodeProto{node("ReduceSum", "x first", "s"), node("Sign", "s", "g"), node("Mul", "x g", "y")}
	count := []*protos.NodeProto{node("Shape", "x", "s"), node("Gather", "s first", "n"), node("Cast", "n", "f", toFloat),
		node("Div", "x f", "y")}
	place := []*protos.NodeProto{node("Shape", "x", "s"), node("Gather", "s zero", "n"),
		node("Range", "zero n one", "r"), node("Cast", "r", "f", toFloat), node("Unsqueeze", "f last", "u"),
		node("Mul", "x u", "y")}
	of3 := []*protos.NodeProto{node("Reshape", "x three", "r"), node("Tanh", "r", "y")}
	for _, tc := range []struct {
		name    string
		nodes   []*protos.NodeProto
		lengths []int64
		batch   int
		size    int
		refused bool
	}{
		{"an input held fixed", held, []int64{2, 5, 3}, 3, 0, true},
		{"an input held fixed, the same for all", held, []int64{4, 4, 4}, 3, 0, false},
		{"a value constant almost everywhere", sign, nil, 3, 0, true},
		{"a value constant almost everywhere, batches of three", sign, nil, 3, 3, true},
		{"their number", count, nil, 6, 0, true},
		{"their number, batches of three", count, nil, 3, 3, false},
		{"one example", count, nil, 1, 0, false},
		{"their places", place, nil, 3, 3, true},
		{"nothing", []*protos.NodeProto{node("Tanh", "x", "y")}, nil, 7, 0, false},
		{"nothing, batches of three", of3, nil, 3, 3, false},
		{"nothing, batches of three that the file does not tell", of3, nil, 3, 0, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			path := changed(t, "mlp.onnx", func(file *protos.ModelProto) {
				g := file.Graph
				g.Node, g.Initializer, g.ValueInfo, g.Output[0].Name = tc.nodes, weights, nil, "y"
				if tc.lengths != nil {
					g.Input = append(g.Input, &protos.ValueInfoProto{Name: "lengths", Type: &protos.TypeProto{
						Value: &protos.TypeProto_TensorType{TensorType: &protos.TypeProto_Tensor{
							ElemType: int32(protos.TensorProto_INT64), Shape: dynamic(1)}}}})
				}
			})
			values := make([]float32, 12*tc.batch)
			for i := range values { // The sum of the first example is positive, that of all negative.
				values[i] = []float32{1, -3}[min(1, i/12)] * float32(1+i%12)
			}
			inputs := []*tensors.Tensor{tensors.FromFlatDataAndDimensions(values, tc.batch, 12)}
			if tc.lengths != nil {
				inputs = append(inputs, tensors.FromFlatDataAndDimensions(tc.lengths, tc.batch))
			}
			gctest.ForEachBackend(t, func(t *testing.T, b compute.Backend) {
				m := load(t, path) // Its weights belong to a backend.
				err := m.CheckIndependence(b, m.ForwardAll, inputs, tc.size)
				if (err != nil) != tc.refused ||
					err != nil && !strings.Contains(err.Error(), "output y of an example changes with the other examples") {
					t.Errorf("error %v; refused should be %t", err, tc.refused)
				}
			})
		})
	}
}
