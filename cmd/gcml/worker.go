package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"reflect"
	"sync"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/geometric-complexity/toolkit/experiments"
	"github.com/geometric-complexity/toolkit/experiments/experiment"
	"github.com/geometric-complexity/toolkit/experiments/runs"
)

// workerName is the command of a process that does runs for another. It reads one request a line,
// answers each with reports, and ends, as if interrupted, when its input does: also when the
// process that started it was killed.
const workerName = "worker"

// request is a run to be done.
type request struct {
	Experiment string          `json:"experiment"`
	Config     json.RawMessage `json:"config"`
	Seeds      []int64         `json:"seeds"`
	Out        string          `json:"out"`
	Index      int             `json:"index"` // in the experiment's plan
	Address    string          `json:"address"`
}

// message is what a worker says: first which backend it opened, then how far a run is, and last, in
// End, how the run ended.
type message struct {
	Backend string `json:"backend,omitempty"`
	Why     string `json:"why,omitempty"`
	Failed  string `json:"failed,omitempty"` // plugins that did not open
	Units   int64  `json:"units,omitempty"`
	End     *end   `json:"end,omitempty"`
}

type end struct {
	Busy        bool         `json:"busy,omitempty"`
	Interrupted *interrupted `json:"interrupted,omitempty"`
	Error       string       `json:"error,omitempty"`
}

// interrupted is where a run stopped, and where it would have ended.
type interrupted struct {
	Step, End int64
}

func (a *app) workerCommand() *cobra.Command {
	return &cobra.Command{
		Use:    workerName,
		Short:  "Do the runs that another process asks for on standard input",
		Hidden: true,
		Args:   noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			// Once the other process is gone there is nobody to write to; the state is saved all
			// the same.
			signal.Ignore(syscall.SIGPIPE)
			a.quiet.Store(true)
			reports := &reporter{lines: json.NewEncoder(os.Stdout)}
			os.Stdout = os.Stderr // a library that prints would be taken for a report
			return a.work(cmd.Context(), os.Stdin, reports)
		},
	}
}

// reporter sends reports.
type reporter struct {
	mu    sync.Mutex
	lines *json.Encoder
	last  time.Time
}

// send lets go of errors: without a reader there soon is no input either.
func (r *reporter) send(m message) {
	r.mu.Lock()
	defer r.mu.Unlock()
	_ = r.lines.Encode(m)
}

// reportEvery is the shortest time between two reports of how far a run is.
const reportEvery = 100 * time.Millisecond

func (r *reporter) advance(units int64) {
	if now := time.Now(); now.Sub(r.last) >= reportEvery {
		r.last = now
		r.send(message{Units: units})
	}
}

// work does one request after the other.
func (a *app) work(ctx context.Context, in io.Reader, reports *reporter) error {
	c, err := a.openWorkers(1, nil)
	if err != nil {
		reports.send(message{End: &end{Error: err.Error()}})
		return nil // the other process says it
	}
	defer c.close()
	reports.send(message{Backend: c.backendName, Why: c.why, Failed: c.failed})
	requests := make(chan request)
	go func() {
		defer a.cancel()
		lines := json.NewDecoder(in)
		for {
			var r request
			if err := lines.Decode(&r); err != nil {
				return
			}
			requests <- r
		}
	}()
	for {
		select {
		case <-ctx.Done():
			return nil
		case r := <-requests:
			err := r.do(ctx, c, reports.advance)
			reports.send(message{End: newEnd(err)})
		}
	}
}

func newEnd(err error) *end {
	var stopped *runs.InterruptedError
	var failed *runs.RunError
	switch {
	case err == nil:
		return &end{}
	case errors.Is(err, runs.ErrBusy):
		return &end{Busy: true}
	case errors.As(err, &stopped):
		return &end{Interrupted: &interrupted{stopped.Step, stopped.End}}
	case errors.As(err, &failed):
		return &end{Error: failed.Err.Error()} // the other process knows which run it is
	}
	return &end{Error: err.Error()}
}

// do does the run.
func (r request) do(ctx context.Context, c *workforce, advance func(int64)) error {
	item, err := r.item()
	if err != nil {
		return err
	}
	if address, err := item.Address(c.backendName); err != nil || address != r.Address {
		return fmt.Errorf("its worker process has %s for run %s (%v): was the program built anew, or the data changed, meanwhile?", address, r.Address, err)
	}
	return c.workers[0].Do(ctx, item, advance)
}

// item finds the run in the experiment's plan.
func (r request) item() (item runs.Item, err error) {
	e, err := experiments.Find(r.Experiment)
	if err != nil {
		return item, err
	}
	// Into an empty configuration: what the JSON lacks is empty.
	config := reflect.New(reflect.TypeOf(e.DefaultConfig(experiment.Smoke)).Elem()).Interface()
	if err := json.Unmarshal(r.Config, config); err != nil {
		return item, fmt.Errorf("configuration of %s: %w", r.Experiment, err)
	}
	planned, err := experiment.Plan(e, config, r.Seeds, r.Out)
	if err != nil {
		return item, err
	}
	items := runs.Items(planned.Part)
	if r.Index >= len(items) {
		return item, fmt.Errorf("%s has no run %d", r.Experiment, r.Index)
	}
	return items[r.Index], nil
}
