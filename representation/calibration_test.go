package representation_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/geometric-complexity/toolkit/representation"
)

// logitsOf are logits of two classes that give the first one a probability.
func logitsOf(probabilities ...float64) (logits []float64) {
	for _, p := range probabilities {
		logits = append(logits, math.Log(p), math.Log(1-p))
	}
	return logits
}

func TestCalibrationErrorByHand(t *testing.T) {
	// Confidences 0.9, 0.8, 0.6 and 0.7, of which the first, the third and the last are right.
	logits := logitsOf(0.9, 0.8, 0.6, 0.3)
	labels := []int64{0, 1, 0, 1}
	for bins, want := range map[int]float64{
		// All in one bin: confidence 0.75, right 0.75.
		1: 0,
		// (0.5, 1] has all of them.
		2: 0,
		// (0.6, 0.8] has 0.8 and 0.7, of which one is right; (0.8, 1] has 0.9, and (0.4, 0.6] has
		// 0.6, both right.
		5: (math.Abs(0.8+0.7-1) + 0.1 + 0.4) / 4,
		// Each by itself.
		20: (0.1 + 0.8 + 0.4 + 0.3) / 4,
	} {
		got, err := representation.CalibrationError(logits, 2, labels, bins)
		if err != nil || math.Abs(got-want) > 1e-12 {
			t.Errorf("%d bins: %g, %v; want %g", bins, got, err, want)
		}
	}
	// A sure and right classifier is calibrated, a sure and wrong one is as far off as can be.
	sure := []float64{1000, 0, -1000, math.Inf(-1), 0, 1000}
	for label, want := range map[int64]float64{0: 0.5, 1: 1, 2: 0.5} {
		got, err := representation.CalibrationError(sure, 3, []int64{label, label}, 15)
		if err != nil || got != want {
			t.Errorf("label %d: %g, %v; want %g", label, got, err, want)
		}
	}
}

// TestCalibrationErrorOfCalibrated draws labels from the probabilities themselves: the error
// vanishes up to sampling. With logits twice as large it does not, and it is the difference of the
// two probabilities, which is the same in all bins here.
func TestCalibrationErrorOfCalibrated(t *testing.T) {
	const n, p = 20000, 0.7
	random := rand.New(rand.NewPCG(1, 2))
	var logits, doubled []float64
	labels := make([]int64, n)
	for i := range n {
		l := logitsOf(p)
		logits, doubled = append(logits, l...), append(doubled, 2*l[0], 2*l[1])
		if random.Float64() >= p {
			labels[i] = 1
		}
	}
	sharper := p * p / (p*p + (1-p)*(1-p))
	for name, c := range map[string]struct {
		logits []float64
		want   float64
	}{"calibrated": {logits, 0}, "too sure": {doubled, sharper - p}} {
		got, err := representation.CalibrationError(c.logits, 2, labels, 15)
		if err != nil || math.Abs(got-c.want) > 0.015 { // Four standard deviations of the share.
			t.Errorf("%s: %g, %v; want about %g", name, got, err, c.want)
		}
	}
}

func TestCalibrationErrorErrors(t *testing.T) {
	for want, c := range map[string]struct {
		logits []float64
		labels []int64
		bins   int
	}{
		"in 0 bins":                  {[]float64{1, 2}, []int64{0}, 0},
		"of 0 examples":              {nil, nil, 15},
		"example 0 has the label 2":  {[]float64{1, 2}, []int64{2}, 15},
		"output 1 of example 0":      {[]float64{1, math.NaN()}, []int64{0}, 15},
		"2 labels for 1 examples":    {[]float64{1, 2}, []int64{0, 1}, 15},
		"example 0 have no softmax":  {[]float64{1, math.Inf(1)}, []int64{0}, 15},
		"example 1 have no softmax":  {[]float64{1, 2, math.Inf(-1), math.Inf(-1)}, []int64{0, 0}, 15},
		"no whole number of rows of": {[]float64{1, 2, 3}, []int64{0}, 15},
	} {
		if _, err := representation.CalibrationError(c.logits, 2, c.labels, c.bins); err == nil ||
			!strings.Contains(err.Error(), want) {
			t.Errorf("got error %v, want %q", err, want)
		}
	}
}

func ExampleCalibrationError() {
	// Two decisions with a confidence of about 0.73, of which one is right.
	e, err := representation.CalibrationError([]float64{1, 0, 0, 1}, 2, []int64{0, 0}, 15)
	fmt.Printf("%.2f %v", e, err)
	// Output: 0.23 <nil>
}
