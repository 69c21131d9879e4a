package onnxmodel

import (
	"strings"
	"testing"

	"github.com/gomlx/compute-onnx/support/protos"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"

	"github.com/geometric-complexity/toolkit/internal/gctest"
)

// TestMixing: the examples of a batch are told apart, from the input or an inner value to the
// output, or the network is refused, whatever the number of examples.
func TestMixing(t *testing.T) {
	perm := &protos.AttributeProto{Name: "perm", Type: protos.AttributeProto_INTS, Ints: []int64{1, 0}}
	square := []*protos.NodeProto{node("Tanh", "x", "h"), node("Transpose", "h", "t", perm), node("Tanh", "t", "y")}
	mean := []*protos.NodeProto{node("Tanh", "x", "h"), node("ReduceMean", "h first", "m"), node("Mul", "h m", "y")}
	shared := []*protos.NodeProto{node("Identity", "w", "q"), node("Mul", "x q", "y")}
	branch := func(name, op string) *protos.AttributeProto {
		g := &protos.GraphProto{Name: name, Node: []*protos.NodeProto{node(op, "x", name)},
			Output: []*protos.ValueInfoProto{{Name: name}}}
		return &protos.AttributeProto{Name: name, Type: protos.AttributeProto_GRAPH, G: g}
	}
	branches := []*protos.NodeProto{node("ReduceSum", "x", "s", number("keepdims", 0)),
		node("Cast", "s", "c", number("to", int64(protos.TensorProto_BOOL))),
		node("If", "c", "y", branch("then_branch", "Sin"), branch("else_branch", "Cos"))}
	weights := []*protos.TensorProto{whole("first", 0), whole("order", 1, 2, 0),
		{Name: "w", DataType: int32(protos.TensorProto_FLOAT),
			Dims: []int64{1, 12}, FloatData: make([]float32, 12)}}
	const combines, each = "output y combines the examples of a batch, by ", "value q is not one of each of "
	for _, tc := range []struct {
		name, wrt, want string
		batch           int
		nodes           []*protos.NodeProto
	}{
		{"from the input", "", combines, 3, mean},
		{"from an inner value", "h", combines, 3, mean},
		{"from an inner value of one example", "h", combines, 1, mean},
		{"in another order", "", "output y has shape (Float32)[12, 12], whose first axis does not number", 12, square},
		{"from a value of all examples", "q", each + "3 examples", 3, shared},
		{"from a value of all examples, with one example", "q", each + "2 examples", 1, shared},
		{"through other positions", "", combines + "Gather of (Float32)[3, 12]", 3,
			[]*protos.NodeProto{node("Gather", "x order", "g"), node("Mul", "x g", "y")}},
		{"through computed positions", "", "cannot be followed through Gather of (Float32)[3, 12], because ", 3,
			[]*protos.NodeProto{node("ArgMin", "x", "a", number("axis", 1), number("keepdims", 0)), node("Gather", "x a", "g"),
				node("Mul", "x g", "y")}},
		{"of the shape alone", "", "output y has no derivative with respect to input x", 3,
			[]*protos.NodeProto{node("Shape", "x", "s"), node("ConstantOfShape", "s", "y")}},
		{"through a computed branch", "", "operator If (the y): its condition is computed from values of the inputs", 3,
			branches},
		{"from the input, told apart", "", "", 3, shared},
		{"from an inner value, told apart", "h", "", 3, square[:1:1]},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if tc.want == "" && tc.wrt == "h" {
				tc.nodes = append(tc.nodes, node("Tanh", "h", "y"))
			}
			m := load(t, network(t, weights, tc.nodes...))
			if err := m.SetWithRespectTo(tc.wrt); err != nil {
				t.Fatal(err)
			}
			input := []shapes.Shape{shapes.Make(dtypes.Float32, tc.batch, 12)}
			_, _, err := m.Check(gctest.GoBackend(t), m.ForwardAll, input, 1<<30)
			if (err == nil) != (tc.want == "") || err != nil && !strings.Contains(err.Error(), tc.want) {
				t.Errorf("error %v; want %q", err, tc.want)
			}
		})
	}
	m := load(t, network(t, weights, mean...))
	if err := m.SetWithRespectTo("y"); err == nil ||
		!strings.Contains(err.Error(), `output y is not computed from node "y"`) {
		t.Errorf("error %v for the output itself", err)
	}
}
