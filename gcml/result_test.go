package gcml_test

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/dtypes/bfloat16"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/layers/activation"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/ml/train"

	"github.com/geometric-complexity/toolkit/gcml"
	"github.com/geometric-complexity/toolkit/internal/gctest"
)

// scales is a model whose squared Jacobian norm at x is 4x², one for each example.
func scales(_ *model.Scope, x *Node) *Node { return Square(x) }

func measureScales(t *testing.T, x []float64, sizes []int, labels []int32, opts ...gcml.Option) gcml.Result {
	t.Helper()
	ds := batches{flat: x, features: 1, sizes: sizes, labels: labels, dtype: dtypes.Float64}
	got, err := gcml.Measure(t.Context(), gctest.GoBackend(t), model.NewStore(), scales, ds, opts...)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// TestPerExample compares values per example and their quantiles with closed forms. NumPy's
// quantiles of 1, 4, 9, ..., 100 are numpy.quantile([1, 4, 9, 16, 25, 36, 49, 64, 81, 100], [.05,
// .25, .5, .75, .95]) = 2.35, 10.75, 30.5, 60.25, 91.45.
func TestPerExample(t *testing.T) {
	x := []float64{3, 1, 2, 10, 9, 8, 4, 5, 6, 7} // The norms are 4x².
	for i := range x {
		x[i] /= 2
	}
	got := measureScales(t, x, []int{4, 4, 2}, nil, gcml.WithPerExample())
	want := []float64{9, 1, 4, 100, 81, 64, 16, 25, 36, 49}
	gctest.AssertClose(t, got.PerExample, want, 1e-14, 0, "per example")
	q := got.Quantiles
	gctest.AssertClose(t, []float64{q.Min, q.P5, q.P25, q.Median, q.P75, q.P95, q.Max},
		[]float64{1, 2.35, 10.75, 30.5, 60.25, 91.45, 100}, 1e-14, 0, "quantiles")
	if few := measureScales(t, x, []int{4, 4, 2}, nil, gcml.WithPerExample(),
		gcml.WithMaxExamples(6)); !slices.Equal(few.PerExample, got.PerExample[:6]) {
		t.Errorf("the first 6 examples: %v", few.PerExample)
	}
	if plain := measureScales(t, x, []int{10}, nil); plain.PerExample != nil || plain.Quantiles != q {
		t.Errorf("without the option: %+v", plain)
	}
}

// TestUnknownStandardError checks that the standard error of a single example, in all or in a
// class, is unknown, and is nowhere treated as 0.
func TestUnknownStandardError(t *testing.T) {
	got := measureScales(t, []float64{1, 2, 3}, []int{2, 1}, []int32{0, 1, 0}, gcml.WithPerClass())
	if !got.StdErr.IsKnown() || !got.PerClass[0].StdErr.IsKnown() || got.PerClass[1].StdErr.IsKnown() {
		t.Errorf("standard errors of 3, 2 and 1 examples: %v, %v, %v", got.StdErr, got.PerClass[0].StdErr,
			got.PerClass[1].StdErr)
	}
	one := measureScales(t, []float64{2}, []int{1}, nil)
	if one.StdErr.IsKnown() || one.StdErr.String() != "unknown" || one.GC != 16 {
		t.Errorf("one example: %+v", one)
	}
	if low, high := one.Interval(0.95); !math.IsNaN(low) || !math.IsNaN(high) {
		t.Errorf("interval of one example: %g to %g", low, high)
	}
	for _, r := range []gcml.Result{got, one} {
		text, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		var back gcml.Result
		if err := json.Unmarshal(text, &back); err != nil {
			t.Fatal(err)
		}
		if back.StdErr.IsKnown() != r.StdErr.IsKnown() || r.StdErr.IsKnown() && back.StdErr != r.StdErr {
			t.Errorf("%v becomes %v by way of %s", r.StdErr, back.StdErr, text)
		}
	}
}

// TestInterval checks that the interval of few examples contains the true mean as often as its
// level says. The 1.645 standard errors of a normal distribution would contain it less often.
func TestInterval(t *testing.T) {
	const draws, n = 4000, 5
	rng := rand.New(rand.NewPCG(7, 8))
	held := 0
	for range draws {
		r := gcml.Result{Examples: n}
		var squares float64
		for range n {
			v := 3 + rng.NormFloat64()
			r.GC += v / n
			squares += v * v
		}
		r.StdErr = gcml.StandardError(math.Sqrt((squares - n*r.GC*r.GC) / (n - 1) / n))
		if low, high := r.Interval(0.9); low <= 3 && 3 <= high {
			held++
		}
	}
	deviation := math.Sqrt(0.9 * 0.1 / draws)
	if share := float64(held) / draws; math.Abs(share-0.9) > 4*deviation {
		t.Errorf("the interval of level 0.9 held in %.3f of the cases", share)
	}
	if low, high := (gcml.Result{Examples: 5, StdErr: 1}).Interval(95); !math.IsNaN(low) || !math.IsNaN(high) {
		t.Errorf("level 95: %g to %g", low, high)
	}
}

// TestLabels checks that labels of every integer dtype are read exactly, and that values beyond
// int64 are refused.
func TestLabels(t *testing.T) {
	const large = 1<<53 + 1 // Not representable in float64.
	measure := func(labels *tensors.Tensor) (gcml.Result, error) {
		x := tensors.FromFlatDataAndDimensions([]float64{1, 2}, 2, 1)
		return gcml.Measure(t.Context(), gctest.GoBackend(t), model.NewStore(), scales,
			oneBatch{train.Batch{Inputs: []*tensors.Tensor{x}, Labels: []*tensors.Tensor{labels}}}, gcml.WithPerClass())
	}
	for _, c := range []struct {
		labels *tensors.Tensor
		want   []int64
	}{
		{tensors.FromFlatDataAndDimensions([]int64{large, -large}, 2), []int64{-large, large}},
		{tensors.FromFlatDataAndDimensions([]int64{large - 1, large}, 2, 1), []int64{large - 1, large}},
		{tensors.FromFlatDataAndDimensions([]uint64{math.MaxInt64, 3}, 2), []int64{3, math.MaxInt64}},
		{tensors.FromFlatDataAndDimensions([]uint32{math.MaxUint32, 3}, 2), []int64{3, math.MaxUint32}},
		{tensors.FromFlatDataAndDimensions([]int32{math.MinInt32, 3}, 2), []int64{math.MinInt32, 3}},
		{tensors.FromFlatDataAndDimensions([]uint16{65535, 3}, 2), []int64{3, 65535}},
		{tensors.FromFlatDataAndDimensions([]int16{-9, 3}, 2), []int64{-9, 3}},
		{tensors.FromFlatDataAndDimensions([]uint8{255, 3}, 2), []int64{3, 255}},
		{tensors.FromFlatDataAndDimensions([]int8{-1, 3}, 2), []int64{-1, 3}},
	} {
		got, err := measure(c.labels)
		if err != nil {
			t.Fatalf("%s: %v", c.labels.Shape(), err)
		}
		var classes []int64
		for _, class := range got.PerClass {
			classes = append(classes, class.Class)
		}
		if !slices.Equal(classes, c.want) {
			t.Errorf("%s: classes %v, want %v", c.labels.Shape(), classes, c.want)
		}
	}
	_, err := measure(tensors.FromFlatDataAndDimensions([]uint64{math.MaxUint64, 0}, 2))
	if err == nil || !strings.Contains(err.Error(),
		"the labels of batch 0: value 18446744073709551615 is above the largest int64") {
		t.Errorf("got error %v", err)
	}
}

// TestNaNInHalfPrecision checks that NaN is detected in inputs of every float dtype.
func TestNaNInHalfPrecision(t *testing.T) {
	x := tensors.FromFlatDataAndDimensions([]bfloat16.BFloat16{bfloat16.FromFloat32(1),
		bfloat16.FromFloat32(float32(math.NaN()))}, 2, 1)
	_, err := gcml.Measure(t.Context(), gctest.GoBackend(t), model.NewStore(), mlp(activation.TypeRelu),
		oneBatch{train.Batch{Inputs: []*tensors.Tensor{x}}})
	if err == nil || !strings.Contains(err.Error(), "batch 0, example 1: input #0 holds NaN") {
		t.Errorf("got error %v", err)
	}
}
