package main

import (
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/geometric-complexity/toolkit/gcml"
	"github.com/geometric-complexity/toolkit/internal/gctest"
)

func TestArrangeImages(t *testing.T) {
	// One image of 2 x 3 pixels; the tens are the pixel, the units its channel.
	b := gctest.GoBackend(t)
	color := []float32{10, 11, 20, 21, 30, 31, 40, 41, 50, 51, 60, 61}
	byChannel := []float32{10, 20, 30, 40, 50, 60, 11, 21, 31, 41, 51, 61}
	for _, tc := range []struct {
		name       string
		channels   int
		want       []int
		dims       []int
		wantValues []float32
	}{
		{"channels first", 2, []int{-1, 2, 2, 3}, []int{1, 2, 2, 3}, byChannel},
		{"channels last", 2, []int{-1, 2, 3, 2}, []int{1, 2, 3, 2}, color},
		{"flat", 2, []int{-1, 12}, []int{1, 12}, byChannel},
		{"any size", 2, []int{-1, 2, -1, -1}, []int{1, 2, 2, 3}, byChannel},
		{"one channel", 1, []int{1, 2, 3}, []int{1, 2, 3}, color[:6]},
		{"two channels without their axis", 2, []int{-1, 2, 3}, nil, nil},
		{"another size", 2, []int{-1, 2, 3, 3}, nil, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			arrange := arrangeImages(2, 3, tc.channels, tc.want)
			if (arrange == nil) != (tc.dims == nil) {
				t.Fatalf("arrangement is there: %t", arrange != nil)
			}
			if arrange == nil {
				return
			}
			x := tensors.FromFlatDataAndDimensions(color[:6*tc.channels], 1, 2, 3, tc.channels)
			got, err := graph.CallOnce(b, arrange, x)
			if err != nil {
				t.Fatal(err)
			}
			var values []float32
			if err := got.ConstFlatData(func(flat any) { values = slices.Clone(flat.([]float32)) }); err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(values, tc.wantValues) || !slices.Equal(got.Shape().Dimensions, tc.dims) {
				t.Errorf("%v of shape %v; want %v of %v", values, got.Shape().Dimensions, tc.wantValues, tc.dims)
			}
		})
	}
}

func TestCost(t *testing.T) {
	for estimator, want := range map[string]string{
		"exact":         "cost: 1000 vector-Jacobian products (100 examples x 10 outputs)",
		"projection:3":  "cost: 300 vector-Jacobian products (100 examples x 3 directions)",
		"rademacher":    "cost: 100 vector-Jacobian products (100 examples x 1 directions)",
		"noise:0.001:4": "cost: 500 evaluations (100 examples x (1 + 4 samples))",
	} {
		e, err := gcml.ParseEstimator(estimator)
		if err != nil {
			t.Fatal(err)
		}
		if got, _, err := cost(e, 100, 10); err != nil || got != want {
			t.Errorf("%s: %q, %v; want %q", estimator, got, err, want)
		}
	}
	if _, _, err := cost(gcml.Exact(), math.MaxInt, math.MaxInt); err == nil ||
		!strings.Contains(err.Error(), "needs 8.5e+37 vector-Jacobian products") {
		t.Errorf("more than can be counted: %v", err)
	}
}
