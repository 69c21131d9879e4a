package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"github.com/spf13/cobra"
)

// workerCommand is the command of a worker process. It ends when its standard input does, as if it
// were interrupted. So it also ends when the process that started it is killed.
func (a *app) workerCommand() *cobra.Command {
	var keep bool
	cmd := &cobra.Command{
		Use:    workerName,
		Short:  "Do the runs that another process requests on standard input",
		Hidden: true,
		Args:   noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			// A write after the other process has gone must not kill this one before it has saved
			// its state.
			signal.Ignore(syscall.SIGPIPE)
			a.quiet.Store(true)
			reports := &reporter{lines: json.NewEncoder(os.Stdout)}
			os.Stdout = os.Stderr // What a library prints must not mix with the reports.
			return a.serveRuns(cmd.Context(), os.Stdin, reports, keep)
		},
	}
	cmd.Flags().BoolVar(&keep, keepFlag, false, "keep the checkpoints of measured steps")
	return cmd
}

// reporter sends reports to the process that started this one.
type reporter struct {
	mu    sync.Mutex
	lines *json.Encoder
	last  time.Time // of the last report of units
}

// send ignores errors: if nobody reads the reports, the requests end soon, too.
func (r *reporter) send(m workerReport) {
	r.mu.Lock()
	defer r.mu.Unlock()
	_ = r.lines.Encode(m)
}

// reportEvery is the shortest time between two reports of the units done.
const reportEvery = 100 * time.Millisecond

func (r *reporter) advance(units int64) {
	if now := time.Now(); now.Sub(r.last) >= reportEvery {
		r.last = now
		r.send(workerReport{Units: units})
	}
}

// serveRuns does the requested runs, one after the other.
func (a *app) serveRuns(ctx context.Context, in io.Reader, reports *reporter, keep bool) error {
	w, err := a.openWorkers(1, nil, keep)
	if err != nil {
		reports.send(workerReport{Outcome: &outcome{Error: err.Error()}})
		return nil // The other process prints it.
	}
	defer w.close()
	reports.send(workerReport{Backend: w.backendName, Why: w.why, FailedPlugins: w.failedPlugins})
	requests := make(chan runRequest)
	go func() {
		defer a.cancel()
		lines := json.NewDecoder(in)
		for {
			var r runRequest
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
			err := r.do(ctx, w, reports.advance)
			reports.send(workerReport{Outcome: newOutcome(err)})
		}
	}
}

// do does the requested run. It compares its address first, because a program or data set that was
// replaced meanwhile would compute other numbers.
func (r runRequest) do(ctx context.Context, w *openedWorkers, advance func(int64)) error {
	item, err := r.item()
	if err != nil {
		return err
	}
	address, err := item.Address(w.backendName)
	if err != nil {
		return err
	}
	if address != r.Address {
		return fmt.Errorf("its worker process computes address %s instead of %s: "+
			"gcml was rebuilt or the data set has changed since the sweep began; start it again", address, r.Address)
	}
	return w.workers[0].Do(ctx, item, advance)
}
