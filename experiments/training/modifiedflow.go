package training

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/geometric-complexity/toolkit/experiments/runs"
	"github.com/geometric-complexity/toolkit/internal/stats"
)

// ModifiedFlow is the task of comparing gradient descent with two gradient flows, in double
// precision, on a model of two parameters: f(x) = a·b·x with one example, x = 1 and the target y,
// and the loss E = (y - ab)²/2 (Barrett and Dherin, arXiv 2009.11162). The exact flow follows -∇E.
// The modified flow follows minus the gradient of E + (h/4)·‖∇E‖², the loss that backward error
// analysis gives for gradient descent of rate h.
//
// The seed draws where the descent starts. There is one point for each rate, with the number of
// steps as its step: "rate"; "exact_error" and "modified_error", the distance in the plane of
// parameters between gradient descent and each flow at the end; "loss", of gradient descent there;
// and "flatness", a² + b², the trace of the Hessian. The points are in the order of their steps, so
// that the first is of the largest rate. It has the trajectories as the arrays "descent_a",
// "descent_b", "exact_a", ..., "modified_b", after each step.
type ModifiedFlow struct {
	Target float64   `json:"target"` // y
	Rates  []float64 `json:"rates"`  // rising
	Time   float64   `json:"time"`   // rate × steps; a multiple of every rate
}

var _ runs.Task = (*ModifiedFlow)(nil)

// Kind implements Task.
func (t *ModifiedFlow) Kind() string { return "modified-flow" }

// Revision implements Task.
func (t *ModifiedFlow) Revision() int { return 1 }

// Units implements Task: one per rate.
func (t *ModifiedFlow) Units() int64 { return int64(len(t.Rates)) }

// Validate returns an error for values that make no sense.
func (t *ModifiedFlow) Validate() error {
	if len(t.Rates) < 2 || !slices.IsSorted(t.Rates) || !(t.Rates[0] > 0) {
		return errors.New("rates: at least two, rising from above 0, are needed")
	}
	if !stats.Finite(t.Target) || !(t.Time > 0) || math.IsInf(t.Time, 0) {
		return fmt.Errorf("target %g and time %g: a number and a positive number are needed", t.Target, t.Time)
	}
	for _, h := range t.Rates {
		if n := t.Time / h; math.Abs(n-math.Round(n)) > 1e-9*n {
			return fmt.Errorf("time %g is no multiple of rate %g", t.Time, h)
		}
	}
	return nil
}

// parameters are a and b.
type parameters [2]float64

// startAround is the start of the paper's smaller example; a seed starts within startSpread of it.
var startAround = parameters{2.8, 3.5}

const startSpread = 0.5

// flowSteps is the number of steps of the integration of a flow for each step of gradient descent.
// The classical Runge-Kutta method's error is then far below the distances that are measured.
const flowSteps = 50

// Do implements Task. It takes milliseconds, so there are no checkpoints.
func (t *ModifiedFlow) Do(ctx context.Context, job *runs.Job) error {
	if err := t.Validate(); err != nil {
		return err
	}
	random := rand.New(rand.NewPCG(uint64(job.Record.Seed), 2))
	start := startAround
	for i := range start {
		start[i] += startSpread * (2*random.Float64() - 1)
	}
	for i, h := range t.Rates {
		if err := ctx.Err(); err != nil {
			return &runs.InterruptedError{Cause: err, Label: job.Run.Label, Seed: job.Record.Seed, Step: int64(i),
				End: t.Units(), Out: job.Out}
		}
		job.Record.Points = append(job.Record.Points, t.compare(start, h, i == len(t.Rates)-1))
		job.Record.Step = job.Record.Points[i].Step
		job.Advance(int64(i + 1))
	}
	// Points are in the order of their steps: the largest rate has the fewest.
	slices.Reverse(job.Record.Points)
	job.Record.Status = runs.Complete
	return nil
}

// compare runs gradient descent and both flows from the same start.
func (t *ModifiedFlow) compare(start parameters, h float64, keep bool) runs.Point {
	steps := int(math.Round(t.Time / h))
	descent, exact, modified := start, start, start
	var paths [6][]runs.Number
	record := func() {
		for i, v := range []float64{descent[0], descent[1], exact[0], exact[1], modified[0], modified[1]} {
			paths[i] = append(paths[i], runs.Number(v))
		}
	}
	record()
	for range steps {
		g := t.gradient(descent, 0)
		descent = parameters{descent[0] - h*g[0], descent[1] - h*g[1]}
		exact, modified = t.flow(exact, 0, h), t.flow(modified, h, h)
		record()
	}
	residual := t.Target - descent[0]*descent[1]
	p := runs.Point{Step: int64(steps), Values: map[string]runs.Number{"rate": runs.Number(h),
		"exact_error": distance(descent, exact), "modified_error": distance(descent, modified),
		"loss": runs.Number(residual * residual / 2), "flatness": runs.Number(descent[0]*descent[0] + descent[1]*descent[1])}}
	if keep {
		for i, name := range []string{"descent_a", "descent_b", "exact_a", "exact_b", "modified_a", "modified_b"} {
			p.SetArray(name, paths[i])
		}
	}
	return p
}

// gradient is that of E + (h/4)·‖∇E‖². With the residual r = ab - y, E is r²/2 and ‖∇E‖² is
// r²·(a² + b²).
func (t *ModifiedFlow) gradient(p parameters, h float64) parameters {
	a, b := p[0], p[1]
	r := a*b - t.Target
	factor := r * (1 + h/2*(a*a+b*b))
	return parameters{factor*b + h/2*r*r*a, factor*a + h/2*r*r*b}
}

// flow follows minus the gradient for a time, by the classical Runge-Kutta method.
func (t *ModifiedFlow) flow(p parameters, h, time float64) parameters {
	dt := time / flowSteps
	slope := func(at parameters, k parameters, by float64) parameters {
		g := t.gradient(parameters{at[0] + by*k[0], at[1] + by*k[1]}, h)
		return parameters{-g[0], -g[1]}
	}
	for range flowSteps {
		k1 := slope(p, parameters{}, 0)
		k2 := slope(p, k1, dt/2)
		k3 := slope(p, k2, dt/2)
		k4 := slope(p, k3, dt)
		for i := range p {
			p[i] += dt / 6 * (k1[i] + 2*k2[i] + 2*k3[i] + k4[i])
		}
	}
	return p
}

func distance(p, q parameters) runs.Number { return runs.Number(math.Hypot(p[0]-q[0], p[1]-q[1])) }
