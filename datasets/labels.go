package datasets

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
)

// checkLabels returns an error unless there is a label of a class for each of n examples. kind
// names one of them: "image" or "text".
func checkLabels(name, kind string, n int, labels []uint8, classes []string) error {
	if len(labels) != n {
		return fmt.Errorf("%s: %d labels for %d %ss", name, len(labels), n, kind)
	}
	for i, label := range labels {
		if int(label) >= len(classes) {
			return fmt.Errorf("%s: label %d of %s %d is not one of the %d classes", name, label, kind, i, len(classes))
		}
	}
	return nil
}

// countLabels returns the number of examples of each class.
func countLabels(labels []uint8, classes int) []int {
	counts := make([]int, classes)
	for _, label := range labels {
		counts[label]++
	}
	return counts
}

// drawBalanced returns the indices, in rising order, of perClass examples of every class.
func drawBalanced(name string, classes []string, labels []uint8, perClass int, seed uint64) ([]int, error) {
	if perClass <= 0 {
		return nil, fmt.Errorf("%s: cannot draw %d examples per class", name, perClass)
	}
	byClass := make([][]int, len(classes))
	for i, label := range labels {
		byClass[label] = append(byClass[label], i)
	}
	rng := rand.New(rand.NewPCG(seed, streamBalanced))
	chosen := make([]int, 0, perClass*len(classes))
	for class, indices := range byClass {
		if len(indices) < perClass {
			return nil, fmt.Errorf("%s: cannot draw %d examples of class %q, there are %d",
				name, perClass, classes[class], len(indices))
		}
		for _, j := range rng.Perm(len(indices))[:perClass] {
			chosen = append(chosen, indices[j])
		}
	}
	slices.Sort(chosen)
	return chosen, nil
}

// splitBalanced returns the indices that drawBalanced draws, and all others, both in rising order.
// It returns an error if there are no others.
func splitBalanced(name string, classes []string, labels []uint8, perClass int, seed uint64) (chosen, left []int,
	err error) {
	chosen, err = drawBalanced(name, classes, labels, perClass, seed)
	if err != nil {
		return nil, nil, err
	}
	if left = allBut(chosen, len(labels)); len(left) == 0 {
		return nil, nil, fmt.Errorf("%s: drawing %d examples per class leaves none of the %d", name, perClass, len(labels))
	}
	return chosen, left, nil
}

// allOf returns the indices below n.
func allOf(n int) []int { return allBut(nil, n) }

// allBut returns the indices below n that are not among the chosen ones, which rise.
func allBut(chosen []int, n int) []int {
	left := make([]int, 0, n-len(chosen))
	next := 0
	for i := range n {
		if next < len(chosen) && chosen[next] == i {
			next++
			continue
		}
		left = append(left, i)
	}
	return left
}

// The second word of each random generator's seed, which makes uses of one seed for different
// purposes independent.
const (
	streamBalanced uint64 = 0x62616c616e636564 + iota
	streamLabelNoise
	streamShuffle
	streamFreshNoise
)

// NoiseKind is the distribution of the classes that replace labels.
type NoiseKind int

const (
	// OtherClass draws uniformly from the other classes, so noise of a fraction p makes a fraction
	// p of the labels wrong. This is the label noise of the double-descent literature (Nakkiran et
	// al. 2019).
	OtherClass NoiseKind = iota
	// AnyClass draws uniformly from all k classes, including the true one, so noise of a fraction p
	// makes about p·(k-1)/k of the labels wrong (Zhang et al. 2017).
	AnyClass
)

// draw returns the replacement of a label.
func (kind NoiseKind) draw(label uint8, classes int, rng *rand.Rand) uint8 {
	if kind == AnyClass {
		return uint8(rng.IntN(classes))
	}
	// Draws one of the classes-1 others; adding 1 from the true label on skips the true label.
	other := uint8(rng.IntN(classes - 1))
	if other >= label {
		other++
	}
	return other
}

// checkNoise returns an error for label noise that a data set of so many classes cannot have.
func checkNoise(name string, classes int, fraction float64, kind NoiseKind) error {
	if math.IsNaN(fraction) || fraction < 0 || fraction > 1 {
		return fmt.Errorf("%s: label noise %g, want a fraction from 0 to 1", name, fraction)
	}
	if kind != OtherClass && kind != AnyClass {
		return fmt.Errorf("%s: unknown kind of label noise %d, want OtherClass or AnyClass", name, int(kind))
	}
	if classes < 2 {
		return fmt.Errorf("%s: label noise needs at least 2 classes, but there are %d", name, classes)
	}
	return nil
}

// noisyLabels returns the labels with exactly round(fraction·N) of them replaced.
func noisyLabels(name string, labels []uint8, classes int, fraction float64, kind NoiseKind, seed uint64) ([]uint8,
	error) {
	if err := checkNoise(name, classes, fraction, kind); err != nil {
		return nil, err
	}
	rng := rand.New(rand.NewPCG(seed, streamLabelNoise))
	out := slices.Clone(labels)
	for _, i := range rng.Perm(len(labels))[:int(math.Round(fraction*float64(len(labels))))] {
		out[i] = kind.draw(labels[i], classes, rng)
	}
	return out, nil
}
