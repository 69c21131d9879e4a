package evidence

import (
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/geometric-complexity/toolkit/experiments/runs"
)

// settingRun is a record with two measurements: at loss 1 with x and y, and at loss 0.5 with twice
// x and with last instead of y.
func settingRun(x, y, last float64) *runs.Record {
	point := func(step int64, loss, x, y float64) runs.Point {
		return runs.Point{Step: step, Values: map[string]runs.Number{"train_loss": runs.Number(loss),
			"test_accuracy": runs.Number(-loss), "x": runs.Number(x), "y": runs.Number(y)}}
	}
	return &runs.Record{Status: runs.Complete,
		Points: []runs.Point{point(0, 2, 9, 9), point(1, 1, x, y), point(2, 0.5, 2*x, last)}}
}

// cells has a label alone, because a pool uses nothing else of an axis.
func cells(n int) Axis { return Axis{Values: make([]float64, n), Cells: make([]Cell, n)} }

func TestAssociation(t *testing.T) {
	// The ranks of y among four settings, by seed: 1 2 3 4, 1 2 4 3 and 2 1 3 4, of x always 1 2 3
	// 4: 1 - 6·Σd²/(4·15) is 1, 0.8 and 0.8.
	records := [][]*runs.Record{
		{settingRun(1, 10, 4), settingRun(1, 10, 4), settingRun(1, 20, 4)},
		{settingRun(2, 20, 3), settingRun(2, 20, 3), settingRun(2, 10, 3)},
		{settingRun(3, 30, 2), settingRun(3, 40, 2), settingRun(3, 30, 2)},
		{settingRun(4, 40, 1), settingRun(4, 30, 1), settingRun(4, 40, 1)},
	}
	// One run stops at loss 1, so that all are compared there.
	for _, r := range records[0] {
		r.Points = r.Points[:2]
	}
	first := Sweep{Axis: cells(2), Records: records[:2]}
	second := Sweep{Axis: cells(3), Records: records[1:]}
	pool := Pool(first, second)
	if len(pool.Records) != 4 || len(pool.Values) != 4 || len(pool.Cells) != 4 {
		t.Fatalf("%d settings, %d values, %d cells; want 4, the common one once", len(pool.Records), len(pool.Values),
			len(pool.Cells))
	}
	text := ClaimText{ID: "id", Text: "y rises with x"}
	claim := pool.Association(text, Column{"X", "x"}, Column{"Y", "y"}, Rises)
	mean := (1 + 0.8 + 0.8) / 3
	if math.Abs(float64(claim.Value)-mean) > 1e-12 || claim.Verdict != Holds || len(claim.PerSeed) != 3 {
		t.Errorf("claim %+v; want a correlation of %g that holds", claim, mean)
	}
	const want = "rank correlation of Y with X: 0.87 [0.58, 1] over 4 settings, at equal training loss (1)"
	if !strings.HasPrefix(claim.Evidence, want) || len(claim.Matched) != 3 {
		t.Errorf("evidence %q, %d matchings; want %q, 3", claim.Evidence, len(claim.Matched), want)
	}
	// At the last step y is 10 or 20 in the first setting, and falls from 3 to 1 in the others:
	// ranks 4 3 2 1 for all seeds, which three cannot decide.
	if last := claim.Matched[1]; float64(last.Value) != -1 || last.Verdict != Undecided || last.Interval != nil {
		t.Errorf("at the last step %+v; want -1, without an interval, undecided", last)
	}
	if falls := pool.Association(text, Column{"X", "x"}, Column{"Y", "y"}, Falls); falls.Verdict != DoesNotHold {
		t.Errorf("the opposite claim: %s", falls.Verdict)
	}
	// Runs that do not count are left out, and said so.
	for _, setting := range records {
		setting[2].Dead = true
	}
	claim = pool.Association(text, Column{"X", "x"}, Column{"Y", "y"}, Rises)
	const left = "left out: 4 run(s) that ended at chance; 2 seed(s) cannot decide it"
	if claim.Verdict != Undecided || !strings.Contains(claim.Evidence, left) {
		t.Errorf("%s: %s", claim.Verdict, claim.Evidence)
	}
}

// Ten seeds that agree decide a claim, three do not: by the sign test the p-values are 1/512 and
// 1/4.
func TestAgreeingSeeds(t *testing.T) {
	for n, want := range map[int]Verdict{3: Undecided, 5: Undecided, 10: Holds} {
		perSeed := slices.Repeat([]float64{0.7}, n)
		claim := RankClaim(ClaimText{ID: "id"}, "y with x", perSeed, Above(0), "")
		if claim.Verdict != want || float64(*claim.P) != math.Pow(2, float64(1-n)) {
			t.Errorf("%d seeds: %s, p %g; want %s", n, claim.Verdict, float64(*claim.P), want)
		}
		if said := strings.Contains(claim.Evidence, "all give the same value cannot decide"); said == (want == Holds) {
			t.Errorf("%d seeds: %s", n, claim.Evidence)
		}
	}
	// A claim that no value exceeds a limit needs no spread.
	if c := LimitClaim(ClaimText{ID: "id"}, "largest", []float64{0, 0, 0}, 1, ""); c.Verdict != Holds ||
		strings.Contains(c.Evidence, "same value") {
		t.Errorf("%s: %s", c.Verdict, c.Evidence)
	}
}

func TestPowerLaw(t *testing.T) {
	// At the last step y = c·x^1.45, x^1.5 and x^1.55 with a factor c for each seed, on x twice
	// that of the step before. The standard error is 0.05/√3, and the t interval 4.3027 times as
	// wide.
	var records [][]*runs.Record
	for _, x := range []float64{1, 2, 4} {
		var setting []*runs.Record
		for i, c := range []float64{1, 3, 0.2} {
			setting = append(setting, settingRun(x, 7, c*math.Pow(2*x, 1.45+0.05*float64(i))))
		}
		records = append(records, setting)
	}
	sweep := Sweep{Axis: cells(3), Records: records}
	text, x, y := ClaimText{ID: "id", Text: "y follows x"}, Column{"X", "x"}, Column{"Y", "y"}
	claim := sweep.PowerLaw(text, x, y, Between(1.25, 1.75))
	if math.Abs(float64(claim.Value)-1.5) > 1e-12 || claim.Verdict != Holds || len(claim.PerSeed) != 3 {
		t.Errorf("claim %+v; want an exponent of 1.5 that holds", claim)
	}
	const want = "exponent of Y in X: 1.50 [1.38, 1.62] over 3 settings, at the last step; at equal training loss"
	if !strings.HasPrefix(claim.Evidence, want) || len(claim.Matched) != 3 {
		t.Errorf("evidence %q, %d matchings; want %q, 3", claim.Evidence, len(claim.Matched), want)
	}
	if other := sweep.PowerLaw(text, x, y, Between(0.75, 1.25)); other.Verdict != DoesNotHold {
		t.Errorf("proportional: %s", other.Verdict)
	}
	if v := exponent([]float64{1, 0, 4, math.NaN()}, []float64{2, 1, 8, 1}); math.Abs(v-1) > 1e-12 {
		t.Errorf("exponent %g without the values that have no logarithm; want 1", v)
	}
	if v := exponent([]float64{1, 2}, []float64{-1, 2}); !math.IsNaN(v) {
		t.Errorf("exponent %g of one point; want NaN", v)
	}
}
