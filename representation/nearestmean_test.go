package representation_test

import (
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/geometric-complexity/toolkit/representation"
)

// TestNearestMeanByHand has the means (1, 0) and (6, 4).
func TestNearestMeanByHand(t *testing.T) {
	c := newClasses(t, []float64{0, 0, 2, 0, 6, 4}, []int64{5, 5, 3})
	n := c.NearestMean()
	// Squared distances from (6, 4) and (1, 0): 0 and 41, 18 and 5, 10.25 and 10.25, 394 and 181.
	features := []float64{6, 4, 3, 1, 3.5, 2, -9, -9}
	got, err := n.Classify(features)
	if want := []int64{3, 5, 3, 5}; err != nil || !slices.Equal(got, want) {
		t.Errorf("classified %v, %v; want %v", got, err, want)
	}
	if accuracy, err := n.Accuracy(features, []int64{3, 3, 3, 5}); err != nil || accuracy != 0.75 {
		t.Errorf("accuracy %g, %v; want 0.75", accuracy, err)
	}
	if _, err := n.Accuracy(features, []int64{3}); err == nil {
		t.Error("a label for four examples is no error")
	}
	for want, features := range map[string][]float64{"whole number of rows": {1},
		"example 1 are not finite": {1, 2, math.NaN(), 0}} {
		if _, err := n.Classify(features); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v; want %q", err, want)
		}
	}
}

// TestFewShotAgainstAllDraws compares the mean over many draws with that over all possible ones, by
// plain loops: one or two shots of each of two classes of three examples on a line.
func TestFewShotAgainstAllDraws(t *testing.T) {
	x := [2][3]float64{{0, 1, 4}, {2, 5, 9}}
	features, labels := []float64{2, 0, 5, 1, 4, 9}, []int64{7, 1, 7, 1, 1, 7}
	for shots, draws := range map[int][][]int{1: {{0}, {1}, {2}}, 2: {{0, 1}, {0, 2}, {1, 2}}} {
		var want float64
		for _, first := range draws {
			for _, second := range draws {
				var means [2]float64
				for k := range shots {
					means[0] += x[0][first[k]] / float64(shots)
					means[1] += x[1][second[k]] / float64(shots)
				}
				for class, drawn := range [][]int{first, second} {
					for i, v := range x[class] {
						own, other := math.Abs(v-means[class]), math.Abs(v-means[1-class])
						if !slices.Contains(drawn, i) && (own < other || own == other && class == 0) {
							want += 1 / float64(9*2*(3-shots))
						}
					}
				}
			}
		}
		got, err := representation.FewShotAccuracy(features, labels, shots, 20000, 3)
		if err != nil || math.Abs(got-want) > 0.01 { // Four standard errors at most.
			t.Errorf("%d shots: %g, %v; want %g", shots, got, err, want)
		}
		again, err := representation.FewShotAccuracy(features, labels, shots, 20000, 3)
		if err != nil || again != got {
			t.Errorf("%d shots: %g, then %g with the same seed", shots, got, again)
		}
	}
}

func TestFewShotErrors(t *testing.T) {
	features, labels := []float64{1, 2, 3, 4}, []int64{0, 0, 1, 1}
	for want, c := range map[string]struct{ shots, episodes int }{
		"class 0 has 2 examples: want more than the 2 shots": {2, 1},
		"0 shots":    {0, 1},
		"0 episodes": {1, 0},
	} {
		_, err := representation.FewShotAccuracy(features, labels, c.shots, c.episodes, 1)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v; want %q", err, want)
		}
	}
	if _, err := representation.FewShotAccuracy(features[:2], labels[:2], 1, 1, 1); err == nil {
		t.Error("a single class is no error")
	}
}
