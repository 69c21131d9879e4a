package evidence

import (
	"math"
	"strings"
	"testing"

	"github.com/geometric-complexity/toolkit/experiments/runs"
	"github.com/geometric-complexity/toolkit/internal/gctest"
)

// classifierRun is a record with the given test accuracies and GC along training.
func classifierRun(seed int64, status runs.Status, accuracies, gcs []float64) *runs.Record {
	r := &runs.Record{Seed: seed, Status: status}
	for i := range gcs {
		r.Points = append(r.Points, runs.Point{Step: int64(i), Values: map[string]runs.Number{
			"test_accuracy": runs.Number(accuracies[i]), "train_gc": runs.Number(gcs[i])}})
	}
	return r
}

func TestSweep(t *testing.T) {
	a := Sweep{Axis: Axis{Name: "rate", Values: []float64{0, 1, 2}}, Records: [][]*runs.Record{
		{classifierRun(5, runs.Complete, []float64{0.1, 0.9, 0.8}, []float64{1, 7, 9}),
			classifierRun(6, runs.Complete, []float64{0.1, 0.5, 0.5}, []float64{1, 6, 8})},
		{classifierRun(5, runs.Complete, []float64{0.1, 0.7, 0.8}, []float64{1, 3, 4}),
			classifierRun(6, runs.Complete, []float64{0.1, 0.7, 0.8}, []float64{1, 3, 5})},
		{classifierRun(5, runs.Complete, []float64{0.1, 0.7, 0.8}, []float64{1, 1, 2}),
			classifierRun(6, runs.Diverged, []float64{0.1}, []float64{1})},
	}}
	nan := math.NaN()
	for _, tc := range []struct {
		name string
		of   Quantity
		want [][]float64
	}{
		{"at the end", AtEnd("train_gc"), [][]float64{{9, 4, 2}, {8, 5, nan}}},
		// The first of equally good steps counts.
		{"at the best accuracy", AtBest("train_gc"), [][]float64{{7, 4, 2}, {6, 5, nan}}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			for i, row := range a.Rows(tc.of) {
				for j, v := range row {
					if w := tc.want[i][j]; v != w && !(math.IsNaN(v) && math.IsNaN(w)) {
						t.Errorf("seed number %d, value %g: %g; want %g", i, a.Values[j], v, w)
					}
				}
			}
		})
	}
	d := a.Difference(AtEnd("train_gc"), 0, []int{1})
	gctest.AssertClose(t, d.PerSeed, []float64{-5, -3}, 1e-15, 0, "differences")
	d = a.Difference(AtEnd("train_gc"), 0, []int{1, 2})
	gctest.AssertClose(t, d.PerSeed, []float64{-6}, 1e-15, 0, "differences of the mean, without the seed that diverged")
}

// TestTableOfRunsLeftOut: a row without any run that counts has a dash, and the notes say how many
// are left out.
func TestTableOfRunsLeftOut(t *testing.T) {
	accuracies, gcs := []float64{0.1, 0.9}, []float64{1, 7}
	dead := classifierRun(5, runs.Complete, []float64{0.1, 0.1}, []float64{1, 0})
	dead.Dead = true
	s := Sweep{Axis: Axis{Name: "rate", Values: []float64{0, 1}}, Records: [][]*runs.Record{
		{classifierRun(5, runs.Complete, accuracies, gcs), classifierRun(6, runs.Complete, accuracies, []float64{1, 9})},
		{dead, classifierRun(6, runs.Diverged, []float64{0.1}, []float64{1})},
	}}
	gc := Column{"GC", "train_gc"}
	for _, table := range []Table{s.Table("all"), s.TableOf("GC alone", gc)} {
		if got := table.Rows[0][len(table.Rows[0])-1]; got != "8 ± 1.4" {
			t.Errorf("%s: GC of the first row is %q", table.Title, got)
		}
		if got := table.Rows[1][len(table.Rows[1])-1]; got != "–" {
			t.Errorf("%s: GC of the second row is %q", table.Title, got)
		}
		if !strings.HasSuffix(table.Notes, " Left out: 1 diverged run(s) and 1 run(s) that ended at chance.") {
			t.Errorf("%s: notes %q", table.Title, table.Notes)
		}
	}
	twice := NotesOn("Rows.", []*runs.Record{dead}, []*runs.Record{dead})
	if twice != "Rows. Left out: 1 run(s) that ended at chance." {
		t.Errorf("notes %q of a run in two rows", twice)
	}
	s.Records = s.Records[:1]
	s.Values = s.Values[:1]
	if notes := s.TableOf("GC alone", gc).Notes; notes != "Mean ± standard deviation over 2 seeds at the last step." {
		t.Errorf("notes %q", notes)
	}
}
