package runs

import (
	"testing"
	"time"
)

// recordOf returns a complete record of a run that took some seconds.
func recordOf(t *testing.T, item Item, backendName string, seconds float64) *Record {
	t.Helper()
	r, err := item.newRecord(backendName)
	if err != nil {
		t.Fatal(err)
	}
	r.Status, r.Provenance.Seconds = Complete, seconds
	return r
}

func TestEstimate(t *testing.T) {
	// Tasks 0 and 1 with two seeds each.
	_, items := scriptedItems(t, t.TempDir(), "one", []int64{0, 1}, "complete", "complete")
	_, others := scriptedItems(t, t.TempDir(), "two", []int64{7, 8}, "complete", "complete")
	seed7, seed8, task1 := others[0], others[2], others[1]
	diverged := recordOf(t, seed7, "go", 1)
	diverged.Status = Diverged
	revised := recordOf(t, seed7, "go", 1)
	revised.Revision++
	for _, tc := range []struct {
		name    string
		known   []*Record
		workers int
		want    Estimate
	}{
		{"nothing known", nil, 1, Estimate{Todo: 4}},
		{"another backend", []*Record{recordOf(t, seed7, "xla:cpu", 1)}, 1, Estimate{Todo: 4}},
		{"diverged", []*Record{diverged}, 1, Estimate{Todo: 4}},
		{"another revision", []*Record{revised}, 1, Estimate{Todo: 4}},
		{"mean over seeds of one task, which the other task takes as well",
			[]*Record{recordOf(t, seed7, "go", 1), recordOf(t, seed8, "go", 3)}, 1,
			Estimate{Todo: 4, Known: 4, Sources: 2, Time: 8 * time.Second}},
		{"both tasks", []*Record{recordOf(t, seed7, "go", 1), recordOf(t, task1, "go", 10)}, 1,
			Estimate{Todo: 4, Known: 4, Sources: 2, Time: 22 * time.Second}},
		{"two workers", []*Record{recordOf(t, seed7, "go", 1), recordOf(t, task1, "go", 10)}, 2,
			Estimate{Todo: 4, Known: 4, Sources: 2, Time: 11 * time.Second}},
		{"no sooner than the longest run", []*Record{recordOf(t, seed7, "go", 1), recordOf(t, task1, "go", 10)}, 4,
			Estimate{Todo: 4, Known: 4, Sources: 2, Time: 10 * time.Second}},
	} {
		got, err := (&Schedule{Items: items, BackendName: "go"}).Estimate(tc.known, tc.workers)
		if err != nil || got != tc.want {
			t.Errorf("%s: %+v, %v; want %+v", tc.name, got, err, tc.want)
		}
	}
}

// Complete runs take no more time. A task that is not known, in an experiment of which nothing is,
// leaves the estimate incomplete.
func TestEstimateOfTheRest(t *testing.T) {
	out := t.TempDir()
	_, done := scriptedItems(t, out, "one", []int64{0}, "complete")
	if _, err := (&Schedule{Items: done, BackendName: "go"}).Run(t.Context(), workersOf(t, 1)...); err != nil {
		t.Fatal(err)
	}
	_, items := scriptedItems(t, out, "one", []int64{0, 1, 2}, "complete")
	_, other := scriptedItems(t, out, "two", []int64{0}, "complete", "complete")
	items = append(items, other[1])
	known := []*Record{recordOf(t, done[0], "go", 4)}
	got, err := (&Schedule{Items: items, BackendName: "go"}).Estimate(known, 1)
	if want := (Estimate{Todo: 3, Known: 2, Sources: 1, Time: 8 * time.Second}); err != nil || got != want {
		t.Errorf("%+v, %v; want %+v", got, err, want)
	}
}
