package docs

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute-onnx/support/protos"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/onnx-gomlx/onnx/parser"
	"github.com/pkg/errors"
	"google.golang.org/protobuf/proto"

	"github.com/geometric-complexity/toolkit/internal/gctest"
)

// importNode returns the first output of a node, the last one of a network whose input is x.
func importNode(backend compute.Backend, opset int64, x *tensors.Tensor, initializers []*protos.TensorProto,
	nodes ...*protos.NodeProto) (y *tensors.Tensor, err error) {
	typeOf := func(shape *protos.TensorShapeProto) *protos.TypeProto {
		return &protos.TypeProto{Value: &protos.TypeProto_TensorType{TensorType: &protos.TypeProto_Tensor{
			ElemType: int32(protos.TensorProto_FLOAT), Shape: shape}}}
	}
	shape := &protos.TensorShapeProto{}
	for _, dim := range x.Shape().Dimensions {
		shape.Dim = append(shape.Dim, &protos.TensorShapeProto_Dimension{
			Value: &protos.TensorShapeProto_Dimension_DimValue{DimValue: int64(dim)}})
	}
	output := nodes[len(nodes)-1].Output[0]
	raw, err := proto.Marshal(&protos.ModelProto{
		OpsetImport: []*protos.OperatorSetIdProto{{Version: opset}},
		Graph: &protos.GraphProto{Node: nodes, Initializer: initializers,
			Input:  []*protos.ValueInfoProto{{Name: "x", Type: typeOf(shape)}},
			Output: []*protos.ValueInfoProto{{Name: output, Type: typeOf(nil)}}},
	})
	if err != nil {
		return nil, err
	}
	imported, err := parser.Parse(raw)
	if err != nil {
		return nil, err
	}
	store := model.NewStore()
	if err := imported.VariablesToScope(store.RootScope()); err != nil {
		return nil, err
	}
	return model.CallOnce(backend, store, func(scope *model.Scope, x *Node) *Node {
		return imported.CallGraph(scope, x.Graph(), map[string]*Node{"x": x}, output)[0]
	}, x)
}

// onnxForm is a row of a report: a node that gets x and then constants, what ONNX says that it
// gives, and what the importer makes of it.
type onnxForm struct {
	opset        int64
	node         *protos.NodeProto
	x            any
	constants    []*protos.TensorProto
	initializers bool   // constants are initializers, and not Constant nodes
	want         string // as ONNX Runtime gives it
	seen         string // or the message of the error
}

// String is the node as the report writes it.
func (f *onnxForm) String() string {
	parts := []string{strings.ReplaceAll(fmt.Sprint(f.x), " ", ", ")}
	for _, c := range f.constants {
		values := fmt.Sprint(c.Int64Data)
		if c.FloatData != nil {
			values = fmt.Sprint(c.FloatData)
		}
		parts = append(parts, c.Name+"="+strings.ReplaceAll(values, " ", ", "))
	}
	for _, a := range f.node.Attribute {
		value := fmt.Sprint(a.I)
		switch a.Type {
		case protos.AttributeProto_INTS:
			value = strings.ReplaceAll(fmt.Sprint(a.Ints), " ", ", ")
		case protos.AttributeProto_FLOAT:
			value = fmt.Sprint(a.F)
		case protos.AttributeProto_STRING:
			value = string(a.S)
		}
		parts = append(parts, a.Name+"="+value)
	}
	name := f.node.OpType
	if f.node.Domain != "" {
		name = f.node.Domain + "." + name
	}
	return name + "(" + strings.Join(parts, ", ") + ")"
}

// run returns the values of the node to 6 digits, or the cause of the error in one line.
func (f *onnxForm) run(t *testing.T, backend compute.Backend) string {
	x, err := tensors.FromAnyValue(f.x)
	if err != nil {
		t.Fatal(err)
	}
	f.node.Input = []string{"x"}
	var before []*protos.NodeProto
	initializers := f.constants
	for _, c := range f.constants {
		f.node.Input = append(f.node.Input, c.Name)
		if !f.initializers {
			initializers = nil
			value := &protos.AttributeProto{Name: "value", Type: protos.AttributeProto_TENSOR, T: c}
			before = append(before, &protos.NodeProto{OpType: "Constant", Output: []string{c.Name},
				Attribute: []*protos.AttributeProto{value}})
		}
	}
	y, err := importNode(backend, f.opset, x, initializers, append(before, f.node)...)
	if err != nil {
		line, _, _ := strings.Cut(errors.Cause(err).Error(), "\n")
		line, _, _ = strings.Cut(line, " in node ") // The rest repeats the node.
		line, _, _ = strings.Cut(line, " in Node ")
		return strings.TrimSpace(line)
	}
	var values []string
	for _, v := range gctest.Flat(y) {
		values = append(values, fmt.Sprintf("%.6g", v))
	}
	return "[" + strings.Join(values, " ") + "]"
}

