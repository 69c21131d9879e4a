package onnxmodel

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/core/tensors/numpy"
)

func TestArrays(t *testing.T) {
	inputs := tensors.FromFlatDataAndDimensions([]uint8{0, 1, 2, 3, 4, 255}, 3, 2)
	labels := tensors.FromFlatDataAndDimensions([]int64{7, 8, 9}, 3, 1)
	ds, err := NewArrays("a", []Column{{Values: inputs, DType: dtypes.Float32}}, labels, 0, 2)
	if err != nil {
		t.Fatal(err)
	}
	var rows [][]float32
	var classes []int32
	for batch, err := range ds.Iter() {
		if err != nil {
			t.Fatal(err)
		}
		rows = append(rows, batch.Inputs[0].Value().([][]float32)...)
		classes = append(classes, batch.Labels[0].Value().([]int32)...)
	}
	if !slices.EqualFunc(rows, [][]float32{{0, 1}, {2, 3}, {4, 255}}, slices.Equal) ||
		!slices.Equal(classes, []int32{7, 8, 9}) {
		t.Errorf("rows %v, classes %v", rows, classes)
	}
	if ds, err = NewArrays("a", []Column{{Values: inputs, DType: dtypes.Float64}}, nil, 1, 2); err != nil ||
		ds.NumExamples() != 1 {
		t.Errorf("first example: %v, %v", ds, err)
	}
}

func TestRefusedArrays(t *testing.T) {
	inputs := tensors.FromFlatDataAndDimensions([]float32{1, 2, 3, 4}, 2, 2)
	for _, tc := range []struct {
		name, want     string
		inputs, labels *tensors.Tensor
		dtype          dtypes.DType
		n              int
	}{
		{"too few", "there are 2 examples, and 3 were asked for", inputs, nil, dtypes.Float32, 3},
		{"scalar", "holds no examples", tensors.FromValue(float32(1)), nil, dtypes.Float32, 0},
		{"labels of floats", "want one whole number for each of the 2 examples", inputs, inputs, dtypes.Float32, 0},
		{"labels in rows", "its labels have the shape (Int32)[1, 2]", inputs, tensors.FromValue([][]int32{{1, 2}}),
			dtypes.Float32, 0},
		{"a label alone", "want one whole number", tensors.FromValue([][]float32{{1}}), tensors.FromValue(int32(1)),
			dtypes.Float32, 0},
		{"labels of another number", "want one whole number", inputs, tensors.FromValue([]int32{1, 2, 3}), dtypes.Float32, 0},
		{"a label beyond int32", "label 4294967296 is too large", inputs, tensors.FromValue([]int64{0, 1 << 32}),
			dtypes.Float32, 0},
		{"half precision", "cannot be given to an input of type Float16", inputs, nil, dtypes.Float16, 0},
		{"floats for integers", "convert them with numpy.astype", inputs, nil, dtypes.Int32, 0},
		{"too large", "too large for an input of type Int8", tensors.FromValue([]int64{300}), nil, dtypes.Int8, 0},
		{"numbers for truth values", "which takes 0 and 1", tensors.FromValue([]int64{2}), nil, dtypes.Bool, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := NewArrays("a.npy", []Column{{Values: tc.inputs, DType: tc.dtype}}, tc.labels, tc.n, 2)
			if err == nil || !strings.Contains(err.Error(), tc.want) || !strings.HasPrefix(err.Error(), "a.npy: ") {
				t.Errorf("error %v; want %q", err, tc.want)
			}
		})
	}
}

func TestReadArray(t *testing.T) {
	dir := t.TempDir()
	one, two := filepath.Join(dir, "one.npz"), filepath.Join(dir, "two.npz")
	x, y := tensors.FromValue([]float32{1}), tensors.FromValue([]float32{2})
	if err := numpy.ToNpzFile(map[string]*tensors.Tensor{"anything": y}, one); err != nil {
		t.Fatal(err)
	}
	if err := numpy.ToNpzFile(map[string]*tensors.Tensor{"x": x, "y": y}, two); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]float32{one: 2, two: 1} {
		got, err := ReadArray(path, "x", 1<<30)
		if err != nil || got.Value().([]float32)[0] != want {
			t.Errorf("%s: %v, %v; want %g", path, got, err, want)
		}
	}
	// One file for several inputs has their names.
	if got, err := ReadMember(two, "y", 1<<30); err != nil || got.Value().([]float32)[0] != 2 {
		t.Errorf("ReadMember: %v, %v; want 2", got, err)
	}
	if _, err := ReadMember(one, "y", 1<<30); err == nil || !strings.Contains(err.Error(), `no array "y" among these: anything`) {
		t.Errorf("ReadMember: error %v for an array of another name", err)
	}
	for path, want := range map[string]string{
		filepath.Join(dir, "none.npy"):  "cannot be read: no such file",
		two:                             `no array "z" among these: `,
		filepath.Join(".", "arrays.go"): "neither .npy nor .npz",
	} {
		if _, err := ReadArray(path, "z", 1<<30); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v; want %q", path, err, want)
		}
	}
}
