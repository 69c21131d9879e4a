package experiments

import (
	"fmt"
	"math"

	"example.com/geometric-complexity/internal/plots"
)

// pick returns the records of a label, one per seed and in the seeds' order. It
// panics if one is missing: a report is only made when all runs are done.
func pick(done []Done, label string, seeds []int64) []*Record {
	out := make([]*Record, 0, len(seeds))
	for _, seed := range seeds {
		found := false
		for _, d := range done {
			if d.Label == label && d.Record.Seed == seed {
				out, found = append(out, d.Record), true
				break
			}
		}
		if !found {
			panic(fmt.Sprintf("experiments: no record of %q with seed %d", label, seed))
		}
	}
	return out
}

// series returns the steps and values of a quantity along a run.
func series(r *Record, name string) (steps, values []float64) {
	for _, p := range r.Points {
		steps, values = append(steps, float64(p.Step)), append(values, p.Value(name))
	}
	return steps, values
}

// finals are the last values of a quantity, one per record; NaN where diverged.
func finals(records []*Record, name string) []float64 {
	out := make([]float64, len(records))
	for i, r := range records {
		out[i] = r.FinalValue(name)
	}
	return out
}

// pad fills values up to a length with NaN, for runs that ended early.
func pad(values []float64, n int) []float64 {
	for len(values) < n {
		values = append(values, math.NaN())
	}
	return values
}

func constant(value float64, n int) []float64 {
	out := make([]float64, n)
	for i := range out {
		out[i] = value
	}
	return out
}

// spread returns n of the points, evenly from the first to the last.
func spread(points []Point, n int) []Point {
	if len(points) <= n {
		return points
	}
	out := make([]Point, n)
	for i := range out {
		out[i] = points[i*(len(points)-1)/(n-1)]
	}
	return out
}

// bandOf is a line through the mean over seeds with a band from the smallest to
// the largest. perSeed holds a row of values per seed; NaN values are left out.
func bandOf(name string, x []float64, perSeed [][]float64) plots.Series {
	s := plots.Series{Name: name, X: x}
	for i := range x {
		sum, n, lo, hi := 0.0, 0, math.NaN(), math.NaN()
		for _, row := range perSeed {
			if v := row[i]; !math.IsNaN(v) {
				sum, n = sum+v, n+1
				lo, hi = minNaN(lo, v), maxNaN(hi, v)
			}
		}
		s.Y = append(s.Y, sum/float64(n))
		s.Lo, s.Hi = append(s.Lo, lo), append(s.Hi, hi)
	}
	return s
}

func minNaN(a, b float64) float64 {
	if math.IsNaN(a) || b < a {
		return b
	}
	return a
}

func maxNaN(a, b float64) float64 {
	if math.IsNaN(a) || b > a {
		return b
	}
	return a
}

// alongTraining is a quantity along training over the seeds' records.
func alongTraining(name string, records []*Record, quantity string) plots.Series {
	var x []float64
	rows := make([][]float64, len(records))
	for i, r := range records {
		steps, values := series(r, quantity)
		if len(steps) > len(x) {
			x = steps
		}
		rows[i] = values
	}
	for i := range rows {
		rows[i] = pad(rows[i], len(x))
	}
	return bandOf(name, x, rows)
}

func bandCaption(seeds int) string {
	return fmt.Sprintf("Lines: mean over %d seeds; bands: smallest to largest.", seeds)
}
