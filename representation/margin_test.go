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
		"the margin of example 0 is undefined":       {[]float64{math.Inf(-1), math.Inf(-1), 1, 2}, 2, []int64{0, 1}},
		"another are +Inf":                           {[]float64{1, 2, math.Inf(1), math.Inf(1)}, 2, []int64{0, 1}},
		"output 1 of example 1 is NaN":               {[]float64{1, 2, 3, math.NaN()}, 2, []int64{0, 0}},
	} {
		if _, err := representation.Margins(c.outputs, c.classes, c.labels); err == nil || !strings.Contains(err.Error(),
			want) {
			t.Errorf("got error %v, want %q", err, want)
		}
	}
}

func TestRampLoss(t *testing.T) {
	// At width 2 the losses are 1, 1, 0.75, 0 and 0.
	margins := []float64{-3, 0, 0.5, 2, math.Inf(1)}
	if loss, err := representation.RampLoss(margins, 2); err != nil || loss != 2.75/5 {
		t.Errorf("ramp loss %g, %v; want %g", loss, err, 2.75/5)
	}
	for _, c := range []struct {
		margins []float64
		width   float64
	}{{margins, 0}, {margins, math.NaN()}, {nil, 1}, {[]float64{math.NaN()}, 1}} {
		if loss, err := representation.RampLoss(c.margins, c.width); err == nil {
			t.Errorf("ramp loss of width %g over %v is %g; want an error", c.width, c.margins, loss)
		}
	}
}
