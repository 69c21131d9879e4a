package evidence

import (
	"fmt"
	"math"

	"example.com/geometric-complexity/experiments/runs"
)

// Matching says at which point of their trainings the runs of a sweep are compared. A network that is
// further in its training has more GC, so that a difference at the last step may be one of progress.
type Matching struct {
	Name string // such as "at equal training loss (0.25)"
	// value gives a measured value of a run there; NaN where the run has none.
	value func(r *runs.Record, name string) float64
}

// of is the quantity of a measured value under the matching.
func (m Matching) of(name string) Quantity {
	return func(r *runs.Record) float64 { return m.value(r, name) }
}

var lastStep = Matching{"at the last step", func(r *runs.Record, name string) float64 { return r.FinalValue(name) }}

var bestStep = Matching{"at each run's best test accuracy", func(r *runs.Record, name string) float64 {
	best, value := math.NaN(), math.NaN()
	if !r.Counts() {
		return value
	}
	for _, p := range r.Points {
		// The first of several equal ones.
		if accuracy := p.Value("test_accuracy"); !(accuracy <= best) && !math.IsNaN(accuracy) {
			best, value = accuracy, p.Value(name)
		}
	}
	return value
}}

// EqualLoss compares the runs where their training loss first comes down to the smallest loss that all
// of them reach. Between two measurements the loss and positive values are interpolated in their
// logarithms, others linearly in the logarithm of the loss. Runs that diverged or stayed at chance do
// not count.
func (s Sweep) EqualLoss() Matching {
	level := math.NaN()
	for _, records := range s.Records {
		for _, r := range records {
			if reached := lowestLoss(r); !math.IsNaN(reached) && !(reached <= level) {
				level = reached
			}
		}
	}
	return Matching{fmt.Sprintf("at equal training loss (%.3g)", level),
		func(r *runs.Record, name string) float64 { return atLoss(r, level, name) }}
}

func lowestLoss(r *runs.Record) float64 {
	lowest := math.NaN()
	if !r.Counts() {
		return lowest
	}
	for _, p := range r.Points {
		lowest = MinNaN(lowest, p.Value("train_loss"))
	}
	return lowest
}

// atLoss is a value where the training loss first is at most the level.
func atLoss(r *runs.Record, level float64, name string) float64 {
	if !r.Counts() {
		return math.NaN()
	}
	for i, p := range r.Points {
		loss := p.Value("train_loss")
		if !(loss <= level) {
			continue
		}
		if i == 0 {
			return math.NaN() // Nothing is trained yet: a run of the sweep never came below its first loss.
		}
		if before := r.Points[i-1]; before.Value("train_loss") > level {
			return between(before.Value("train_loss"), loss, level, before.Value(name), p.Value(name))
		}
		return p.Value(name)
	}
	return math.NaN()
}

// between interpolates from (x1, y1) to (x2, y2) at x, in log x and, if both are positive, log y.
func between(x1, x2, x, y1, y2 float64) float64 {
	if !(x2 > 0) || x1 == x2 {
		return y2
	}
	part := math.Log(x1/x) / math.Log(x1/x2)
	if y1 > 0 && y2 > 0 {
		return y1 * math.Pow(y2/y1, part)
	}
	return y1 + part*(y2-y1)
}

// Matchings are the ones that every claim on a trend is decided under, the decisive one first.
func (s Sweep) Matchings() []Matching { return []Matching{s.EqualLoss(), lastStep, bestStep} }
