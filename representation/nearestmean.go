package representation

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
)

// NearestMean is a classifier that gives features the class whose mean is nearest in Euclidean
// distance, the first of those that are equally near up to the means' rounding. Nothing in it is
// trained, so that its accuracy tells how well the features separate the classes.
type NearestMean struct {
	labels []int64     // Of the classes, ascending.
	means  [][]float64 // Of the classes.
	// rounding bounds the rounding error of the means, see Classes.
	rounding float64
}

// NearestMean returns the classifier with the means of the classes.
func (c *Classes) NearestMean() *NearestMean {
	n := &NearestMean{labels: slices.Clone(c.labels), rounding: c.rounding()}
	for _, mean := range c.means {
		n.means = append(n.means, slices.Clone(mean))
	}
	return n
}

// Classify returns the label of the nearest mean for each example of features, [examples,
// dimensions] in row-major order. It returns an error if the features are not a whole number of
// rows of the means' dimensions, and if one is NaN or Inf.
func (n *NearestMean) Classify(features []float64) ([]int64, error) {
	dimensions := len(n.means[0])
	if len(features)%dimensions != 0 {
		return nil, fmt.Errorf("representation: %d features are no whole number of rows of %d", len(features), dimensions)
	}
	classified := make([]int64, 0, len(features)/dimensions)
	for row := range slices.Chunk(features, dimensions) {
		nearest, distance := n.nearest(row)
		if math.IsNaN(distance) || math.IsInf(distance, 0) {
			return nil, fmt.Errorf("representation: the features of example %d are not finite", len(classified))
		}
		classified = append(classified, n.labels[nearest])
	}
	return classified, nil
}

// nearest returns the index of the nearest mean, and the squared distance from it.
func (n *NearestMean) nearest(row []float64) (at int, distance float64) {
	distance = squaredDistance(row, n.means[0])
	for k, mean := range n.means[1:] {
		if d := squaredDistance(row, mean); d < distance && math.Sqrt(distance)-math.Sqrt(d) > 2*n.rounding {
			at, distance = k+1, d
		}
	}
	return at, distance
}

// Accuracy returns the fraction of the examples that Classify gives their label. features are as
// for Classify. It returns Classify's errors, and one if there is not one label for each example,
// at least one.
func (n *NearestMean) Accuracy(features []float64, labels []int64) (float64, error) {
	classified, err := n.Classify(features)
	if err != nil {
		return 0, err
	}
	if len(classified) != len(labels) || len(labels) == 0 {
		return 0, fmt.Errorf("representation: %d labels for %d examples: want one for each, at least one", len(labels),
			len(classified))
	}
	right := 0
	for i, label := range classified {
		if label == labels[i] {
			right++
		}
	}
	return float64(right) / float64(len(labels)), nil
}

// FewShotAccuracy returns the mean accuracy of a nearest-mean classifier that knows only a few
// examples of each class: each of the episodes draws so many shots of every class without
// replacement, takes their means, and classifies all other examples. The draws depend only on the
// labels, the shots, the episodes and the seed, so that different features can be compared on the
// same draws.
//
// Features, labels and errors are as for NewClasses; each class needs more examples than the shots,
// and shots and episodes are at least 1.
func FewShotAccuracy(features []float64, labels []int64, shots, episodes int, seed uint64) (float64, error) {
	all, err := NewClasses(features, labels)
	if err != nil {
		return 0, err
	}
	if shots < 1 || episodes < 1 {
		return 0, fmt.Errorf("representation: %d shots and %d episodes: want at least 1 of each", shots, episodes)
	}
	members := make([][]int, len(all.labels))
	for i, class := range all.class {
		members[class] = append(members[class], i)
	}
	for class, m := range members {
		if len(m) <= shots {
			return 0, fmt.Errorf("representation: class %d has %d examples: want more than the %d shots",
				all.labels[class], len(m), shots)
		}
	}
	rng := rand.New(rand.NewPCG(seed, uint64(shots)))
	var sum float64
	for range episodes {
		accuracy, err := all.episode(members, shots, rng)
		if err != nil {
			return 0, err
		}
		sum += accuracy
	}
	return sum / float64(episodes), nil
}

// episode draws the shots of each class and returns the accuracy on the other examples. members are
// the examples of each class.
func (c *Classes) episode(members [][]int, shots int, rng *rand.Rand) (float64, error) {
	var known, others []float64
	var knownLabels, otherLabels []int64
	for class, m := range members {
		for k, at := range rng.Perm(len(m)) {
			row, label := c.row(m[at]), c.labels[class]
			if k < shots {
				known, knownLabels = append(known, row...), append(knownLabels, label)
			} else {
				others, otherLabels = append(others, row...), append(otherLabels, label)
			}
		}
	}
	drawn, err := NewClasses(known, knownLabels)
	if err != nil {
		return 0, err
	}
	return drawn.NearestMean().Accuracy(others, otherLabels)
}
