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
)

// Part is one experiment of a sweep: its runs, and the folder that its results go to.
type Part struct {
	Number, Name, Title string // of the experiment
	Runs                []Run
	Out                 string
}

// Item is one run of a sweep.
type Item struct {
	Run
	Part  *Part
	Index int // in the part's plan
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

// Worker does runs, one at a time, in this process or in another.
type Worker interface {
	// Do does a run, and says as it goes how many of its units are done. It
	// returns ErrBusy, without having waited, if another process is at the run,
	// and an *InterruptedError once ctx is cancelled and the state is saved.
	Do(ctx context.Context, item Item, advance func(units int64)) error
}

// NewWorker returns a worker that does runs in this process, where and how the
// environment says but for its output folder and its progress display.
func NewWorker(env Env) Worker { return inProcess{env} }

type inProcess struct{ env Env }

// Do implements Worker.
func (w inProcess) Do(ctx context.Context, item Item, advance func(units int64)) error {
	env := w.env
	env.Out, env.Progress = item.Part.Out, &adding{advance: advance}
	_, err := tryExecute(ctx, env, item.Run)
	return err
}

// adding is a progress display that adds up what a single run is told.
type adding struct {
	NoProgress
	advance func(units int64)
	units   int64
}

func (p *adding) Add(n int64) { p.units += n; p.advance(p.units) }

// Schedule is a list of runs to be done by workers side by side. Other processes
// may be at the same runs: a run that one of them is doing is looked at again
// later, and is done here if the other one gave it up.
type Schedule struct {
	Items       []Item
	BackendName string   // as in Env; the workers' backends must have it
	Progress    Progress // may be nil
}

// Run does the runs that are not complete yet, and counts for each part those
// that were. A run that fails does not stop the others: they are reported
// together, by a *FailedError at the end. Cancelling ctx gives an
// *InterruptedError.
func (s *Schedule) Run(ctx context.Context, workers ...Worker) (reused map[*Part]int, err error) {
	w := &sweeping{Schedule: s, display: newDisplay(s.Progress, len(s.Items), len(workers))}
	reused = make(map[*Part]int)
	for _, item := range s.Items {
		// A record that cannot be read is met again, and reported, by a worker.
		if record, err := s.lookUp(item); err == nil && record != nil {
			reused[item.Part]++
			w.display.reuse(item, record)
		} else {
			w.todo = append(w.todo, item)
		}
	}
	if len(w.todo) == 0 {
		return reused, nil
	}
	w.display.start(w.todo)
	defer w.display.progress.Finish()
	var group sync.WaitGroup
	for _, worker := range workers {
		group.Go(func() { w.work(ctx, worker) })
	}
	group.Wait()
	return reused, w.outcome(ctx)
}

func (s *Schedule) lookUp(item Item) (*Record, error) {
	return Lookup(item.Part.Out, s.BackendName, item.Run)
}

// sweeping is a sweep at work.
type sweeping struct {
	*Schedule
	mu sync.Mutex // of all that follows
	// todo are the runs that were not begun, busy those that another process was
	// found to be doing.
	todo, busy []Item
	display    *display
	failures   []Failure
	stopped    []*InterruptedError
}

func (w *sweeping) work(ctx context.Context, worker Worker) {
	for {
		item, ok := w.next(ctx)
		if !ok {
			return
		}
		at := w.begin(item)
		err := worker.Do(ctx, item, func(units int64) { w.advance(at, units) })
		w.end(at, err)
	}
}

// next gives the next run to try: those that another process is doing come
// last, and not at once again.
func (w *sweeping) next(ctx context.Context) (Item, bool) {
	if item, ok := w.pop(ctx, &w.todo); ok {
		return item, true
	}
	if !w.waiting() {
		return Item{}, false
	}
	select {
	case <-ctx.Done():
	case <-time.After(lockPoll):
	}
	return w.pop(ctx, &w.busy)
}

func (w *sweeping) pop(ctx context.Context, queue *[]Item) (item Item, ok bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if ctx.Err() != nil || len(*queue) == 0 {
		return Item{}, false
	}
	item, *queue = (*queue)[0], (*queue)[1:]
	return item, true
}

// waiting says whether runs are left that another process was doing.
func (w *sweeping) waiting() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.display.wait(len(w.busy))
	return len(w.busy) > 0
}

func (w *sweeping) begin(item Item) *atWork {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.display.begin(item)
}

func (w *sweeping) advance(at *atWork, units int64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.display.advance(at, units)
	w.display.estimate(w.todo, w.busy)
}

// end notes how a try of a run ended.
func (w *sweeping) end(at *atWork, err error) {
	var record *Record
	if err == nil {
		if record, err = w.lookUp(at.Item); err == nil && record == nil {
			err = errors.New("it left no record")
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	var interrupted *InterruptedError
	switch {
	case errors.Is(err, ErrBusy):
		w.busy = append(w.busy, at.Item)
		w.display.giveUp(at)
		return
	case errors.As(err, &interrupted):
		w.stopped = append(w.stopped, interrupted)
		w.display.giveUp(at)
		return
	case err != nil:
		w.failures = append(w.failures, newFailure(at.Item, w.BackendName, err))
	}
	w.display.end(at, record)
	w.display.estimate(w.todo, w.busy)
}

func (w *sweeping) outcome(ctx context.Context) error {
	if err := ctx.Err(); err != nil && len(w.todo)+len(w.busy)+len(w.stopped) > 0 {
		if len(w.stopped) == 1 {
			return w.stopped[0]
		}
		return &InterruptedError{Cause: err, Out: w.Items[0].Part.Out}
	}
	if len(w.failures) > 0 {
		// In the order of the plan: workers fail in an order of their own.
		position := func(f Failure) int {
			return slices.IndexFunc(w.Items, func(item Item) bool { return item.Part == f.Part && item.Index == f.index })
		}
		slices.SortFunc(w.failures, func(a, b Failure) int { return cmp.Compare(position(a), position(b)) })
		return &FailedError{Failures: w.failures, Runs: len(w.Items)}
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
	address, _ := item.Address(backendName) // an error of this is err itself, or is beside the point
	f.RunError = RunError{Address: address, Label: item.Label, Seed: item.Seed, Err: err}
	return f
}

// FailedError reports that runs failed. All the others are complete.
type FailedError struct {
	Failures []Failure
	Runs     int // how many runs there were in all
}

// Error says which failed if they did for one reason, and how many otherwise.
func (e *FailedError) Error() string {
	if lines := e.Lines(); len(lines) == 1 {
		return lines[0]
	}
	return fmt.Sprintf("%d of %d runs failed", len(e.Failures), e.Runs)
}

// Lines has one line for each failure; those for the same reason share one.
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
		lines[i] = fmt.Sprintf("%s: run %s (%s, seed %d)%s: %s", first.Part.Name, first.Address, first.Label, first.Seed, others, reason)
	}
	return lines
}
