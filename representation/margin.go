package representation

import (
	"fmt"
	"math"
	"slices"
)

// Decisions returns the index of the largest output of each example, the first of equal ones, from
// outputs [examples, classes] in row-major order.
//
// It returns an error if the outputs are not a whole number of rows, and if one is NaN.
func Decisions(outputs []float64, classes int) ([]int64, error) {
	if err := checkOutputs(outputs, classes, 1); err != nil {
		return nil, err
	}
	decisions := make([]int64, 0, len(outputs)/classes)
	for row := range slices.Chunk(outputs, classes) {
		best, _ := largestExcept(row, -1)
		decisions = append(decisions, int64(best))
	}
	return decisions, nil
}

// Margins returns, for each example, the output of its own class minus the largest of the others:
// positive where the classifier is right, and the larger the clearer. outputs are [examples,
// classes] in row-major order; the labels are indices of outputs.
//
// It returns an error for fewer than two classes, for a label that is not the index of an output,
// for outputs that are NaN, and for a difference of two that are both Inf or both -Inf.
func Margins(outputs []float64, classes int, labels []int64) ([]float64, error) {
	if err := checkLabels(outputs, classes, labels); err != nil {
		return nil, err
	}
	margins := make([]float64, len(labels))
	for i, label := range labels {
		row := outputs[i*classes : (i+1)*classes]
		_, other := largestExcept(row, int(label))
		margins[i] = row[label] - other
		if math.IsNaN(margins[i]) {
			return nil, fmt.Errorf("representation: the margin of example %d is undefined: its own output and another are %g",
				i, other)
		}
	}
	return margins, nil
}

// DecisionMargins returns, for each example, its largest output minus the second largest: how clear
// the decision is, right or wrong. outputs and errors are as for Margins.
func DecisionMargins(outputs []float64, classes int) ([]float64, error) {
	decisions, err := Decisions(outputs, classes)
	if err != nil {
		return nil, err
	}
	return Margins(outputs, classes, decisions)
}

// RampLoss returns the mean over the examples of the ramp loss of their margins at the width γ: 1
// for a margin of 0 or less, 0 for one of γ or more, and 1 - margin/γ in between. It is at least
// the fraction of examples that are decided wrongly, and at most the fraction of margins below γ.
//
// It returns an error for a width that is not positive, without margins, and for a margin that is
// NaN.
func RampLoss(margins []float64, width float64) (float64, error) {
	if !(width > 0) || len(margins) == 0 {
		return 0, fmt.Errorf("representation: ramp loss of width %g over %d margins: want a positive width and a margin", width,
			len(margins))
	}
	var sum float64
	for i, margin := range margins {
		if math.IsNaN(margin) {
			return 0, fmt.Errorf("representation: the margin of example %d is NaN", i)
		}
		sum += min(1, max(0, 1-margin/width))
	}
	return sum / float64(len(margins)), nil
}

// largestExcept returns the index and the value of the largest element but that of an index.
func largestExcept(row []float64, except int) (at int, value float64) {
	at, value = -1, math.Inf(-1)
	for i, v := range row {
		if i != except && (v > value || at < 0) {
			at, value = i, v
		}
	}
	return at, value
}

// checkLabels returns an error unless the outputs have one label for each row, the index of an
// output, and at least two classes.
func checkLabels(outputs []float64, classes int, labels []int64) error {
	if err := checkOutputs(outputs, classes, 2); err != nil {
		return err
	}
	if len(outputs)/classes != len(labels) {
		return fmt.Errorf("representation: %d labels for %d examples", len(labels), len(outputs)/classes)
	}
	for i, label := range labels {
		if label < 0 || label >= int64(classes) {
			return fmt.Errorf("representation: example %d has the label %d, but there are %d outputs: want 0 to %d",
				i, label, classes, classes-1)
		}
	}
	return nil
}

func checkOutputs(outputs []float64, classes, least int) error {
	if classes < least {
		return fmt.Errorf("representation: %d outputs for each example, want %d or more", classes, least)
	}
	if len(outputs)%classes != 0 {
		return fmt.Errorf("representation: %d values are no whole number of rows of %d outputs", len(outputs), classes)
	}
	for i, v := range outputs {
		if math.IsNaN(v) {
			return fmt.Errorf("representation: output %d of example %d is NaN", i%classes, i/classes)
		}
	}
	return nil
}
