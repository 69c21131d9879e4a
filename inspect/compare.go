package inspect

import (
	"cmp"
	"context"
	"encoding/json"
	"io"
	"math"
	"slices"

	"github.com/gomlx/compute"
	"github.com/pkg/errors"
	"gonum.org/v1/gonum/floats"

	"github.com/geometric-complexity/toolkit/gcml"
	"github.com/geometric-complexity/toolkit/internal/stats"
)

// CompareOptions say how networks are compared. The zero value is right for most.
type CompareOptions struct {
	// Estimator is how the GC is computed, with the same Seed for each network. The zero value is
	// gcml.Exact.
	Estimator gcml.Estimator
	Seed      int64
	// Scores has one number for each subject, such as its accuracy on another task, or is empty.
	Scores []float64
	// Progress is called with the subject at work and the number of its examples that were done
	// since the last call.
	Progress func(subject string, examples int)
}

// Comparison has several networks, ranked by their GC on the same examples.
type Comparison struct {
	Dataset   string `json:"dataset"`
	Examples  int    `json:"examples"`
	Estimator string `json:"estimator"`
	Backend   string `json:"backend"`
	// Ranked has the networks, the lowest GC first.
	Ranked []Ranked `json:"ranked"`
	// Scores is the rank correlation of GC with the scores, nil without scores.
	Scores *Correlation `json:"scores,omitempty"`
}

// Ranked is a network in a Comparison.
type Ranked struct {
	Name   string             `json:"name"`
	GC     float64            `json:"gc"`
	StdErr gcml.StandardError `json:"stderr"`
	// Low and High are the 95 % interval of GC, null for one example.
	Low  Number `json:"low"`
	High Number `json:"high"`
	// AboveBefore and AboveFirst say how far GC is above that of the network before it and of the
	// first; nil for the first.
	AboveBefore *Difference `json:"above_before,omitempty"`
	AboveFirst  *Difference `json:"above_first,omitempty"`
	Score       *float64    `json:"score,omitempty"`
}

// Difference is the mean over the examples of the difference of two networks' squared Jacobian
// norms.
type Difference struct {
	Mean float64 `json:"mean"`
	// Low and High are its paired 95 % interval, Student's t, null for one example. It is narrower
	// than the intervals of the two GCs if examples that are steep for one network are steep for
	// the other.
	Low  Number `json:"low"`
	High Number `json:"high"`
}

// IsClear says whether the interval does not hold 0.
func (d Difference) IsClear() bool { return d.Low > 0 || d.High < 0 }

// Correlation is Spearman's rank correlation.
type Correlation struct {
	// Rho is null if all GCs or all scores are equal.
	Rho Number `json:"rho"`
	// P is the two-sided p-value by permutation: the fraction of all orders of the scores that have
	// a correlation at least as far from 0. It is null if Rho is.
	P Number `json:"p"`
}

// Compare measures the GC of each subject on its data, and ranks them. All subjects must have the
// same examples in the same order; that they have the same number is checked. Cancelling ctx stops
// between two batches and returns its error.
//
// It returns the errors of gcml.Measure, and one for fewer than two subjects, for two of one name,
// for Scores of another number than the subjects, and for scores that are NaN or infinite.
func Compare(ctx context.Context, backend compute.Backend, subjects []Subject, o CompareOptions) (*Comparison, error) {
	if err := checkComparison(subjects, o); err != nil {
		return nil, err
	}
	norms := make(map[string][]float64)
	c := &Comparison{Dataset: subjects[0].Data.Name(), Backend: backend.Name()}
	for i, s := range subjects {
		opts := []gcml.Option{s.pick(), gcml.WithEstimator(o.Estimator), gcml.WithSeed(o.Seed), gcml.WithPerExample()}
		if o.Progress != nil {
			o.Progress(s.Name, 0)
			last := 0
			opts = append(opts, gcml.WithProgress(func(done int) { o.Progress(s.Name, done-last); last = done }))
		}
		r, err := gcml.Measure(ctx, backend, s.Store, s.output, s.Data, opts...)
		if err != nil {
			return nil, errors.WithMessage(err, s.Name)
		}
		if i > 0 && r.Examples != c.Examples {
			return nil, errors.Errorf("inspect: %s has %d examples, but %s has %d: want the same for all", s.Name, r.Examples,
				subjects[0].Name, c.Examples)
		}
		c.Examples, c.Estimator = r.Examples, r.Estimator
		norms[s.Name] = r.PerExample
		low, high := r.Interval(stats.Level)
		ranked := Ranked{Name: s.Name, GC: r.GC, StdErr: r.StdErr, Low: Number(low), High: Number(high)}
		if len(o.Scores) > 0 {
			ranked.Score = &o.Scores[i]
		}
		c.Ranked = append(c.Ranked, ranked)
	}
	slices.SortStableFunc(c.Ranked, func(a, b Ranked) int { return cmp.Compare(a.GC, b.GC) })
	for i := 1; i < len(c.Ranked); i++ {
		r := &c.Ranked[i]
		r.AboveBefore = paired(norms[r.Name], norms[c.Ranked[i-1].Name])
		r.AboveFirst = paired(norms[r.Name], norms[c.Ranked[0].Name])
	}
	c.Scores = c.correlation()
	return c, nil
}

func checkComparison(subjects []Subject, o CompareOptions) error {
	if len(subjects) < 2 {
		return errors.Errorf("inspect: %d networks to compare: want two or more", len(subjects))
	}
	seen := make(map[string]bool)
	for _, s := range subjects {
		if s.Store == nil || s.Model == nil || s.Data == nil {
			return errors.Errorf("inspect: the subject %q lacks its store, model or data", s.Name)
		}
		if seen[s.Name] {
			return errors.Errorf("inspect: two networks are named %q", s.Name)
		}
		seen[s.Name] = true
	}
	if len(o.Scores) > 0 && len(o.Scores) != len(subjects) {
		return errors.Errorf("inspect: %d scores for %d networks: want one for each", len(o.Scores), len(subjects))
	}
	for _, score := range o.Scores {
		if !stats.Finite(score) {
			return errors.Errorf("inspect: the score %g is no finite number", score)
		}
	}
	return nil
}

// paired returns the mean of a - b with its interval.
func paired(a, b []float64) *Difference {
	differences := floats.SubTo(make([]float64, len(a)), a, b)
	interval := stats.TInterval(differences, stats.Level)
	return &Difference{Mean: floats.Sum(differences) / float64(len(a)), Low: Number(interval.Lo),
		High: Number(interval.Hi)}
}

func (c *Comparison) correlation() *Correlation {
	var gcs, scores []float64
	for _, r := range c.Ranked {
		if r.Score == nil {
			return nil
		}
		gcs, scores = append(gcs, r.GC), append(scores, *r.Score)
	}
	result := &Correlation{Rho: Number(stats.Spearman(gcs, scores)), P: Number(math.NaN())}
	if result.Rho.IsFinite() {
		result.P = Number(stats.SpearmanTest(gcs, scores))
	}
	return result
}

// JSON writes the comparison as indented JSON.
func (c *Comparison) JSON(w io.Writer) error {
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	return encoder.Encode(c)
}
