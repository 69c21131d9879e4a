package datasets

import (
	"math"
	"slices"
	"testing"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/geometric-complexity/toolkit/internal/numbers"
)

// values returns a tensor's content as float64 and releases it.
func values(t testing.TB, tensor *tensors.Tensor) []float64 {
	t.Helper()
	out, err := numbers.Float64s(tensor)
	if err != nil {
		t.Fatal(err)
	}
	if err := tensor.FinalizeAll(); err != nil {
		t.Fatal(err)
	}
	return out
}

func TestTensors(t *testing.T) {
	images := testImages(4)
	norm := &Normalization{Mean: []float64{0.25, -1}, Std: []float64{0.5, 2}}
	for _, test := range []struct {
		name   string
		format Format
		dtype  dtypes.DType
		dims   []int
		tol    float64
	}{
		{"default", Format{}, dtypes.Float32, []int{4, 2, 3, 2}, 1e-7},
		{"float64", Format{DType: dtypes.Float64}, dtypes.Float64, []int{4, 2, 3, 2}, 0},
		{"flat", Format{Flat: true}, dtypes.Float32, []int{4, 12}, 1e-7},
		{"normalized", Format{DType: dtypes.Float64, Normalization: norm}, dtypes.Float64, []int{4, 2, 3, 2}, 0},
		{"normalized flat float32", Format{Flat: true, DType: dtypes.Float32, Normalization: norm}, dtypes.Float32,
			[]int{4, 12}, 1e-6},
	} {
		t.Run(test.name, func(t *testing.T) {
			inputs, labels, err := images.Tensors(test.format)
			if err != nil {
				t.Fatal(err)
			}
			if inputs.DType() != test.dtype || !slices.Equal(inputs.Shape().Dimensions, test.dims) {
				t.Errorf("inputs are %s, want (%s)%v", inputs.Shape(), test.dtype, test.dims)
			}
			if labels.DType() != dtypes.Int32 || !slices.Equal(labels.Shape().Dimensions, []int{4, 1}) {
				t.Errorf("labels are %s, want (Int32)[4 1]", labels.Shape())
			}
			for i, got := range values(t, inputs) {
				want := float64(images.Pixels[i]) / 255
				if test.format.Normalization != nil {
					want = (want - norm.Mean[i%2]) / norm.Std[i%2] // Channels alternate.
				}
				if math.Abs(got-want) > test.tol {
					t.Fatalf("value %d is %g, want %g", i, got, want)
				}
			}
			if got := values(t, labels); !slices.Equal(got, []float64{0, 1, 2, 0}) {
				t.Errorf("labels %v", got)
			}
		})
	}
}

func TestFormatErrors(t *testing.T) {
	for _, test := range []struct {
		name   string
		format Format
		want   string
	}{
		{"integer", Format{DType: dtypes.Int32}, "want float32 or float64"},
		{"one mean for two channels", Format{Normalization: &Normalization{Mean: []float64{0}, Std: []float64{1, 1}}},
			"2 channels"},
		{"zero deviation", Format{Normalization: &Normalization{Mean: []float64{0, 0}, Std: []float64{1, 0}}}, "channel 1"},
		{"mean not a number", Format{Normalization: &Normalization{Mean: []float64{math.NaN(), 0}, Std: []float64{1, 1}}},
			"channel 0"},
		{"infinite deviation", Format{Normalization: &Normalization{Mean: []float64{0, 0}, Std: []float64{math.Inf(1), 1}}},
			"channel 0"},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, _, err := testImages(2).Tensors(test.format)
			wantError(t, err, "tiny/train", test.want)
		})
	}
	t.Run("no images", func(t *testing.T) {
		_, _, err := (&Images{}).Tensors(Format{})
		wantError(t, err, "empty")
	})
}

func TestStandardization(t *testing.T) {
	images := testImages(30)
	images.Pixels[5], images.Pixels[7] = 200, 9 // Not the values of the ramp.
	norm, err := Standardization(images)
	if err != nil {
		t.Fatal(err)
	}
	inputs, _, err := images.Tensors(Format{DType: dtypes.Float64, Normalization: norm})
	if err != nil {
		t.Fatal(err)
	}
	var sum, squares [2]float64
	for i, v := range values(t, inputs) {
		sum[i%2] += v
		squares[i%2] += v * v
	}
	n := float64(images.N * images.H * images.W)
	for c := range 2 {
		if mean, variance := sum[c]/n, squares[c]/n; math.Abs(mean) > 1e-12 || math.Abs(variance-1) > 1e-12 {
			t.Errorf("channel %d has mean %g and variance %g", c, mean, variance)
		}
	}
	t.Run("constant channel", func(t *testing.T) {
		constant := testImages(2)
		for i := range constant.Pixels {
			constant.Pixels[i] = 51
		}
		norm, err := Standardization(constant)
		if err != nil {
			t.Fatal(err)
		}
		if norm.Std[0] != 1 || math.Abs(norm.Mean[0]-0.2) > 1e-15 {
			t.Errorf("got %+v", norm)
		}
	})
	t.Run("no images", func(t *testing.T) {
		_, err := Standardization(&Images{})
		wantError(t, err, "empty")
	})
	// The usual figures for the training split of Fashion-MNIST are 0.2860 and 0.3530. The subset
	// of 5,000 of its 60,000 images has almost the same.
	t.Run("Fashion-MNIST subset", func(t *testing.T) {
		images, err := Load(NameFashionMNISTSubset, Train)
		if err != nil {
			t.Fatal(err)
		}
		norm, err := Standardization(images)
		if err != nil {
			t.Fatal(err)
		}
		if math.Abs(norm.Mean[0]-0.2860) > 0.005 || math.Abs(norm.Std[0]-0.3530) > 0.005 {
			t.Errorf("got %+v", norm)
		}
	})
}
