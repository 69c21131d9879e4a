package onnxmodel

import (
	"strings"
	"testing"

	"github.com/gomlx/gomlx/core/tensors"
)

// TestCheckIndices: the table of this network has 10 rows.
func TestCheckIndices(t *testing.T) {
	m := load(t, testdata("tokens.onnx"))
	for last, want := range map[int64]string{
		0: "", 9: "", -10: "",
		10:  "the value 10 for input ids selects beyond the 10 rows",
		-11: "the value -11 for input ids selects beyond",
	} {
		err := m.CheckIndices(0, tensors.FromValue([][]int64{{0, 1, 2, 3, last}}))
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%d: error %v; want %q", last, err, want)
		}
	}
	if err := load(t, testdata("mlp.onnx")).CheckIndices(0, tensors.FromValue([][]int64{{100}})); err != nil {
		t.Errorf("an input that selects nothing: %v", err)
	}
}
