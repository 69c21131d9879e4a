package evidence

import (
	"math"
	"strings"
	"testing"

	"github.com/geometric-complexity/toolkit/experiments/runs"
	"github.com/geometric-complexity/toolkit/internal/gctest"
)

// trained is a record whose training loss and GC along training are given.
func trained(losses, gcs []float64) *runs.Record {
	r := &runs.Record{Status: runs.Complete}
	for i, loss := range losses {
		r.Points = append(r.Points, runs.Point{Step: int64(i), Values: map[string]runs.Number{
			"train_loss": runs.Number(loss), "train_gc": runs.Number(gcs[i]), "test_accuracy": runs.Number(1 - loss/8)}})
	}
	return r
}

// TestEqualLoss compares runs at equal loss. The first run's smallest loss is 1, so all are
// compared there. The second has that loss between its points of loss 2 and 0.5, halfway in the
// logarithm, where its GC is √(10·40) = 20.
func TestEqualLoss(t *testing.T) {
	diverged, dead := trained([]float64{4, 3}, []float64{1, 1}), trained([]float64{4, 3.9}, []float64{0, 0})
	diverged.Status, dead.Dead = runs.Diverged, true
	first, second := trained([]float64{4, 2, 1, 1.5}, []float64{1, 5, 7, 9}),
		trained([]float64{4, 2, 0.5}, []float64{1, 10, 40})
	s := Sweep{Axis: Axis{Name: "rate", Values: []float64{1, 2, 3, 4}},
		Records: [][]*runs.Record{{first}, {second}, {diverged}, {dead}}}
	m := s.EqualLoss()
	if m.Name != "at equal training loss (1)" {
		t.Errorf("matching %q", m.Name)
	}
	row := s.Rows(m.Of("train_gc"))[0]
	gctest.AssertClose(t, row[:2], []float64{7, 20}, 1e-12, 0, "GC at equal loss")
	if !math.IsNaN(row[2]) || !math.IsNaN(row[3]) {
		t.Errorf("runs that are left out have GC %v", row[2:])
	}
	if got, want := s.LeftOut(), "left out: 1 diverged run(s) and 1 run(s) that ended at chance"; got != want {
		t.Errorf("%q; want %q", got, want)
	}
	untrained := Sweep{Axis: s.Axis,
		Records: [][]*runs.Record{{trained([]float64{2, 3}, []float64{1, 2})}, {trained([]float64{2, 1}, []float64{1, 2})}}}
	if row := untrained.Rows(untrained.EqualLoss().Of("train_gc"))[0]; !math.IsNaN(row[0]) || !math.IsNaN(row[1]) {
		t.Errorf("where a run never came below its first loss, GC is %v", row)
	}
	none := Sweep{Axis: s.Axis, Records: [][]*runs.Record{{diverged}, {dead}}}
	if got, want := none.EqualLoss().Name, "at equal training loss (no run counts)"; got != want {
		t.Errorf("matching %q; want %q", got, want)
	}
	accuracy := s.Rows(m.Of("test_accuracy"))[0]
	gctest.AssertClose(t, accuracy[1:2], []float64{math.Sqrt(0.75 * 0.9375)}, 1e-12, 0, "accuracy at equal loss")
}

func TestPlaces(t *testing.T) {
	gctest.AssertClose(t, Axis{Values: []float64{1, 2, 8}}.Places(), []float64{0, 1. / 3, 1}, 1e-12, 0, "in the logarithm")
	gctest.AssertClose(t, Axis{Values: []float64{0, 1e-4, 1}}.Places(), []float64{0, 0.5, 1}, 1e-12, 0,
		"from 0, in their order")
}

// sweepOf returns a sweep with one run of one measurement for each value and seed, with the given
// GC.
func sweepOf(gc func(value float64, seed int) float64) Sweep {
	s := Sweep{Axis: Axis{Name: "rate", Values: []float64{1, 10, 100}}}
	for _, v := range s.Values {
		var records []*runs.Record
		for seed := range 4 {
			records = append(records, trained([]float64{2, 1}, []float64{1, gc(v, seed)}))
		}
		s.Records = append(s.Records, records)
	}
	return s
}

