package onnxmodel

import (
	"path/filepath"
	"testing"

	"github.com/gomlx/compute-onnx/support/protos"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/geometric-complexity/toolkit/internal/gctest"
)

// TestDerivativesShowMeetings: networks of differentiable operators need no comparison of batches,
// also if the number of examples enters into shapes. All others do.
func TestDerivativesShowMeetings(t *testing.T) {
	toFloat, toInt := number("to", int64(protos.TensorProto_FLOAT)), number("to", int64(protos.TensorProto_INT64))
	size := []*protos.NodeProto{node("Shape", "x", "s"), node("Gather", "s first", "n")}
	for _, tc := range []struct {
		name  string
		nodes []*protos.NodeProto
		want  bool
	}{
		{"differentiable", []*protos.NodeProto{node("Tanh", "x", "h"), node("ReduceSum", "h last", "y")}, true},
		{"a rounded value", []*protos.NodeProto{node("Round", "x", "h"), node("Add", "x h", "y")}, false},
		{"a rounded value that no output uses", []*protos.NodeProto{node("Round", "x", "h"), node("Tanh", "x", "y")}, true},
		{"a conversion to integers", []*protos.NodeProto{node("Cast", "x", "i", toInt), node("Cast", "i", "y", toFloat)},
			false},
		{"a conversion to floats", []*protos.NodeProto{node("Cast", "x", "y", toFloat)}, true},
		{"their number in a shape", append(size, node("Concat", "n twelve", "d", number("axis", 0)),
			node("Reshape", "x d", "y")), true},
		{"their number in data", append(size, node("Cast", "n", "f", toFloat), node("Mul", "x f", "y")), false},
		{"their number in an index", append(size, node("Slice", "x first n", "y")), false},
		{"a constant for each", append(size, node("Expand", "one n", "e"), node("Mul", "x e", "y")), true},
		{"their number for each", append(size, node("Cast", "n", "f", toFloat), node("Expand", "f n", "e"),
			node("Mul", "x e", "y")), false},
		{"a condition", []*protos.NodeProto{node("Greater", "x one", "c"), node("Where", "c x one", "y")}, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			m := load(t, changed(t, "mlp.onnx", func(file *protos.ModelProto) {
				g := file.Graph
				g.Node, g.ValueInfo, g.Output[0].Name = tc.nodes, nil, "y"
				g.Initializer = []*protos.TensorProto{whole("first", 0), whole("last", 1), whole("twelve", 12),
					{Name: "one", Dims: []int64{1}, DataType: int32(protos.TensorProto_FLOAT), FloatData: []float32{1}}}
			}))
			if got := m.derivativesShowMeetings(); got != tc.want {
				t.Errorf("%t, want %t", got, tc.want)
			}
		})
	}
}

// TestDerivativesShowMeetingsInCases: where nothing is compared, a comparison finds no difference.
func TestDerivativesShowMeetingsInCases(t *testing.T) {
	compared := 0
	for _, index := range []string{"cases/index.json", "cases/forms.json", "cases/sklearn.json", "variants/index.json"} {
		for _, tc := range readCases(t, index) {
			if tc.Refused != "" {
				continue
			}
			m := load(t, testdata(filepath.Join(tc.folder, tc.Model)))
			size, err := m.BatchSize(func(string) int { return 0 })
			if err != nil || size > 0 || !m.derivativesShowMeetings() {
				continue
			}
			x := tc.inputs(t, m)
			if x.Shape().Dimensions[0] < 2 {
				continue
			}
			if err := m.compareBatches(gctest.GoBackend(t), m.ForwardAll, []*tensors.Tensor{x}, 0); err != nil {
				t.Error(err)
			}
			compared++
		}
	}
	if compared < 20 {
		t.Errorf("%d networks were compared, want 20 or more", compared)
	}
	t.Logf("%d networks were compared", compared)
}
