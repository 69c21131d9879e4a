package gcml

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
	"sync"

	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/train"
	"github.com/gomlx/gomlx/support/exceptions"
	"github.com/pkg/errors"

	"github.com/geometric-complexity/toolkit/internal/gomlxcompat"
)

// StepResult is the measurement after a training step.
type StepResult struct {
	// Step is the trainer's global step: the number of steps done.
	Step int64 `json:"step"`
	Result
}

// Interval says after which steps Watch measures.
type Interval struct {
	problem string // Why the interval is invalid, "" if it is valid.
	attach  func(loop *train.Loop, hook train.OnStepFn)
}

// watchName is the name of the hooks in GoMLX's error messages.
const watchName = "gcml.Watch"

// EveryNSteps measures after each n-th step, as train.EveryNSteps.
func EveryNSteps(n int) Interval {
	if n < 1 {
		return Interval{problem: fmt.Sprintf("EveryNSteps(%d): want 1 step or more", n)}
	}
	return Interval{attach: func(loop *train.Loop, hook train.OnStepFn) {
		train.EveryNSteps(loop, n, watchName, watchPriority, hook)
	}}
}

// NTimes measures n times, evenly spaced over each run of the loop, the last time after its last
// step. While the loop does not know its last step, in the first epoch of RunEpochs, it measures
// after 128, 256, 512, ... steps.
func NTimes(n int) Interval {
	if n < 1 {
		return Interval{problem: fmt.Sprintf("NTimes(%d): want once or more", n)}
	}
	return Interval{attach: func(loop *train.Loop, hook train.OnStepFn) {
		onStep(loop, hook, func(done int) bool {
			done -= loop.StartStep
			if loop.EndStep < 0 {
				return done >= 128 && done&(done-1) == 0
			}
			total := loop.EndStep - loop.StartStep
			times := min(n, total) // Products of larger numbers would overflow.
			return done*times/total > (done-1)*times/total
		})
		loop.OnEnd(watchName, watchPriority, train.OnEndFn(hook))
	}}
}

// Exponentially measures after the step first, then at intervals that grow by the factor, and after
// the last step of each run of the loop: with 100 and 2 after 100, 300, 700, 1,500 steps and so on.
// Steps count from the start of the training, also if it continues from a checkpoint.
func Exponentially(first int, factor float64) Interval {
	if first < 1 || !(factor > 1) || math.IsInf(factor, 0) {
		return Interval{problem: fmt.Sprintf("Exponentially(%d, %g): want a first step of 1 or more and a finite factor above 1",
			first, factor)}
	}
	return Interval{attach: func(loop *train.Loop, hook train.OnStepFn) {
		next, interval := float64(first), float64(first)
		onStep(loop, hook, func(done int) bool {
			due := false
			for math.Round(next) <= float64(done) {
				due = math.Round(next) == float64(done)
				interval *= factor
				next += interval
			}
			return due
		})
		loop.OnEnd(watchName, watchPriority, train.OnEndFn(hook))
	}}
}

// onStep calls the hook after each step of the loop for which isDue is true of the number of steps
// done since the start of the training.
func onStep(loop *train.Loop, hook train.OnStepFn, isDue func(done int) bool) {
	loop.OnStep(watchName, watchPriority, func(loop *train.Loop, metrics []*tensors.Tensor) error {
		if !isDue(loop.LoopStep + 1) {
			return nil
		}
		return hook(loop, metrics)
	})
}

// watchPriority runs the measurement before the usual checkpoint, which has priority 100. So a run
// that continues from a checkpoint has all measurements up to it.
const watchPriority train.Priority = 0

// Watcher measures the GC of a model during its training. See Watch.
type Watcher struct {
	measurer *Measurer
	data     train.Dataset
	file     *stepFile // nil for none.
	report   func(StepResult) error
	lastStep int64 // The last step that was measured; 0 for none.

	mu      sync.Mutex // GoMLX's progress bar calls ExtraMetric from another goroutine.
	results []StepResult
}

