package evidence

import (
	"fmt"
	"math"

	"github.com/geometric-complexity/toolkit/experiments/runs"
)

// Matching says at which point of their training the runs of a sweep are compared. GC grows during
// training, so a difference at the last step may only show that one run has progressed further.
type Matching struct {
	Name string // such as "at equal training loss (0.25)"
	// value returns a measured value of a run at that point; NaN if the run has none.
	value func(r *runs.Record, name string) float64
}

// Of returns the quantity that reads a measured value at the matching's point.
func (m Matching) Of(name string) Quantity {
	return func(r *runs.Record) float64 { return m.value(r, name) }
}

var lastStep = Matching{"at the last step", func(r *runs.Record, name string) float64 { return r.FinalValue(name) }}

var bestStep = Matching{"at each run's best test accuracy", func(r *runs.Record, name string) float64 {
	best, value := math.NaN(), math.NaN()
	if !r.Counts() {
		return value
	}
	for _, p := range r.Points {
		// Of several equal accuracies, the first counts.
		if accuracy := p.Value("test_accuracy"); !(accuracy <= best) && !math.IsNaN(accuracy) {
			best, value = accuracy, p.Value(name)
		}
	}
	return value
}}

// EqualLoss compares the runs where their training loss first falls to the smallest loss that all
// of them reach. Between two measurements, positive values are interpolated log-log against the
// loss, and other values linearly against the logarithm of the loss. Runs that diverged or ended no
// better than chance do not count.
func (s Sweep) EqualLoss() Matching { return AtLoss(s.CommonLoss()) }

// CommonLoss is the smallest training loss that all runs reach; NaN if no run counts.
func (s Sweep) CommonLoss() float64 {
	level := math.NaN()
	for _, records := range s.Records {
		for _, r := range records {
			if reached := lowestLoss(r); !math.IsNaN(reached) && !(reached <= level) {
				level = reached
			}
		}
	}
	return level
}

// AtLoss is EqualLoss at another loss.
func AtLoss(level float64) Matching {
	name := fmt.Sprintf("at equal training loss (%.3g)", level)
	if math.IsNaN(level) {
		name = "at equal training loss (no run counts)"
	}
	return Matching{name,
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

// atLoss returns a measured value at the first point where the training loss is at most the level.
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
			return math.NaN() // Some run never fell below its initial loss, so this one is untrained here.
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

// Matchings returns the matchings under which every trend is reported; the first one decides the
// claim.
func (s Sweep) Matchings() []Matching { return []Matching{s.EqualLoss(), lastStep, bestStep} }
