package experiments

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/geometric-complexity/toolkit/experiments/runs"
)

// bestValidated chooses for each seed, from records [setting][seed], the one of the highest
// validation accuracy at the last step, and of equal ones that of the lowest validation loss. Runs
// that diverged are chosen only if all did. settings are the indices of the chosen settings.
func bestValidated(records [][]*runs.Record) (best []*runs.Record, settings []int) {
	best, settings = slices.Clone(records[0]), make([]int, len(records[0]))
	for setting, of := range records[1:] {
		for seed, r := range of {
			if betterValidated(r, best[seed]) {
				best[seed], settings[seed] = r, setting+1
			}
		}
	}
	return best, settings
}

// betterValidated reports whether a run does better on its validation images than another.
func betterValidated(r, other *runs.Record) bool {
	accuracy, best := r.FinalValue("validation_accuracy"), other.FinalValue("validation_accuracy")
	if math.IsNaN(accuracy) || math.IsNaN(best) {
		return math.IsNaN(best) && !math.IsNaN(accuracy)
	}
	if accuracy != best {
		return accuracy > best
	}
	return r.FinalValue("validation_loss") < other.FinalValue("validation_loss")
}

// countsOf counts the chosen values, such as "0.1 (7), 1 (3)".
func countsOf(values, chosen []float64) string {
	var counts []string
	for _, v := range values {
		n := 0
		for _, c := range chosen {
			if c == v {
				n++
			}
		}
		if n > 0 {
			counts = append(counts, fmt.Sprintf("%g (%d)", v, n))
		}
	}
	return strings.Join(counts, ", ")
}
