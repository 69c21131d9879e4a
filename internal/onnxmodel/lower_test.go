package onnxmodel

import (
	"context"
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute-onnx/support/protos"

	"github.com/geometric-complexity/toolkit/gcml"
	"github.com/geometric-complexity/toolkit/internal/gctest"
)

// caseOf is an entry of testdata/cases/index.json, or of forms.json that forms.py writes: a small
// network, and its GC by central differences of ONNX Runtime or its reference evaluator, or by
// PyTorch's float64 Jacobian.
type caseOf struct {
	Model     string  `json:"model"`
	Inputs    string  `json:"inputs"`
	GC        float64 `json:"gc"`
	Tolerance float64 `json:"tolerance"`
	Batch     int     `json:"batch"`
	// Refused is part of the message, where the form is not supported.
	Refused string `json:"refused"`
}

// TestFormsOfOperators: a form of an operator is measured rightly, or refused by name.
func TestFormsOfOperators(t *testing.T) {
	var cases []caseOf
	for _, index := range []string{"cases/index.json", "cases/forms.json", "cases/sklearn.json"} {
		raw, err := os.ReadFile(testdata(index))
		if err != nil {
			t.Fatal(err)
		}
		var some []caseOf
		if err := json.Unmarshal(raw, &some); err != nil {
			t.Fatal(err)
		}
		cases = append(cases, some...)
	}
	for _, tc := range cases {
		t.Run(strings.TrimSuffix(tc.Model, ".onnx")+"/"+strings.TrimSuffix(tc.Inputs, ".npy"), func(t *testing.T) {
			if tc.Refused != "" {
				assertRefused(t, testdata("cases/"+tc.Model), tc.Refused)
				return
			}
			gctest.ForEachBackend(t, func(t *testing.T, b compute.Backend) {
				gctest.AssertClose(t, []float64{gcOfCase(t, b, tc)}, []float64{tc.GC}, tc.Tolerance, 0, "GC")
			})
		})
	}
}

func gcOfCase(t *testing.T, b compute.Backend, tc caseOf) float64 {
	t.Helper()
	return gcOf(t, b, load(t, testdata("cases/"+tc.Model)), tc)
}

// gcOf measures a network, on the inputs of a case.
func gcOf(t *testing.T, b compute.Backend, m *Model, tc caseOf) float64 {
	t.Helper()
	inputs, err := ReadArray(testdata("cases/"+tc.Inputs), m.InputName(), 1<<30)
	if err != nil {
		t.Fatal(err)
	}
	ds, err := NewArrays(tc.Model, []Column{{Values: inputs, DType: m.InputShape().DType}}, nil, 0, tc.Batch)
	if err != nil {
		t.Fatal(err)
	}
	r, err := gcml.Measure(context.Background(), b, m.Store, m.Forward, ds)
	if err != nil {
		t.Fatal(err)
	}
	return r.GC
}

// TestRefusedDomain: a function of a file may have the name of an operator that the importer knows.
func TestRefusedDomain(t *testing.T) {
	path := changed(t, "mlp.onnx", func(file *protos.ModelProto) { file.Graph.Node[0].Domain = "my.functions" })
	assertRefused(t, path, `it is of the domain "my.functions"`)
}
