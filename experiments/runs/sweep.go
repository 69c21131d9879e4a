package runs

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/geometric-complexity/toolkit/internal/compilecache"
)

// Part is one experiment of a sweep: its runs and the folder for its results.
type Part struct {
	Number, Name, Title string // of the experiment
	Runs                []Run
	Out                 string
}

// Item is one run of a sweep.
type Item struct {
	Run
	Part  *Part
	Index int // in Part.Runs
}

// Items lists the runs of all parts, in the order of their plans.
func Items(parts ...*Part) (items []Item) {
	for _, part := range parts {
		for i, run := range part.Runs {
			items = append(items, Item{Run: run, Part: part, Index: i})
		}
	}
	return items
}

// Worker does one run at a time, in this process or in another.
type Worker interface {
	// Do does a run and calls advance with the number of its units done so far. If another process
	// is doing the run, it returns ErrBusy at once. When ctx is cancelled, it saves the run's state
	// and returns an *InterruptedError.
	Do(ctx context.Context, item Item, advance func(units int64)) error
}

// NewWorker returns a worker that does runs in this process with the environment, except for its
// output folder and progress display: the schedule sets these. On XLA, runs whose graphs are equal
// share the compiled programs.
func NewWorker(env Env) Worker {
	if env.Backend != nil {
		env.Backend = compilecache.New(env.Backend)
	}
	return inProcess{env}
}

type inProcess struct{ env Env }

// Do implements Worker.
func (w inProcess) Do(ctx context.Context, item Item, advance func(units int64)) error {
	env := w.env
	env.Out, env.Progress = item.Part.Out, &unitCounter{advance: advance}
	return attempt(ctx, env, item.Run)
}

// unitCounter is a progress display that reports the total units of a single run.
type unitCounter struct {
	NoProgress
	advance func(units int64)
	units   int64
}

func (p *unitCounter) Add(n int64) { p.units += n; p.advance(p.units) }

// Schedule is a list of runs that workers do in parallel. Other processes may work on the same
// runs: a run that another process is doing is tried again later, and done here if that process
// gave it up.
type Schedule struct {
	Items       []Item
	BackendName string   // as in Env; all workers' backends must have this name
	Progress    Progress // may be nil
}

// Run does the runs that are not complete yet, and returns for each part how many were complete
// already. A failed run does not stop the others: all failures are returned together, in a
// *FailedError. If ctx is cancelled, Run returns an *InterruptedError.
func (s *Schedule) Run(ctx context.Context, workers ...Worker) (reused map[*Part]int, err error) {
	e := &execution{Schedule: s, display: newDisplay(s.Progress, len(s.Items), len(workers))}
	reused = make(map[*Part]int)
	for _, item := range s.Items {
		// If the record is unreadable, a worker finds that again and reports it.
		if record, err := s.lookUp(item); err == nil && record != nil {
			reused[item.Part]++
			e.display.reuse(item, record)
		} else {
			e.todo = append(e.todo, item)
		}
	}
	if len(e.todo) == 0 {
		return reused, nil
	}
	e.display.start(e.todo)
	defer e.display.progress.Finish()
	var group sync.WaitGroup
	for _, worker := range workers {
		group.Go(func() { e.work(ctx, worker) })
	}
	group.Wait()
	return reused, e.outcome(ctx)
}

func (s *Schedule) lookUp(item Item) (*Record, error) {
	return Lookup(item.Part.Out, s.BackendName, item.Run)
}

// execution is the state of a Schedule's Run.
type execution struct {
	*Schedule
	mu sync.Mutex // guards the fields below
	// todo lists the runs that nobody has begun, busy those that another process was doing when a
	// worker tried them.
	todo, busy []Item
	display    *display
	failures   []Failure
	stopped    []*InterruptedError
}

func (e *execution) work(ctx context.Context, worker Worker) {
	for {
		item, ok := e.next(ctx)
		if !ok {
			return
		}
		run := e.begin(item)
		err := worker.Do(ctx, item, func(units int64) { e.advance(run, units) })
		e.end(run, err)
	}
}

// next returns the next run to try. Runs that another process is doing come last, after a pause.
func (e *execution) next(ctx context.Context) (Item, bool) {
	if item, ok := e.pop(ctx, &e.todo); ok {
		return item, true
	}
	if !e.waiting() {
		return Item{}, false
	}
	select {
	case <-ctx.Done():
	case <-time.After(lockPoll):
	}
	return e.pop(ctx, &e.busy)
}

