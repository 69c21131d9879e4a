package onnxmodel

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute-onnx/support/protos"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/onnx-gomlx/onnx"
	"google.golang.org/protobuf/proto"

	"github.com/geometric-complexity/toolkit/gcml"
	"github.com/geometric-complexity/toolkit/internal/gctest"
)

// reference is what testdata/export.py wrote of a network: PyTorch's Jacobians
// in float64.
type reference struct {
	GC        float64   `json:"gc"`
	StdErr    float64   `json:"stderr"`
	Softmax   float64   `json:"gc_softmax"`
	PerClass  []float64 `json:"per_class"`
	Examples  int       `json:"examples"`
	Inputs    int       `json:"inputs"`
	Outputs   int       `json:"outputs"`
	Operators []string  `json:"operators"`
}

func testdata(name string) string { return filepath.Join("testdata", name) }

func load(t *testing.T, path string) *Model {
	t.Helper()
	m, err := Load(path)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// arrays has the examples of a network, in batches of 4 with a short last one;
// in one batch for the largest network, as XLA compiles it for each size.
func arrays(t *testing.T, m *Model, name string) *Arrays {
	t.Helper()
	inputs, err := ReadArray(testdata(name+"_x.npy"), m.InputName(), 1<<30)
	if err != nil {
		t.Fatal(err)
	}
	labels, err := ReadArray(testdata(name+"_y.npy"), "labels", 1<<30)
	if err != nil {
		t.Fatal(err)
	}
	batch := 4
	if name == "resnet18" {
		batch = inputs.Shape().Dimensions[0]
	}
	ds, err := NewArrays(name, []Column{{Values: inputs, DType: m.InputShape().DType}}, labels, 0, batch)
	if err != nil {
		t.Fatal(err)
	}
	return ds
}

func measure(t *testing.T, b compute.Backend, m *Model, name string, opts ...gcml.Option) gcml.Result {
	t.Helper()
	r, err := gcml.Measure(context.Background(), b, m.Store, m.Forward, arrays(t, m, name), opts...)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestAgainstPyTorch(t *testing.T) {
	// The networks together must go through what the importer is trusted with.
	var operators []string
	for _, name := range []string{"mlp", "convnet", "resnet18"} {
		raw, err := os.ReadFile(testdata(name + ".json"))
		if err != nil {
			t.Fatal(err)
		}
		var want reference
		if err := json.Unmarshal(raw, &want); err != nil {
			t.Fatal(err)
		}
		operators = append(operators, want.Operators...)
		t.Run(name, func(t *testing.T) {
			gctest.ForEachBackend(t, func(t *testing.T, b compute.Backend) {
				m := load(t, testdata(name+".onnx"))
				r := measure(t, b, m, name, gcml.WithPerClass())
				if r.Examples != want.Examples || r.Inputs != want.Inputs || r.Outputs != want.Outputs {
					t.Errorf("measured %d examples of a Jacobian %d x %d; want %d, %d x %d",
						r.Examples, r.Outputs, r.Inputs, want.Examples, want.Outputs, want.Inputs)
				}
				var perClass []float64
				for _, c := range r.PerClass {
					perClass = append(perClass, c.GC)
				}
				gctest.AssertClose(t, []float64{r.GC}, []float64{want.GC}, 1e-4, 0, "GC")
				gctest.AssertClose(t, []float64{float64(r.StdErr)}, []float64{want.StdErr}, 1e-3, 0, "standard error")
				gctest.AssertClose(t, perClass, want.PerClass, 1e-4, 0, "GC per class")
				softmax := measure(t, b, m, name, gcml.WithTransform(func(x *graph.Node) *graph.Node { return graph.Softmax(x) }))
				gctest.AssertClose(t, []float64{softmax.GC}, []float64{want.Softmax}, 1e-4, 0, "GC of the probabilities")
			})
		})
	}
	for _, op := range []string{"BatchNormalization", "Conv", "Gemm", "GlobalAveragePool", "MaxPool", "Relu", "Tanh"} {
		if !slices.Contains(operators, op) {
			t.Errorf("no network has the operator %s", op)
		}
	}
}

func TestInnerNode(t *testing.T) {
	gctest.ForEachBackend(t, func(t *testing.T, b compute.Backend) {
		m := load(t, testdata("mlp.onnx"))
		// The first layer is linear: its GC is the sum of its squared weights.
		value, err := m.Store.RootScope().At(onnx.ModelScope).GetVariable("0.weight").Value()
		if err != nil {
			t.Fatal(err)
		}
		want := 0.0
		for _, row := range value.Value().([][]float32) {
			for _, w := range row {
				want += float64(w) * float64(w)
			}
		}
		for _, name := range []string{"linear", "node_linear"} {
			if err := m.SetOutput(name); err != nil {
				t.Fatal(err)
			}
			r := measure(t, b, m, "mlp")
			gctest.AssertClose(t, []float64{r.GC}, []float64{want}, 1e-5, 0, "GC of "+name)
		}
	})
}

// changed writes a network of testdata with a change, and returns its path.
func changed(t *testing.T, name string, change func(*protos.ModelProto)) string {
	t.Helper()
	raw, err := os.ReadFile(testdata(name))
	if err != nil {
		t.Fatal(err)
	}
	var file protos.ModelProto
	if err := proto.Unmarshal(raw, &file); err != nil {
		t.Fatal(err)
	}
	change(&file)
	if raw, err = proto.Marshal(&file); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), filepath.Base(name))
	if err := os.WriteFile(path, raw, 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestWeightsAmongInputs(t *testing.T) {
	b := gctest.GoBackend(t)
	want := measure(t, b, load(t, testdata("mlp.onnx")), "mlp")
	path := changed(t, "mlp.onnx", func(file *protos.ModelProto) {
		weight := proto.Clone(file.Graph.Input[0]).(*protos.ValueInfoProto)
		weight.Name = file.Graph.Initializer[0].Name
		file.Graph.Input = append(file.Graph.Input, weight)
	})
	if got := measure(t, b, load(t, path), "mlp"); got.GC != want.GC {
		t.Errorf("GC %g; want %g", got.GC, want.GC)
	}
}

func TestFixedBatchSize(t *testing.T) {
	first := func(string) int { return 0 }
	if n, err := load(t, testdata("mlp.onnx")).BatchSize(first); n != 0 || err != nil {
		t.Errorf("batch size %d of a network that takes any, error %v", n, err)
	}
	path := changed(t, "mlp.onnx", func(file *protos.ModelProto) {
		dim := file.Graph.Input[0].Type.GetTensorType().Shape.Dim[0]
		dim.Value = &protos.TensorShapeProto_Dimension_DimValue{DimValue: 5}
	})
	if n, err := load(t, path).BatchSize(first); n != 5 || err != nil {
		t.Errorf("batch size %d, error %v; want 5", n, err)
	}
	// The other inputs have examples too.
	for _, tc := range []struct {
		rows map[string]int64
		want int
	}{{map[string]int64{"mask": 4}, 4}, {map[string]int64{"x": 3, "b": 3}, 3}, {map[string]int64{"x": 3, "mask": 4}, -1}} {
		m := load(t, changed(t, "masked.onnx", func(file *protos.ModelProto) {
			for _, in := range file.Graph.Input {
				if rows := tc.rows[in.Name]; rows > 0 {
					in.Type.GetTensorType().Shape.Dim[0].Value = &protos.TensorShapeProto_Dimension_DimValue{DimValue: rows}
				}
			}
		}))
		n, err := m.BatchSize(first)
		if tc.want >= 0 && (n != tc.want || err != nil) ||
			tc.want < 0 && (err == nil || !strings.Contains(err.Error(), "want the same number of examples")) {
			t.Errorf("%v: batch size %d, error %v; want %d", tc.rows, n, err, tc.want)
		}
	}
}

func TestSimplify(t *testing.T) {
	ints := func(name string, values ...int64) *protos.AttributeProto {
		return &protos.AttributeProto{Name: name, Ints: values}
	}
	number := func(name string, value int64) *protos.AttributeProto {
		return &protos.AttributeProto{Name: name, I: value}
	}
	for _, tc := range []struct {
		name, op, want string
		attributes     []*protos.AttributeProto
	}{
		{"momentum of batch norm", "BatchNormalization", "training_mode",
			[]*protos.AttributeProto{number("training_mode", 0), number("momentum", 3)}},
		{"batch norm in training", "BatchNormalization", "training_mode momentum",
			[]*protos.AttributeProto{number("training_mode", 1), number("momentum", 3)}},
		{"dilated convolution", "Conv", "dilations", []*protos.AttributeProto{ints("dilations", 1, 1)}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			n := &protos.NodeProto{OpType: tc.op, Attribute: tc.attributes}
			if err := simplify(&protos.GraphProto{Node: []*protos.NodeProto{n}}); err != nil {
				t.Fatal(err)
			}
			var left []string
			for _, a := range n.Attribute {
				left = append(left, a.Name)
			}
			if got := strings.Join(left, " "); got != tc.want {
				t.Errorf("left %q; want %q", got, tc.want)
			}
		})
	}
}

func TestRefusedFiles(t *testing.T) {
	dir := t.TempDir()
	noise := filepath.Join(dir, "noise.onnx")
	if err := os.WriteFile(noise, []byte("this is text\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct{ name, path, want string }{
		{"missing", filepath.Join(dir, "none.onnx"), "cannot be read: no such file"},
		{"text", noise, "not an ONNX model"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := Load(tc.path)
			if err == nil || !strings.Contains(err.Error(), tc.want) || !strings.HasPrefix(err.Error(), tc.path) {
				t.Errorf("error %v; want the path and %q", err, tc.want)
			}
		})
	}
}

func TestRefusedOperators(t *testing.T) {
	b := gctest.GoBackend(t)
	t.Run("not supported", func(t *testing.T) {
		m := load(t, testdata("unknown_operator.onnx"))
		_, _, err := m.Check(b, m.ForwardAll, []shapes.Shape{shapes.Make(dtypes.Float32, 2, 12)}, 1<<30)
		if err == nil || !strings.Contains(err.Error(), `operator Bernoulli (`) {
			t.Errorf("error %v; want the operator's name", err)
		}
	})
	t.Run("no gradient", func(t *testing.T) {
		m := load(t, testdata("no_gradient.onnx"))
		outputs, bytes, err := m.Check(b, m.ForwardAll, []shapes.Shape{shapes.Make(dtypes.Float32, 2, 12)}, 1<<30)
		if err != nil || outputs != 2 || bytes < 2*4*(2+2) { // The outputs, and what Floor takes, in float32.
			t.Fatalf("%d outputs, values of %g bytes, error %v; want 2 outputs, and 32 bytes or more", outputs, bytes, err)
		}
		if r := measure(t, b, m, "mlp"); r.GC != 0 {
			t.Errorf("GC %g; want 0", r.GC)
		}
		if notes := m.Notes(); len(notes) != 1 || !strings.HasPrefix(notes[0], "operator Floor (/1/Floor) is constant") {
			t.Errorf("notes %q", notes)
		}
		if notes := load(t, testdata("mlp.onnx")).Notes(); len(notes) > 0 {
			t.Errorf("notes %q of a network that has none", notes)
		}
	})
	t.Run("unknown node", func(t *testing.T) {
		m := load(t, testdata("mlp.onnx"))
		if err := m.SetOutput("tahn"); err == nil || !strings.Contains(err.Error(), `did you mean "tanh"?`) {
			t.Errorf("error %v", err)
		}
		if err := m.SetOutput("pooling"); err == nil ||
			!strings.Contains(err.Error(), "logits, tanh, linear_1, relu, linear") {
			t.Errorf("error %v", err)
		}
	})
}
