package training

import (
	"context"
	"math"
	"testing"

	"github.com/geometric-complexity/toolkit/experiments/runs"
	"github.com/geometric-complexity/toolkit/experiments/runs/runstest"
	"github.com/geometric-complexity/toolkit/internal/gctest"
)

// TestModifiedGradient compares the gradient with central differences of the modified loss.
func TestModifiedGradient(t *testing.T) {
	task := &ModifiedFlow{Target: 0.6}
	loss := func(p parameters, h float64) float64 {
		r := p[0]*p[1] - task.Target
		return r*r/2 + h/4*r*r*(p[0]*p[0]+p[1]*p[1])
	}
	const step = 1e-5
	for _, h := range []float64{0, 0.1} {
		p := parameters{2.8, -3.5}
		var want []float64
		for i := range p {
			up, down := p, p
			up[i] += step
			down[i] -= step
			want = append(want, (loss(up, h)-loss(down, h))/(2*step))
		}
		g := task.gradient(p, h)
		gctest.AssertClose(t, g[:], want, 1e-8, 0, "gradient")
	}
}

// TestFlows checks that the exact flow keeps a² - b², that the modified flow multiplies it by
// exp(-h·∫r²), with the integral of the residual along the path, and that both end at the minimum.
func TestFlows(t *testing.T) {
	task := &ModifiedFlow{Target: 0.6}
	for _, h := range []float64{0, 0.02} {
		p := parameters{2.8, 3.5}
		imbalance := p[0]*p[0] - p[1]*p[1]
		integral, last := 0.0, p[0]*p[1]-task.Target
		const dt = 1e-5
		for range 200_000 {
			p = task.flow(p, h, dt)
			r := p[0]*p[1] - task.Target
			integral += dt * (last*last + r*r) / 2
			last = r
		}
		gctest.AssertClose(t, []float64{p[0]*p[0] - p[1]*p[1]}, []float64{imbalance * math.Exp(-h*integral)}, 1e-7, 0,
			"a² - b²")
		gctest.AssertClose(t, []float64{p[0] * p[1]}, []float64{task.Target}, 1e-2, 0, "ab at the end")
	}
}

// TestModifiedFlowOrders checks the orders of the errors: one step of gradient descent differs by
// h² from the exact flow and by h³ from the modified one. At a fixed time both orders are one less.
func TestModifiedFlowOrders(t *testing.T) {
	task := &ModifiedFlow{Target: 0.6, Rates: []float64{0.0005, 0.001, 0.002}, Time: 0.5}
	record, err := runstest.Do(context.Background(), runs.Env{Backend: gctest.GoBackend(t), Out: t.TempDir()},
		runs.Run{Seed: 1, Task: task})
	if err != nil {
		t.Fatal(err)
	}
	smallest, largest := record.Points[2], record.Points[0]
	for name, order := range map[string]float64{"exact_error": 1, "modified_error": 2} {
		got := math.Log(largest.Value(name)/smallest.Value(name)) / math.Log(4)
		gctest.AssertClose(t, []float64{got}, []float64{order}, 0.05, 0, "order of "+name)
	}
	if n := len(largest.Arrays["descent_a"]); n != int(largest.Step)+1 {
		t.Errorf("%d positions of %d steps", n, largest.Step)
	}
}

func TestModifiedFlowRefusesBadValues(t *testing.T) {
	for _, task := range []ModifiedFlow{
		{Target: 1, Time: 1, Rates: []float64{0.1}},
		{Target: 1, Time: 1, Rates: []float64{0.2, 0.1}},
		{Target: 1, Time: 1, Rates: []float64{0, 0.1}},
		{Target: 1, Time: 1, Rates: []float64{0.1, 0.3}},
		{Target: math.NaN(), Time: 1, Rates: []float64{0.1, 0.2}},
		{Target: 1, Time: math.Inf(1), Rates: []float64{0.1, 0.2}},
	} {
		if task.Validate() == nil {
			t.Errorf("%+v is accepted", task)
		}
	}
}
