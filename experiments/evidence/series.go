package evidence

import (
	"fmt"
	"math"

	"github.com/geometric-complexity/toolkit/experiments/runs"
	"github.com/geometric-complexity/toolkit/internal/plots"
)

// Series returns the steps and values of a quantity along a run.
func Series(r *runs.Record, name string) (steps, values []float64) {
	for _, p := range r.Points {
		steps, values = append(steps, float64(p.Step)), append(values, p.Value(name))
	}
	return steps, values
}

// Finals returns the last value of a quantity for each record; it is NaN for runs that do not
// count.
func Finals(records []*runs.Record, name string) []float64 { return Values(records, AtEnd(name)) }

// Values returns a quantity of each record.
func Values(records []*runs.Record, of Quantity) []float64 {
	values := make([]float64, len(records))
	for i, r := range records {
		values[i] = of(r)
	}
	return values
}

// Pad fills values up to a length with NaN, for runs that ended early.
func Pad(values []float64, n int) []float64 {
	for len(values) < n {
		values = append(values, math.NaN())
	}
	return values
}

// Constant returns a slice of n equal values.
func Constant(value float64, n int) []float64 {
	out := make([]float64, n)
	for i := range out {
		out[i] = value
	}
	return out
}

// Spread returns n of the points, evenly from the first to the last.
func Spread(points []runs.Point, n int) []runs.Point {
	if len(points) <= n {
		return points
	}
	out := make([]runs.Point, n)
	for i := range out {
		out[i] = points[i*(len(points)-1)/(n-1)]
	}
	return out
}

// BandOf returns a line through the mean over seeds with a band from the smallest to the largest
// value. perSeed has a row of values for each seed; NaN values are ignored.
func BandOf(name string, x []float64, perSeed [][]float64) plots.Series {
	s := plots.Series{Name: name, X: x}
	for i := range x {
		sum, n, lo, hi := 0.0, 0, math.NaN(), math.NaN()
		for _, row := range perSeed {
			if v := row[i]; !math.IsNaN(v) {
				sum, n = sum+v, n+1
				lo, hi = MinNaN(lo, v), maxNaN(hi, v)
			}
		}
		s.Y = append(s.Y, sum/float64(n))
		s.Lo, s.Hi = append(s.Lo, lo), append(s.Hi, hi)
	}
	return s
}

// MinNaN returns the smaller of two values, ignoring a NaN.
func MinNaN(a, b float64) float64 {
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

// AlongTraining returns the band of a quantity against the training step, over the records of
// several seeds.
func AlongTraining(name string, records []*runs.Record, quantity string) plots.Series {
	var x []float64
	rows := make([][]float64, len(records))
	for i, r := range records {
		steps, values := Series(r, quantity)
		if len(steps) > len(x) {
			x = steps
		}
		rows[i] = values
	}
	for i := range rows {
		rows[i] = Pad(rows[i], len(x))
	}
	return BandOf(name, x, rows)
}

// BandCaption explains the lines and bands of BandOf in a caption.
func BandCaption(seeds int) string {
	return fmt.Sprintf("Lines: mean over %d seeds; bands: smallest to largest.", seeds)
}
