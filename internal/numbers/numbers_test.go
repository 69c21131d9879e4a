package numbers_test

import (
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/dtypes/bfloat16"
	"github.com/gomlx/compute/dtypes/float16"
	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/geometric-complexity/toolkit/internal/numbers"
)

func TestNumbers(t *testing.T) {
	for name, c := range map[string]struct {
		values any
		floats []float64
		ints   []int64
		err    string // Expected of Int64s if ints is nil, and of Float64s too if floats is nil.
	}{
		"float64":      {[]float64{1.5, -2}, []float64{1.5, -2}, nil, "Float64"},
		"float32":      {[]float32{0.1}, []float64{float64(float32(0.1))}, nil, "Float32"},
		"float16":      {[]float16.Float16{float16.FromFloat32(-0.5)}, []float64{-0.5}, nil, "Float16"},
		"bfloat16":     {[]bfloat16.BFloat16{bfloat16.FromFloat32(3)}, []float64{3}, nil, "BFloat16"},
		"int64":        {[]int64{math.MinInt64}, []float64{-0x1p63}, []int64{math.MinInt64}, ""},
		"int32":        {[]int32{-3}, []float64{-3}, []int64{-3}, ""},
		"int16":        {[]int16{-4}, []float64{-4}, []int64{-4}, ""},
		"int8":         {[]int8{-128}, []float64{-128}, []int64{-128}, ""},
		"uint64":       {[]uint64{7}, []float64{7}, []int64{7}, ""},
		"a large uint": {[]uint64{7, 1 << 63}, []float64{7, 0x1p63}, nil, "9223372036854775808 is above"},
		"uint32":       {[]uint32{math.MaxUint32}, []float64{math.MaxUint32}, []int64{math.MaxUint32}, ""},
		"uint16":       {[]uint16{65535}, []float64{65535}, []int64{65535}, ""},
		"uint8":        {[]uint8{255}, []float64{255}, []int64{255}, ""},
		"bool":         {[]bool{true}, nil, nil, "Bool"},
		"complex":      {[]complex64{1i}, nil, nil, "Complex64"},
		"a scalar":     {float32(2), []float64{2}, nil, "Float32"},
	} {
		t.Run(name, func(t *testing.T) {
			x := tensors.MustFromAnyValue(c.values)
			floats, err := numbers.Float64s(x)
			checkError(t, "Float64s", err, c.err, c.floats == nil && c.err != "")
			if err == nil && !slices.Equal(floats, c.floats) {
				t.Errorf("Float64s returns %v, want %v", floats, c.floats)
			}
			ints, err := numbers.Int64s(x)
			checkError(t, "Int64s", err, c.err, c.err != "")
			if err == nil && !slices.Equal(ints, c.ints) {
				t.Errorf("Int64s returns %v, want %v", ints, c.ints)
			}
		})
	}
}

func checkError(t *testing.T, function string, err error, text string, want bool) {
	t.Helper()
	if (err != nil) != want || want && !strings.Contains(err.Error(), text) {
		t.Errorf("%s: error %v; want an error: %v, with the text %q", function, err, want, text)
	}
}

// TestTensor compares with the bits of the nearest values of each dtype.
func TestTensor(t *testing.T) {
	values := []float64{1.0 / 3, -2, 0, 65504}
	for _, c := range []struct {
		dtype dtypes.DType
		want  any
	}{
		{dtypes.Float64, []float64{1.0 / 3, -2, 0, 65504}},
		{dtypes.Float32, []float32{math.Float32frombits(0x3eaaaaab), -2, 0, 65504}},
		{dtypes.Float16, []float16.Float16{0x3555, 0xc000, 0, 0x7bff}},
		{dtypes.BFloat16, []bfloat16.BFloat16{0x3eab, 0xc000, 0, 0x4780}},
	} {
		got, err := numbers.Tensor(values, c.dtype, 2, 2)
		if err != nil {
			t.Fatal(err)
		}
		if want := shapes.Make(c.dtype, 2, 2); !got.Shape().Equal(want) {
			t.Errorf("shape %s, want %s", got.Shape(), want)
		}
		got.MustConstFlatData(func(flat any) {
			if !reflect.DeepEqual(flat, c.want) {
				t.Errorf("%s: %v, want %v", c.dtype, flat, c.want)
			}
		})
	}
	scalar, err := numbers.Tensor([]float64{3}, dtypes.Float64)
	if err != nil || scalar.Value() != 3.0 {
		t.Errorf("a tensor without dimensions is %v (%v), want 3", scalar, err)
	}
	if _, err := numbers.Tensor(values, dtypes.Int32, 4); err == nil || !strings.Contains(err.Error(), "Int32") {
		t.Errorf("error %v, want one that names Int32", err)
	}
}