func TestGCTrend(t *testing.T) {
	text := ClaimText{ID: "falls", Text: "GC falls"}
	noise := func(seed int) float64 { return 1 + 0.01*float64(seed) }
	claim := sweepOf(func(v float64, seed int) float64 { return 50 * math.Pow(v, -0.5*noise(seed)) }).GCTrend(text,
		"train_gc", Falls)
	if claim.Verdict != Holds || float64(*claim.Rank) != -1 || len(claim.Matched) != 3 {
		t.Errorf("claim %+v", claim)
	}
	// A fall like 1/√v from 1 to 100 is one by 10 and a little more.
	if want := "GC falls by a factor of 10.4 ["; !strings.HasPrefix(claim.Evidence, want) {
		t.Errorf("evidence %q; want %q", claim.Evidence, want)
	}
	if p := float64(*claim.P); !(p > 0 && p < 1e-4) {
		t.Errorf("p %g", p)
	}
	rising := sweepOf(func(v float64, seed int) float64 { return math.Pow(v, noise(seed)) })
	if claim := rising.GCTrend(text, "train_gc", Falls); claim.Verdict != DoesNotHold ||
		!strings.Contains(claim.Effect, "rises by a factor of 1") {
		t.Errorf("of what rises: %+v", claim)
	}
	scattered := sweepOf(func(v float64, seed int) float64 { return math.Pow(v, float64(seed)-1.4) })
	if claim := scattered.GCTrend(text, "train_gc", Falls); claim.Verdict != Undecided ||
		!strings.Contains(claim.Effect, "changes by") {
		t.Errorf("of what scatters: %+v", claim)
	}
}

// TestMatchingsDisagree checks a sweep whose larger rate has the larger GC at the last step,
// because it trained further, and the smaller GC at equal loss. The verdict has to be that at equal
// loss, and the text has to say that the matchings disagree.
func TestMatchingsDisagree(t *testing.T) {
	s := Sweep{Axis: Axis{Name: "rate", Values: []float64{1, 2}}}
	for i, losses := range [][]float64{{2, 1, 1}, {2, 1, 0.1}} {
		var records []*runs.Record
		for seed := range 3 {
			more := 1 + 0.01*float64(seed)
			gcs := [][]float64{{1, 8, 8 * more}, {1, 4 * more, 30}}[i]
			records = append(records, trained(losses, gcs))
		}
		s.Records = append(s.Records, records)
	}
	claim := s.GCTrend(ClaimText{ID: "falls", Text: "GC falls"}, "train_gc", Falls)
	if claim.Verdict != Holds || claim.Matched[1].Verdict != DoesNotHold {
		t.Errorf("verdict %s, at the last step %s", claim.Verdict, claim.Matched[1].Verdict)
	}
	if want := "the matchings disagree: it does not hold at the last step"; !strings.Contains(claim.Evidence, want) {
		t.Errorf("evidence %q; want %q in it", claim.Evidence, want)
	}
}

// TestFactorClaim checks that a factor's mean and interval are those of its logarithm: the mean of
// 2, 4 and 8 is 4.
func TestFactorClaim(t *testing.T) {
	text := ClaimText{ID: "f", Text: "f"}
	c := FactorClaim(text, "factor", []float64{2, 4, 8}, Above(1), "")
	gctest.AssertClose(t, []float64{float64(c.Value), c.Interval.Lo * c.Interval.Hi}, []float64{4, 16}, 1e-12, 0,
		"mean, and product of the ends")
	if c.Verdict != Undecided { // t = √3·2, of 2 degrees of freedom.
		t.Errorf("verdict %s with interval %s", c.Verdict, c.Interval)
	}
	gctest.AssertClose(t, []float64{float64(*c.P)}, []float64{0.0742}, 1e-3, 0, "p")
}

// TestSeedsThatDoNotCount checks that a claim counts the seeds that have a value: two decide
// nothing, however many others are NaN, and three decide. The intervals are scipy's.
func TestSeedsThatDoNotCount(t *testing.T) {
	nan, text := math.NaN(), ClaimText{ID: "a", Text: "a claim"}
	for name, decide := range map[string]func([]float64) Claim{
		"factor": func(v []float64) Claim { return FactorClaim(text, "factor", v, Above(1), "") },
		"ratio":  func(v []float64) Claim { return RatioClaim(text, "ratio", v, Above(1), "") },
	} {
		if c := decide([]float64{2, nan, 2.1, nan}); c.Verdict != Undecided || len(c.PerSeed) != 2 {
			t.Errorf("%s: two seeds of four decide: %s, %d values", name, c.Verdict, len(c.PerSeed))
		}
		c := decide([]float64{1.6, nan, 2.1, 2})
		if c.Verdict != Holds || c.Interval == nil {
			t.Fatalf("%s: three seeds of four do not decide: %s", name, c.Evidence)
		}
		want := map[string][]float64{"factor": {1.3163597343, 2.7052345539}, "ratio": {1.2427589392, 2.5572410608}}[name]
		gctest.AssertClose(t, []float64{c.Interval.Lo, c.Interval.Hi}, want, 1e-9, 0, name)
	}
}
