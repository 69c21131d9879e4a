package representation

import (
	"fmt"
	"math"
	"slices"
)

// CalibrationError returns the expected calibration error of a classifier: how far its confidence
// is from the share of decisions that are right (Guo et al., arXiv 1706.04599). The confidence of a
// decision is the largest probability, the softmax of the logits. The decisions are grouped into
// bins of equal width by their confidence, [0, 1/bins] and (i/bins, (i+1)/bins]; the result is the
// mean over the decisions of the distance, within their bin, of the mean confidence from the share
// that is right. It is 0 for a calibrated classifier and at most 1.
//
// logits are [examples, classes] in row-major order; the labels are indices of logits. It returns
// an error for fewer than one bin, without examples, for fewer than two classes, for a label that
// is not the index of a logit, and for logits that are NaN or +Inf.
func CalibrationError(logits []float64, classes int, labels []int64, bins int) (float64, error) {
	if bins < 1 || len(labels) == 0 {
		return 0, fmt.Errorf("representation: calibration error of %d examples in %d bins: want at least 1 of each",
			len(labels), bins)
	}
	if err := checkLabels(logits, classes, labels); err != nil {
		return 0, err
	}
	decisions, err := Decisions(logits, classes)
	if err != nil {
		return 0, err
	}
	// The sum over a bin of confidence minus rightness is its size times the distance.
	distances := make([]float64, bins)
	for i, label := range labels {
		confidence := largestProbability(logits[i*classes : (i+1)*classes])
		if math.IsNaN(confidence) {
			return 0, fmt.Errorf("representation: the logits of example %d have no softmax", i)
		}
		bin := max(0, int(math.Ceil(confidence*float64(bins)))-1)
		distances[bin] += confidence
		if decisions[i] == label {
			distances[bin]--
		}
	}
	var sum float64
	for _, d := range distances {
		sum += math.Abs(d)
	}
	return sum / float64(len(labels)), nil
}

// largestProbability returns the largest element of the softmax of a row of logits; NaN if it has
// none.
func largestProbability(row []float64) float64 {
	largest := slices.Max(row)
	var sum float64
	for _, v := range row {
		sum += math.Exp(v - largest)
	}
	return 1 / sum
}
