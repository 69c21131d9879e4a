package representation_test

import (
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/geometric-complexity/toolkit/representation"
)

func TestMargins(t *testing.T) {
	outputs := []float64{1, 4, 2.5, -3, -1, -2, 5, 5, 0}
	margins, err := representation.Margins(outputs, 3, []int64{1, 0, 1})
	if want := []float64{1.5, -2, 0}; err != nil || !slices.Equal(margins, want) {
		t.Errorf("margins %v, %v; want %v", margins, err, want)
	}
	clear, err := representation.DecisionMargins(outputs, 3)
	if want := []float64{1.5, 1, 0}; err != nil || !slices.Equal(clear, want) {
		t.Errorf("margins of the decisions %v, %v; want %v", clear, err, want)
	}
	decisions, err := representation.Decisions(outputs, 3)
	if want := []int64{1, 1, 0}; err != nil || !slices.Equal(decisions, want) {
		t.Errorf("decisions %v, %v; want %v", decisions, err, want)
	}
	// An output of -Inf is one that a network masks.
	masked, err := representation.Margins([]float64{math.Inf(-1), 2, 1}, 3, []int64{1})
	if err != nil || masked[0] != 1 {
		t.Errorf("margin beside -Inf %v, %v; want 1", masked, err)
	}
}

func TestMarginErrors(t *testing.T) {
	for want, c := range map[string]struct {
		outputs []float64
		classes int
		labels  []int64
	}{
		"1 outputs for each example, want 2 or more": {[]float64{1, 2}, 1, []int64{0, 0}},
		"no whole number of rows":                    {[]float64{1, 2, 3}, 2, []int64{0}},
		"2 labels for 1 examples":                    {[]float64{1, 2}, 2, []int64{0, 1}},
		"example 1 has the label 2":                  {[]float64{1, 2, 3, 4}, 2, []int64{0, 2}},
		"example 0 has the label -1":                 {[]float64{1, 2}, 2, []int64{-1}},
		"output 1 of example 1 is NaN":               {[]float64{1, 2, 3, math.NaN()}, 2, []int64{0, 0}},
	} {
		if _, err := representation.Margins(c.outputs, c.classes, c.labels); err == nil || !strings.Contains(err.Error(),
			want) {
			t.Errorf("got error %v, want %q", err, want)
		}
	}
}
