package schedule_test

import (
	"math"
	"testing"

	"github.com/gomlx/compute"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/support/exceptions"

	"github.com/geometric-complexity/toolkit/internal/gctest"
	"github.com/geometric-complexity/toolkit/schedule"
)

// TestClosedForms compares each schedule, at every step up to beyond its end, with its formula
// written in Go.
func TestClosedForms(t *testing.T) {
	cases := []struct {
		name     string
		schedule schedule.Func
		want     func(step float64) float64
	}{
		{"constant", schedule.Constant(0.3), func(float64) float64 { return 0.3 }},
		{"warm-up", schedule.WarmUp(7), func(step float64) float64 { return min(step, 7) / 7 }},
		{"warm-up of one step", schedule.WarmUp(1), func(step float64) float64 { return min(step, 1) }},
		{"cosine to 0", schedule.Cosine(10, 0), func(step float64) float64 {
			return 0.5 + 0.5*math.Cos(math.Pi*min(step, 10)/10)
		}},
		{"cosine upwards", schedule.Cosine(4, 2), func(step float64) float64 {
			return 2 - (0.5 + 0.5*math.Cos(math.Pi*min(step, 4)/4))
		}},
	}
	gctest.ForEachBackend(t, func(t *testing.T, b compute.Backend) {
		for _, c := range cases {
			t.Run(c.name, func(t *testing.T) {
				exec, err := NewExec(b, func(step *Node) *Node { return c.schedule(step) })
				if err != nil {
					t.Fatal(err)
				}
				defer exec.Finalize()
				var got, want []float64
				for step := range 13 {
					value, err := exec.Call1(float64(step))
					if err != nil {
						t.Fatal(err)
					}
					got, want = append(got, value.Value().(float64)), append(want, c.want(float64(step)))
				}
				gctest.AssertClose(t, got, want, 0, 1e-14, "factors")
			})
		}
	})
}

func TestMisuse(t *testing.T) {
	for name, call := range map[string]func(){
		"negative constant":  func() { schedule.Constant(-1) },
		"NaN constant":       func() { schedule.Constant(math.NaN()) },
		"infinite final":     func() { schedule.Cosine(3, math.Inf(1)) },
		"no steps":           func() { schedule.WarmUp(0) },
		"negative steps":     func() { schedule.Cosine(-2, 0) },
		"an infinite factor": func() { schedule.Constant(math.Inf(1)) },
	} {
		t.Run(name, func(t *testing.T) {
			if exceptions.TryCatch[error](call) == nil {
				t.Error("no panic")
			}
		})
	}
}