// Watch measures the GC of a model on a fixed data set during the training of the loop, after the
// steps of the interval:
//
//	watcher, err := gcml.Watch(loop, gcml.EveryNSteps(100), modelFn, testData,
//		gcml.WithJSONLines("gc.jsonl"))
//
// Each measurement is what Measure returns at that step with the same options, in evaluation mode.
// The graph is compiled once. The measurements do not change the training: it ends with bitwise the
// same weights. The data set must be finite, unless WithMaxExamples is given, and must return the
// same examples each time.
//
// WithJSONLines and WithReport choose where the values are written; package gcml/plotpoints adds
// them to GoMLX's plots. Watcher.Results returns all values, and Watcher.ExtraMetric shows the
// latest one in GoMLX's progress bar.
//
// Watch returns an error for an invalid option or interval. A later failure stops the loop, which
// returns the error. Each step is measured at most once.
func Watch[F train.ModelFnCompatible](loop *train.Loop, every Interval, modelFn F, data train.Dataset,
	opts ...Option) (*Watcher, error) {
	if every.problem != "" || every.attach == nil {
		return nil, errors.Errorf("gcml.Watch: invalid interval: %s",
			cmp.Or(every.problem, "it is empty, use EveryNSteps, NTimes or Exponentially"))
	}
	trainer := loop.Trainer
	measurer, err := newMeasurer(inWatch, trainer.Backend(), trainer.Store(), gomlxcompat.ModelFn(modelFn), opts)
	if err != nil {
		return nil, err
	}
	w := &Watcher{measurer: measurer, data: data, report: measurer.options.report}
	if path := measurer.options.jsonLines; path != "" {
		w.file = &stepFile{path: path}
	}
	loop.OnStart(watchName, watchPriority, w.start)
	every.attach(loop, w.measure)
	return w, nil
}

// start removes lines after the step at which the training starts from the file.
func (w *Watcher) start(loop *train.Loop, _ train.Dataset) error {
	if w.file == nil {
		return nil
	}
	step, err := globalStep(loop)
	if err != nil {
		return err
	}
	last, err := w.file.keepUpTo(step)
	w.lastStep = max(w.lastStep, last)
	return err
}

// measure is the hook that measures. GoMLX prefixes its errors with watchName.
func (w *Watcher) measure(loop *train.Loop, _ []*tensors.Tensor) error {
	step, err := globalStep(loop)
	if err != nil {
		return err
	}
	if step <= w.lastStep {
		return nil // The last step is reported twice, and a step may only accumulate gradients.
	}
	result, err := w.measurer.Measure(context.Background(), w.data)
	if err != nil {
		return errors.WithMessagef(err, "after step %d", step)
	}
	r := StepResult{Step: step, Result: result}
	w.lastStep = step
	w.mu.Lock()
	w.results = append(w.results, r)
	w.mu.Unlock()
	if w.file != nil {
		if err := w.file.append(r); err != nil {
			return err
		}
	}
	if w.report != nil {
		return errors.WithMessagef(w.report(r), "reporting step %d", step)
	}
	return nil
}

func globalStep(loop *train.Loop) (step int64, err error) {
	err = exceptions.TryCatch[error](func() { step = loop.Trainer.GlobalStep() })
	return step, err
}

// Results returns the measurements of this Watcher so far, in the order of the steps.
func (w *Watcher) Results() []StepResult {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.results)
}

// ExtraMetric returns the name "GC" and the latest GC with its standard error, "" before the first
// measurement. It is a commandline.ExtraMetricFn for GoMLX's progress bar:
//
//	commandline.AttachProgressBar(loop, watcher.ExtraMetric)
func (w *Watcher) ExtraMetric() (name, value string) {
	if results := w.Results(); len(results) > 0 {
		r := results[len(results)-1]
		value = fmt.Sprintf("%.4g ± %s (step %d)", r.GC, r.StdErr, r.Step)
	}
	return "GC", value
}

// Finalize frees the compiled graphs. Call it after the training.
func (w *Watcher) Finalize() { w.measurer.Finalize() }

// WithJSONLines appends each measurement to the file at path, as one JSON object per line with the
// fields of StepResult: "step", "gc", "stderr" (null if unknown), "seconds" and so on. A file
// belongs to one training. When the loop starts, Watch removes lines after the step at which the
// training starts, which a killed run may have written after its last checkpoint, and an incomplete
// last line. For Watch.
func WithJSONLines(path string) Option {
	return Option{"WithJSONLines", func(o *options) {
		if path == "" {
			exceptions.Panicf("gcml.WithJSONLines: the path is empty")
		}
		o.jsonLines = path
	}}
}

// WithReport calls fn after each measurement. An error of fn stops the loop. For Watch.
func WithReport(fn func(StepResult) error) Option {
	return Option{"WithReport", func(o *options) {
		if fn == nil {
			exceptions.Panicf("gcml.WithReport: the function is nil")
		}
		o.report = fn
	}}
}
