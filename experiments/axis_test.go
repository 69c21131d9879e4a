package experiments

import (
	"math"
	"testing"

	"example.com/geometric-complexity/internal/gctest"
)

// classifierRun is a record with the given test accuracies and GC along training.
func classifierRun(seed int64, status Status, accuracies, gcs []float64) *Record {
	r := &Record{Seed: seed, Status: status}
	for i := range gcs {
		r.Points = append(r.Points, Point{Step: int64(i), Values: map[string]Number{
			"test_accuracy": Number(accuracies[i]), "train_gc": Number(gcs[i])}})
	}
	return r
}

func TestAxis(t *testing.T) {
	add := func(label string, r *Record) Done { return Done{Run{Label: label, Seed: r.Seed}, r} }
	a := axis{name: "rate", values: []float64{0, 1, 2}, labels: []string{"none", "one", "two"}, seeds: []int64{5, 6}, done: []Done{
		add("none", classifierRun(5, Complete, []float64{0.1, 0.9, 0.8}, []float64{1, 7, 9})),
		add("none", classifierRun(6, Complete, []float64{0.1, 0.5, 0.5}, []float64{1, 6, 8})),
		add("one", classifierRun(5, Complete, []float64{0.1, 0.7, 0.8}, []float64{1, 3, 4})),
		add("one", classifierRun(6, Complete, []float64{0.1, 0.7, 0.8}, []float64{1, 3, 5})),
		add("two", classifierRun(5, Complete, []float64{0.1, 0.7, 0.8}, []float64{1, 1, 2})),
		add("two", classifierRun(6, Diverged, []float64{0.1}, []float64{1})),
	}}
	nan := math.NaN()
	for _, tc := range []struct {
		name string
		of   quantity
		want [][]float64
	}{
		{"at the end", atEnd("train_gc"), [][]float64{{9, 4, 2}, {8, 5, nan}}},
		// The first of equally good steps counts.
		{"at the best accuracy", atBest("train_gc"), [][]float64{{7, 4, 2}, {6, 5, nan}}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			for i, row := range a.rows(tc.of) {
				for j, v := range row {
					if w := tc.want[i][j]; v != w && !(math.IsNaN(v) && math.IsNaN(w)) {
						t.Errorf("seed %d, value %g: %g; want %g", a.seeds[i], a.values[j], v, w)
					}
				}
			}
		})
	}
	if m := a.trend(atEnd("train_gc")); m.Rho != -1 || len(m.PerSeed) != 2 {
		t.Errorf("trend %+v; want -1 for both seeds, without the diverged run", m)
	}
	if n := a.diverged(); n != 1 {
		t.Errorf("%d diverged runs; want 1", n)
	}
	d := a.difference(atEnd("train_gc"), 0, []int{1})
	gctest.AssertClose(t, d.PerSeed, []float64{-5, -3}, 1e-15, 0, "differences")
	d = a.difference(atEnd("train_gc"), 0, []int{1, 2})
	gctest.AssertClose(t, d.PerSeed, []float64{-6}, 1e-15, 0, "differences of the mean, without the seed that diverged")
}
