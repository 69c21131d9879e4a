package onnxmodel

import (
	"slices"
	"strings"
	"testing"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute-onnx/support/protos"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/geometric-complexity/toolkit/gcml"
	"github.com/geometric-complexity/toolkit/internal/gctest"
)

// spectra are the cases of variants/index.json with these models.
func spectra(t *testing.T, models ...string) (cases []caseOf) {
	t.Helper()
	for _, tc := range readCases(t, "variants/index.json") {
		if slices.Contains(models, strings.TrimSuffix(tc.Model, ".onnx")) {
			cases = append(cases, tc)
		}
	}
	if len(cases) != len(models) {
		t.Fatalf("%d cases for %v", len(cases), models)
	}
	return cases
}

// TestSpectraInBatches: the GC of three examples is that of ONNX's evaluator, however they are
// divided into batches.
func TestSpectraInBatches(t *testing.T) {
	for _, tc := range spectra(t, "logmel17", "stft17_one_frame", "dft17_images") {
		t.Run(tc.Model, func(t *testing.T) {
			gctest.ForEachBackend(t, func(t *testing.T, b compute.Backend) {
				for _, tc.Batch = range []int{1, 2, 3} {
					tc.check(t, b)
				}
			})
		})
	}
}

// TestDerivativesOfSpectra: the gradient of the GC is that of central differences, also with
// respect to weights between two transforms.
func TestDerivativesOfSpectra(t *testing.T) {
	for _, tc := range spectra(t, "logmel17", "dft20_filter") {
		t.Run(tc.Model, func(t *testing.T) {
			gctest.ForEachBackend(t, func(t *testing.T, b compute.Backend) {
				m := load(t, testdata("variants/"+tc.Model))
				report, err := gcml.CheckSecondDerivatives(b, m.Store, m.Forward, []*tensors.Tensor{tc.inputs(t, m)})
				if err != nil {
					t.Fatal(err)
				}
				if !report.OK() {
					t.Error(report)
				}
			})
		})
	}
}

// TestSpectraOf16Bits: windows and bands of float16 are computed in float32, as such networks are.
func TestSpectraOf16Bits(t *testing.T) {
	tc := spectra(t, "logmel20_single")[0]
	m := load(t, changed(t, "variants/"+tc.Model, func(file *protos.ModelProto) {
		for _, n := range file.Graph.Node {
			if a := attribute(n, "output_datatype"); a != nil {
				a.I = int64(protos.TensorProto_FLOAT16)
			}
		}
	}))
	gc, err := tc.measureModel(t, gctest.GoBackend(t), m)
	if err != nil {
		t.Fatal(err)
	}
	gctest.AssertClose(t, []float64{gc}, []float64{tc.GC}, tc.Tolerance, 0, "GC")
}
