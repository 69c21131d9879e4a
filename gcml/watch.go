package gcml

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/train"
	"github.com/gomlx/gomlx/support/exceptions"
	"github.com/pkg/errors"

	"example.com/geometric-complexity/internal/gomlxcompat"
)

// StepResult is what was measured after a training step.
type StepResult struct {
	// Step is the trainer's global step: how many steps had been taken.
	Step int64 `json:"step"`
	Result
}

// Interval says after which steps Watch measures. Each is one of the intervals that GoMLX has for
// the hooks of a train.Loop.
type Interval struct {
	problem string // Why it cannot be, "" if it can.
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

// NTimes measures n times, evenly over each run of the loop, and after its last step, as
// train.NTimesDuringLoop.
func NTimes(n int) Interval {
	if n < 1 {
		return Interval{problem: fmt.Sprintf("NTimes(%d): want once or more", n)}
	}
	return Interval{attach: func(loop *train.Loop, hook train.OnStepFn) {
		train.NTimesDuringLoop(loop, n, watchName, watchPriority, hook)
	}}
}

// Exponentially measures after steps that grow apart by a factor, from the first one on, and after
// the last step of each run of the loop, as train.ExponentialCallback.
func Exponentially(first int, factor float64) Interval {
	if first < 1 || !(factor > 1) {
		return Interval{problem: fmt.Sprintf("Exponentially(%d, %g): want a first step of 1 or more and a factor above 1",
			first, factor)}
	}
	return Interval{attach: func(loop *train.Loop, hook train.OnStepFn) {
		train.ExponentialCallback(loop, first, factor, true, watchName, watchPriority, hook)
	}}
}

// watchPriority comes before that of the usual checkpoint, 100, so that a run which goes on from a
// checkpoint lacks no measurement up to it.
const watchPriority train.Priority = 0

// Watcher measures the GC of a model during its training. See Watch.
type Watcher struct {
	measurer *Measurer
	data     train.Dataset
	file     *stepFile // nil for none.
	report   func(StepResult) error
	lastStep int64 // For which there is a measurement; 0 for none.

	mu      sync.Mutex // GoMLX's progress bar asks for ExtraMetric from a goroutine of its own.
	results []StepResult
}

// Watch measures the GC of a model on a fixed data set during the training of the loop, after the
// steps of the interval:
//
//	watcher, err := gcml.Watch(loop, gcml.EveryNSteps(100), modelFn, testData, gcml.WithJSONLines("gc.jsonl"))
//
// Each measurement is that of Measure at that step, with its options, for the model as the
// evaluation has it. The graph is compiled once. Training is not changed: it ends with the same
// weights, bit for bit, as without. The data set has to be finite or WithMaxExamples be given, and
// to give the same examples each time.
//
// WithJSONLines and WithReport say where the values go; package gcml/plotpoints puts them into
// GoMLX's plots. Watcher.Results has them all, and Watcher.ExtraMetric is for GoMLX's progress bar.
//
// Watch returns an error for options or an interval that cannot be. What fails later stops the
// loop, which returns the error. No measurement is made twice for a step.
func Watch[F train.ModelFnCompatible](loop *train.Loop, every Interval, modelFn F, data train.Dataset,
	opts ...Option) (*Watcher, error) {
	if every.problem != "" || every.attach == nil {
		return nil, errors.Errorf("gcml.Watch: no such interval: %s", every.problem)
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

// start makes the file one of the steps up to where the training begins.
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

// measure is the hook. GoMLX puts its name before errors.
func (w *Watcher) measure(loop *train.Loop, _ []*tensors.Tensor) error {
	step, err := globalStep(loop)
	if err != nil {
		return err
	}
	if step <= w.lastStep {
		return nil // The end of the loop, or a step that only accumulated gradients.
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

// Results returns what has been measured so far by this Watcher, in the order of the steps.
func (w *Watcher) Results() []StepResult {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.results)
}

// ExtraMetric returns a name and the latest GC with its standard error, "" before there is one. It
// is a commandline.ExtraMetricFn for GoMLX's progress bar:
//
//	commandline.AttachProgressBar(loop, watcher.ExtraMetric)
func (w *Watcher) ExtraMetric() (name, value string) {
	if results := w.Results(); len(results) > 0 {
		r := results[len(results)-1]
		value = fmt.Sprintf("%.4g ± %s (step %d)", r.GC, r.StdErr, r.Step)
	}
	return "GC", value
}

// Finalize frees the compiled graphs, after the training.
func (w *Watcher) Finalize() { w.measurer.Finalize() }

// WithJSONLines appends each measurement to the file at path, a JSON object per line: the fields of
// StepResult, so "step", "gc", "stderr" (null where not known), "seconds" and so on. The file is
// that of one training: when the loop starts, lines of steps after the one that the training starts
// from, which a run that was killed has left beyond its last checkpoint, are dropped, and so is a
// line that a kill has cut off. For Watch.
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
