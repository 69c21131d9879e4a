package evidence

import (
	"math"
	"testing"

	"github.com/geometric-complexity/toolkit/internal/stats"
)

func TestVerdicts(t *testing.T) {
	interval := func(lo, hi float64) stats.Interval { return stats.Interval{Lo: lo, Hi: hi} }
	for _, tc := range []struct {
		name  string
		c     Criterion
		i     stats.Interval
		seeds int
		want  Verdict
	}{
		{"below", Below(0), interval(-1, -0.5), 3, Holds},
		{"crosses", Below(0), interval(-1, 0.5), 3, Undecided},
		{"touches", Below(0), interval(-1, 0), 3, Undecided},
		{"beyond", Below(0), interval(0.1, 0.5), 3, DoesNotHold},
		{"above", Above(-0.1), interval(-0.05, 1), 3, Holds},
		{"not above", Above(0), interval(-1, -0.1), 3, DoesNotHold},
		{"within", Between(0.8, 1.25), interval(0.9, 1.1), 5, Holds},
		{"outside", Between(0.8, 1.25), interval(1.3, 1.4), 5, DoesNotHold},
		{"wider", Between(0.8, 1.25), interval(0.5, 2), 5, Undecided},
		{"two seeds", Below(0), interval(-1, -0.5), 2, Undecided},
		{"no interval", Below(0), interval(math.NaN(), math.NaN()), 3, Undecided},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := tc.c.decide(tc.i, tc.seeds); got != tc.want {
				t.Errorf("verdict %q; want %q", got, tc.want)
			}
		})
	}
}

func TestTableText(t *testing.T) {
	got := Table{Title: "Title", Header: []string{"", "value"}, Rows: [][]string{{"größe", "1 ± 2"}, {"b", "10.5"}},
		Notes: "A note."}.String()
	want := "Title\n         value\n  -----  -----\n  größe  1 ± 2\n  b       10.5\n  A note.\n"
	if got != want {
		t.Errorf("table:\n%q; want\n%q", got, want)
	}
}

func TestLimitClaim(t *testing.T) {
	for _, tc := range []struct {
		name    string
		perSeed []float64
		want    Verdict
	}{
		{"below", []float64{1, 0, 0.5}, Holds},
		{"one above", []float64{0, 1.01, 0}, DoesNotHold},
		{"two seeds", []float64{0, 0}, Undecided},
		{"two seeds above", []float64{2, 0}, DoesNotHold},
		{"not a number", []float64{0, math.NaN(), 0}, Undecided},
		{"not a number beside one above", []float64{2, math.NaN(), 0}, DoesNotHold},
		{"none", nil, Undecided},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := LimitClaim(ClaimText{ID: "id", Text: "a claim"}, "largest", tc.perSeed, 1, "").Verdict; got != tc.want {
				t.Errorf("verdict %q; want %q", got, tc.want)
			}
		})
	}
}

func TestSummary(t *testing.T) {
	text, none := ClaimText{ID: "id", Text: "a claim"}, stats.Interval{Lo: math.NaN(), Hi: math.NaN()}
	for _, tc := range []struct {
		perSeed []float64
		want    string
	}{
		{[]float64{1, 2, 3}, "mean 2"},
		{[]float64{1, 3}, "mean 2; 2 seed(s) cannot decide it, at least 3 are needed"},
	} {
		claim := newClaim(text, "mean", 2, tc.perSeed, none, Above(0), "more; and more")
		claim.Evidence += "; what an experiment adds" // The summary is not cut out of it.
		if got := claim.Summary(); got != tc.want {
			t.Errorf("of %d seeds: %q; want %q", len(tc.perSeed), got, tc.want)
		}
	}
}
