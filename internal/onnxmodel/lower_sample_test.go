package onnxmodel

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/gomlx/compute"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/geometric-complexity/toolkit/gcml"
	"github.com/geometric-complexity/toolkit/internal/gctest"
)

// variant is a case of variants/index.json.
func variant(t *testing.T, name string) caseOf {
	t.Helper()
	cases := readCases(t, "variants/index.json")
	i := slices.IndexFunc(cases, func(tc caseOf) bool { return tc.Model == name+".onnx" })
	if i < 0 {
		t.Fatalf("no case %s", name)
	}
	return cases[i]
}

// TestSamplingInBatches: the examples of GridSample and AffineGrid keep apart in batches of any
// size, those that are merged with heads too.
func TestSamplingInBatches(t *testing.T) {
	gctest.ForEachBackend(t, func(t *testing.T, b compute.Backend) {
		names := []string{"gridsample20_heads", "affinegrid20_2d_1", "gridsample22_3d_linear_border_1"}
		if b.Name() != gctest.GoBackend(t).Name() {
			names = names[:1] // XLA compiles each.
		}
		for _, name := range names {
			for batch := 1; batch <= 3; batch++ {
				t.Run(fmt.Sprintf("%s in batches of %d", name, batch), func(t *testing.T) {
					tc := variant(t, name)
					tc.Batch = batch
					tc.check(t, b)
				})
			}
		}
	})
}

// TestSamplingTwice compares the gradients of the GC with central differences: with respect to the
// grid, and to the matrices that it is computed from.
func TestSamplingTwice(t *testing.T) {
	for _, name := range []string{"gridsample20_linear_reflection_0", "gridsample20_cubic_border_1",
		"gridsample22_3d_linear_border_1", "gridsample20_heads", "affinegrid20_2d_1"} {
		t.Run(name, func(t *testing.T) {
			tc := variant(t, name)
			m := load(t, testdata("variants/"+name+".onnx"))
			report, err := gcml.CheckSecondDerivatives(gctest.GoBackend(t), m.Store, m.Forward,
				[]*tensors.Tensor{tc.inputs(t, m)})
			if err != nil {
				t.Fatal(err)
			}
			if !report.OK() || !strings.Contains(report.String(), "gradient of") {
				t.Error(report)
			}
		})
	}
}

// TestSamplingNotes: a grid that is computed from the input has no effect on derivatives in mode
// nearest.
func TestSamplingNotes(t *testing.T) {
	for name, want := range map[string]int{"gridsample20_nearest_zeros_0": 1, "gridsample20_linear_zeros_0": 0} {
		notes := load(t, testdata("variants/"+name+".onnx")).Notes()
		if len(notes) != want || want > 0 && !strings.HasSuffix(notes[0], "derivatives through its grid are 0") {
			t.Errorf("%s: notes %q", name, notes)
		}
	}
}