func (e *execution) pop(ctx context.Context, queue *[]Item) (item Item, ok bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if ctx.Err() != nil || len(*queue) == 0 {
		return Item{}, false
	}
	item, *queue = (*queue)[0], (*queue)[1:]
	return item, true
}

// waiting reports whether runs remain that another process was doing.
func (e *execution) waiting() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.display.wait(len(e.busy))
	return len(e.busy) > 0
}

func (e *execution) begin(item Item) *activeRun {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.display.begin(item)
}

func (e *execution) advance(run *activeRun, units int64) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.display.advance(run, units)
	e.display.estimate(e.todo, e.busy)
}

// end records the outcome of a worker's attempt at a run.
func (e *execution) end(run *activeRun, err error) {
	var record *Record
	if err == nil {
		if record, err = e.lookUp(run.Item); err == nil && record == nil {
			err = errors.New("it ended without writing a record")
		}
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	var interrupted *InterruptedError
	switch {
	case errors.Is(err, ErrBusy):
		e.busy = append(e.busy, run.Item)
		e.display.giveUp(run)
		return
	case errors.As(err, &interrupted):
		e.stopped = append(e.stopped, interrupted)
		e.display.giveUp(run)
		return
	case err != nil:
		e.failures = append(e.failures, newFailure(run.Item, e.BackendName, err))
	}
	e.display.end(run, record)
	e.display.estimate(e.todo, e.busy)
}

func (e *execution) outcome(ctx context.Context) error {
	cause := ctx.Err()
	if cause == nil && len(e.stopped) > 0 { // A worker may be interrupted by itself.
		cause = e.stopped[0].Cause
	}
	if cause != nil && len(e.todo)+len(e.busy)+len(e.stopped) > 0 {
		if len(e.stopped) == 1 {
			return e.stopped[0]
		}
		return &InterruptedError{Cause: cause, Out: e.Items[0].Part.Out}
	}
	if len(e.failures) > 0 {
		// Sorted by the plan, because the order in which workers fail varies.
		position := func(f Failure) int {
			return slices.IndexFunc(e.Items, func(item Item) bool { return item.Part == f.Part && item.Index == f.index })
		}
		slices.SortFunc(e.failures, func(a, b Failure) int { return cmp.Compare(position(a), position(b)) })
		return &FailedError{Failures: e.failures, Runs: len(e.Items)}
	}
	return nil
}

// Failure is a run that failed.
type Failure struct {
	Part  *Part
	index int // in the part's plan
	RunError
}

func newFailure(item Item, backendName string, err error) Failure {
	f := Failure{Part: item.Part, index: item.Index}
	var known *RunError
	if errors.As(err, &known) {
		f.RunError = *known
		return f
	}
	address, _ := item.Address(backendName) // If this fails, err already says why.
	f.RunError = RunError{Address: address, Label: item.Label, Seed: item.Seed, Err: err}
	return f
}

// FailedError reports that runs failed. All other runs are complete.
type FailedError struct {
	Failures []Failure
	Runs     int // number of all runs, failed or not
}

// Error returns the only line of Lines, or the number of failures if there are several lines.
func (e *FailedError) Error() string {
	if lines := e.Lines(); len(lines) == 1 {
		return lines[0]
	}
	return fmt.Sprintf("%d of %d runs failed", len(e.Failures), e.Runs)
}

// Lines returns one line for each distinct reason of failure.
func (e *FailedError) Lines() []string {
	var order []string
	same := make(map[string][]Failure)
	for _, f := range e.Failures {
		reason := strings.Join(strings.Fields(f.Err.Error()), " ")
		if same[reason] == nil {
			order = append(order, reason)
		}
		same[reason] = append(same[reason], f)
	}
	lines := make([]string, len(order))
	for i, reason := range order {
		first, others := same[reason][0], ""
		if n := len(same[reason]) - 1; n > 0 {
			others = fmt.Sprintf(" and %d of the others", n)
		}
		lines[i] = fmt.Sprintf("%s: run %s (%s, seed %d)%s: %s", first.Part.Name, first.Address, first.Label, first.Seed,
			others, reason)
	}
	return lines
}
