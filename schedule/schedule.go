// Package schedule changes the coefficient of a penalty, or the level of a noise, during training.
// gcml.WithSchedule and regularizers.WithSchedule accept its functions.
//
// A schedule is a factor of the coefficient, so one schedule serves every coefficient of a sweep.
// The training graph computes it from the optimizer's global step, which checkpoints save, so a
// resumed run continues the schedule.
package schedule

import (
	"math"

	. "github.com/gomlx/gomlx/core/graph"
	. "github.com/gomlx/gomlx/support/exceptions"
)

// Func builds the factor that multiplies a coefficient, a scalar of a float dtype. step is the
// number of training steps done before this one, a scalar float64. The factor must be finite, and 0
// or more for coefficients and levels that must not be negative; the graph does not check this.
type Func func(step *Node) *Node

// Constant returns the same factor at every step. It panics if the factor is negative or not
// finite.
func Constant(factor float64) Func {
	mustBeFactor("Constant", factor)
	return func(step *Node) *Node { return Scalar(step.Graph(), step.DType(), factor) }
}

// WarmUp grows linearly from 0 at the first step to 1 after steps steps, and
// stays there: min(1, step/steps). It panics if steps is less than 1.
func WarmUp(steps int) Func {
	mustBeSteps("WarmUp", steps)
	return func(step *Node) *Node { return fraction(step, steps) }
}

// Cosine falls from 1 at the first step to final after steps steps along half a
// period of the cosine, and stays there:
// final + (1-final)·(1 + cos(π·min(1, step/steps)))/2. It panics if steps is less
// than 1, and if final is negative or not finite.
//
// Source: Loshchilov and Hutter (2017), without restarts.
func Cosine(steps int, final float64) Func {
	mustBeSteps("Cosine", steps)
	mustBeFactor("Cosine", final)
	return func(step *Node) *Node {
		wave := DivScalar(AddScalar(Cos(MulScalar(fraction(step, steps), math.Pi)), 1), 2)
		return AddScalar(MulScalar(wave, 1-final), final)
	}
}

// fraction is min(1, step/steps).
func fraction(step *Node, steps int) *Node {
	return MinScalar(DivScalar(step, float64(steps)), 1)
}

func mustBeSteps(name string, steps int) {
	if steps < 1 {
		Panicf("schedule.%s: steps is %d, want 1 or more", name, steps)
	}
}

func mustBeFactor(name string, factor float64) {
	if !(factor >= 0) || math.IsInf(factor, 1) {
		Panicf("schedule.%s: the factor is %g, want a finite number of 0 or more", name, factor)
	}
}
