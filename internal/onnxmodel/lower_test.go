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
	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/geometric-complexity/toolkit/gcml"
	"github.com/geometric-complexity/toolkit/internal/gctest"
)

// caseOf is an entry of cases/index.json, of forms.json that forms.py writes, or of
// variants/index.json that variants.py writes: a small network, and its GC by central differences
// of ONNX Runtime or its reference evaluator, or by PyTorch's float64 Jacobian.
type caseOf struct {
	Model     string  `json:"model"`
	Inputs    string  `json:"inputs"`
	GC        float64 `json:"gc"`
	Tolerance float64 `json:"tolerance"`
	Batch     int     `json:"batch"`
	// Refused is part of the message, where the form is not supported.
	Refused string `json:"refused"`
	// Always is whether the case is tested without GCML_ONNX_SUITE too.
	Always bool `json:"always"`
	// XLA is whether it is tested on XLA then, too.
	XLA bool `json:"xla"`

	folder string
}

// readCases reads the cases of a file in testdata.
func readCases(t *testing.T, index string) []caseOf {
	t.Helper()
	raw, err := os.ReadFile(testdata(index))
	if err != nil {
		t.Fatal(err)
	}
	var cases []caseOf
	if err := json.Unmarshal(raw, &cases); err != nil {
		t.Fatal(err)
	}
	for i := range cases {
		cases[i].folder = filepath.Dir(index)
	}
	return cases
}

// TestFormsOfOperators: a form of an operator is measured rightly, or refused by name.
func TestFormsOfOperators(t *testing.T) {
	for _, index := range []string{"cases/index.json", "cases/forms.json", "cases/sklearn.json"} {
		for _, tc := range readCases(t, index) {
			t.Run(strings.TrimSuffix(tc.Model, ".onnx")+"/"+strings.TrimSuffix(tc.Inputs, ".npy"), func(t *testing.T) {
				gctest.ForEachBackend(t, func(t *testing.T, b compute.Backend) { tc.check(t, b) })
			})
		}
	}
}

// TestVariants does so for old opsets, and attributes and inputs that are left out: all with
// GCML_ONNX_SUITE, else those that were wrong or refused once and one in eight of the others, and
// on XLA, which compiles each, those that only XLA refused and one in thirty-two.
func TestVariants(t *testing.T) {
	cases := readCases(t, "variants/index.json")
	if len(cases) < 100 {
		t.Fatalf("only %d cases", len(cases))
	}
	whole := os.Getenv("GCML_ONNX_SUITE") != ""
	goBackend, xla := gctest.GoBackend(t), gctest.XLABackend(t)
	for i, tc := range cases {
		if !whole && !tc.Always && i%8 != 0 {
			continue
		}
		t.Run(strings.TrimSuffix(tc.Model, ".onnx"), func(t *testing.T) {
			tc.check(t, goBackend)
			if (whole || tc.XLA || i%32 == 0) && xla != nil {
				tc.check(t, xla)
			}
		})
	}
}

// TestUnshapedInputs: a file whose input has no shape is rewritten by the rank of the array.
func TestUnshapedInputs(t *testing.T) {
	for _, tc := range readCases(t, "variants/index.json") {
		if !slices.Contains([]string{"softmax11_negative2.onnx", "topk_axis1.onnx", "einsum_ones_ellipsis.onnx"}, tc.Model) {
			continue
		}
		t.Run(strings.TrimSuffix(tc.Model, ".onnx"), func(t *testing.T) {
			m := load(t, changed(t, filepath.Join(tc.folder, tc.Model), func(file *protos.ModelProto) {
				file.Graph.Input[0].Type.GetTensorType().Shape = nil
			}))
			if err := m.SetRank(0, tc.inputs(t, m).Rank()); err != nil {
				t.Fatal(err)
			}
			gc, err := tc.measureModel(t, gctest.GoBackend(t), m)
			if err != nil {
				t.Fatal(err)
			}
			gctest.AssertClose(t, []float64{gc}, []float64{tc.GC}, tc.Tolerance, 0, "GC")
		})
	}
}

// TestIndicesOfAnotherBatch: a file that was exported for three examples has indices of three.
func TestIndicesOfAnotherBatch(t *testing.T) {
	for _, name := range []string{"scatterel_add", "gatherel_neg"} {
		m := load(t, testdata("variants/"+name+".onnx"))
		for batch, refused := range map[int]bool{2: true, 3: false} {
			shape := m.InputShape().Clone()
			shape.Dimensions[0] = batch
			_, _, err := m.Check(gctest.GoBackend(t), m.ForwardAll, []shapes.Shape{shape}, 1<<30)
			if (err != nil) != refused ||
				refused && !strings.Contains(err.Error(), "its indices have more places along an axis") {
				t.Errorf("%s: error %v for %d examples", name, err, batch)
			}
		}
	}
}

func (tc *caseOf) check(t *testing.T, b compute.Backend) {
	t.Helper()
	path := testdata(filepath.Join(tc.folder, tc.Model))
	gc, err := tc.measure(t, b, path)
	if tc.Refused == "" {
		if err != nil {
			t.Fatal(err)
		}
		gctest.AssertClose(t, []float64{gc}, []float64{tc.GC}, tc.Tolerance, 0, "GC")
		return
	}
	if err == nil || !strings.Contains(err.Error(), tc.Refused) || strings.Contains(err.Error(), "\n") {
		t.Errorf("GC %g, error %v; want one line with %q", gc, err, tc.Refused)
	}
}

// measure measures the network at a path, on the inputs of the case.
func (tc *caseOf) measure(t *testing.T, b compute.Backend, path string) (gc float64, err error) {
	t.Helper()
	m, err := Load(path)
	if err != nil {
		return 0, err
	}
	return tc.measureModel(t, b, m)
}

func (tc *caseOf) measureModel(t *testing.T, b compute.Backend, m *Model) (gc float64, err error) {
	t.Helper()
	inputs := tc.inputs(t, m)
	shape := inputs.Shape().Clone()
	shape.DType = m.InputShape().DType
	if _, _, err := m.Check(b, m.ForwardAll, []shapes.Shape{shape}, 1<<30); err != nil {
		return 0, err
	}
	ds, err := NewArrays(tc.Model, []Column{{Values: inputs, DType: m.InputShape().DType}}, nil, 0, tc.Batch)
	if err != nil {
		t.Fatal(err)
	}
	r, err := gcml.Measure(context.Background(), b, m.Store, m.Forward, ds)
	return r.GC, err
}

func (tc *caseOf) inputs(t *testing.T, m *Model) *tensors.Tensor {
	t.Helper()
	inputs, err := ReadArray(testdata(filepath.Join(tc.folder, tc.Inputs)), m.InputName(), 1<<30)
	if err != nil {
		t.Fatal(err)
	}
	return inputs
}

// TestRefusedDomain: a function of a file may have the name of an operator that the importer knows.
func TestRefusedDomain(t *testing.T) {
	path := changed(t, "mlp.onnx", func(file *protos.ModelProto) { file.Graph.Node[0].Domain = "my.functions" })
	assertRefused(t, path, `it is of the domain "my.functions"`)
}