// onnxForms are the rows of both reports, in their order.
func onnxForms() []onnxForm {
	ints := func(name string, values ...int64) *protos.AttributeProto {
		return &protos.AttributeProto{Name: name, Type: protos.AttributeProto_INTS, Ints: values}
	}
	integer := func(name string, value int64) *protos.AttributeProto {
		return &protos.AttributeProto{Name: name, Type: protos.AttributeProto_INT, I: value}
	}
	float := func(name string, value float32) *protos.AttributeProto {
		return &protos.AttributeProto{Name: name, Type: protos.AttributeProto_FLOAT, F: value}
	}
	text := func(name, value string) *protos.AttributeProto {
		return &protos.AttributeProto{Name: name, Type: protos.AttributeProto_STRING, S: []byte(value)}
	}
	node := func(op string, attributes ...*protos.AttributeProto) *protos.NodeProto {
		return &protos.NodeProto{OpType: op, Attribute: attributes, Output: []string{"y"}}
	}
	integers := func(name string, values ...int64) *protos.TensorProto {
		return &protos.TensorProto{Name: name, DataType: int32(protos.TensorProto_INT64),
			Dims: []int64{int64(len(values))}, Int64Data: values}
	}
	floats := func(name string, values ...float32) *protos.TensorProto {
		return &protos.TensorProto{Name: name, DataType: int32(protos.TensorProto_FLOAT),
			Dims: []int64{int64(len(values))}, FloatData: values}
	}
	shaped := func(t *protos.TensorProto, dims ...int64) *protos.TensorProto {
		t.Dims = dims
		return t
	}
	type constants = []*protos.TensorProto
	row := [][][]float32{{{1, 2, 3, 4}}} // [batch, channels, width]
	image := [][][][]float32{{{{0, 1, 0, 0}}}}
	statistics := constants{floats("scale", 1), floats("bias", 0), floats("mean", 0), floats("var", 1)}
	scales := func(x float32) constants { return constants{floats("roi"), floats("scales", 1, 1, 1, x)} }
	asymmetric := text("coordinate_transformation_mode", "asymmetric")
	foreign := node("Relu")
	foreign.Domain = "my.functions"
	const unimplemented = "support for attribute '%s' is not yet implemented"
	return []onnxForm{
		{13, node("Slice"), []float32{1, 2, 3}, constants{integers("starts", -1), integers("ends", math.MinInt64),
			integers("axes", 0), integers("steps", -1)}, true, "[3 2 1]", "[]"},
		{12, node("MaxPool", ints("kernel_shape", 2)), row, nil, false, "[2 3 4]", "[2 4]"},
		{12, node("AveragePool", ints("kernel_shape", 2)), row, nil, false, "[1.5 2.5 3.5]", "[1.5 3.5]"},
		{6, node("Clip", float("min", 0), float("max", 6)), []float32{-1, 7}, nil, false, "[0 6]", "[-1 7]"},
		{12, node("Softmax"), [][][]float32{{{0}, {0}}}, nil, false, "[0.5 0.5]", "[1 1]"},
		{13, node("Resize", text("mode", "cubic"), asymmetric), image, scales(2), false,
			"[0 0.59375 1 0.59375 0 -0.09375 0 0]", "[0 0.5 1 0.5 0 0 0 0]"},
		{18, node("Resize", text("mode", "linear"), integer("antialias", 1)), image, scales(0.5), false,
			"[0.375 0.125]", "[0.5 0]"},
		{13, node("Resize", text("nearest_mode", "ceil"), asymmetric), image, scales(2), false, "[0 1 1 0 0 0 0 0]",
			"[0 0 1 1 0 0 0 0]"},
		{10, node("Resize"), image, constants{floats("scales", 1, 1, 1, 2)}, false, "[0 0 1 1 0 0 0 0]", "[0 1 0 0]"},
		{20, node("Gelu", text("approximate", "tanh")), []float32{-2}, nil, false, "[-0.0454023]", "[-0.0455001]"},
		{18, node("Pad"), [][]float32{{1, 2}}, constants{integers("pads", 0, 0, 1, 0), shaped(floats("value", 0)),
			integers("axes", 1, 0)}, true, "[1 2 0]", "[1 2 0 0]"},
		{13, node("Pad", text("mode", "reflect")), []float32{1, 2, 3}, constants{integers("pads", -1, 1)}, true, "[2 3 2]",
			"[1 2 3 2]"},
		{13, node("ArgMax", integer("select_last_index", 1)), []float32{5, 5}, nil, false, "[1]", "[0]"},
		{13, foreign, []float32{-1, 1}, nil, false, "an error", "[0 1]"},

		{13, node("Resize", asymmetric), image, scales(2), true, "[0 0 1 1 0 0 0 0]", "cannot materialize constant/static " +
			`value for "scales": it depends on non-constant: inputs=[], variables: "scales" ((Float32)[4]), ops with context:`},
		{12, node("MaxPool", ints("kernel_shape", 2), ints("strides", 2), ints("dilations", 1)), row, nil, false, "[2 4]",
			"MaxPool: " + fmt.Sprintf(unimplemented, "dilations")},
		{12, node("AveragePool", ints("kernel_shape", 2), ints("strides", 2), integer("count_include_pad", 1)), row, nil,
			false, "[1.5 3.5]", "AveragePool: " + fmt.Sprintf(unimplemented, "count_include_pad")},
		{12, node("MaxPool", ints("kernel_shape", 2), ints("strides", 2), integer("ceil_mode", 1)), row, nil, false,
			"[2 4]", "MaxPool: " + fmt.Sprintf(unimplemented, "ceil_mode")},
		{13, node("BatchNormalization", float("momentum", 0.99)), [][]float32{{1}, {3}}, statistics, true,
			"[0.999995 2.99998]", "BatchNormalization: " + fmt.Sprintf(unimplemented, "momentum")},
		{12, node("Conv", text("auto_pad", "VALID")), row, constants{shaped(floats("w", 1), 1, 1, 1)}, true, "[1 2 3 4]",
			"Conv: support for attribute 'auto_pad' (VALID) is not yet implemented"},
		{13, node("LSTM", integer("hidden_size", 1)), [][][]float32{{{1}}},
			constants{shaped(floats("w", 1, 1, 1, 1), 1, 4, 1),
				shaped(floats("r", 1, 1, 1, 1), 1, 4, 1)}, true, "[0.369606]", "Node is nil"},
		{17, node("LayerNormalization", integer("axis", 1)), [][][]float32{{{1, 2}, {3, 4}}},
			constants{floats("scale", 1, 1)}, true, "[-1.34164 -0.447212 0.447212 1.34164]", "LayerNormalization: scale tensor has insufficient dimensions " +
				"(rank=1) for input rank=3 and axis=1"},
		{13, node("Einsum", text("equation", "ij->i")), [][]float32{{1, 2}, {3, 4}}, nil, false, "[3 7]",
			`Einsum node "" has 1 inputs, but GoMLX only supports exactly 2 operands`},
		{10, node("Pad", ints("pads", 0, 1)), []float32{1}, nil, false, "[1 0]",
			"runtime error: index out of range [1] with length 1"},
		{9, node("Slice", ints("starts", 1), ints("ends", 2)), []float32{1, 2}, nil, false, "[2]",
			`Slice requires at least 3 inputs, got 1`},
		{12, node("Dropout"), []float32{1}, nil, false, "[1]",
			`unimplemented ONNX op "Dropout"`},
		{13, node("Pow"), []float32{2}, constants{floats("exponents", slices.Repeat([]float32{1}, 32)...)}, false,
			"[2" + strings.Repeat(" 2", 31) + "]",
			"runtime error: invalid memory address or nil pointer dereference"},
	}
}

// TestUpstreamONNX runs every row of the reports. If it fails, the form is mended upstream: delete
// the row, and let package onnxmodel leave the form to the importer.
func TestUpstreamONNX(t *testing.T) {
	page := pages(t)["upstream.md"]
	b := gctest.GoBackend(t)
	for _, f := range onnxForms() {
		if got := f.run(t, b); got != f.seen {
			t.Errorf("%s: the importer gives %s; the report says %s", f.String(), got, f.seen)
		}
		row := fmt.Sprintf("| `%s` | %d | %s | %s |", f.String(), f.opset, f.want, f.seen)
		if !strings.Contains(page, row) {
			t.Errorf("upstream.md lacks the row %s", row)
		}
	}
}
