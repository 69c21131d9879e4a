package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"sync"
	"time"

	"github.com/gomlx/compute"
	"golang.org/x/sync/errgroup"

	"github.com/geometric-complexity/toolkit/experiments/experiment"
	"github.com/geometric-complexity/toolkit/experiments/runs"
)

// startProcesses starts n worker processes, and waits until they have opened their backends, which
// must be the same.
func (a *app) startProcesses(n int, planned []*experiment.Planned, keep bool) (*openedWorkers, error) {
	pool := &workerPool{}
	w := &openedWorkers{close: pool.close}
	for range n {
		p := &workerProcess{stderr: a.stderr, planned: planned, keep: keep}
		pool.processes = append(pool.processes, p)
		w.workers = append(w.workers, p)
	}
	a.workers.Store(pool)
	var starting errgroup.Group
	for _, p := range pool.processes {
		starting.Go(p.start)
	}
	if err := starting.Wait(); err != nil {
		pool.close()
		return nil, err
	}
	first := pool.processes[0]
	w.backendName, w.why, w.failedPlugins = first.backendName, first.why, first.failedPlugins
	for _, p := range pool.processes {
		if p.backendName != w.backendName {
			pool.close()
			return nil, fmt.Errorf("the worker processes open different backends, %s and %s (%s): set %s to one of them",
				w.backendName, p.backendName, cmp.Or(w.failedPlugins, p.failedPlugins), compute.ConfigEnvVar)
		}
	}
	return w, nil
}

// workerPool is the worker processes of a sweep.
type workerPool struct{ processes []*workerProcess }

// close ends the worker processes. It kills those that do not end within the grace period: their
// checkpoints are on the disk.
func (p *workerPool) close() {
	killTimer := time.AfterFunc(gracePeriod, p.kill)
	defer killTimer.Stop()
	for _, worker := range p.processes {
		worker.stop()
	}
	for _, worker := range p.processes {
		_ = worker.wait()
	}
}

// kill kills the worker processes. The last checkpoint of each is complete.
func (p *workerPool) kill() {
	for _, worker := range p.processes {
		worker.kill()
	}
}

// workerProcess is a worker in a process of its own, which runs workerCommand.
type workerProcess struct {
	stderr           io.Writer
	planned          []*experiment.Planned // the experiments whose runs it may be asked for
	keep             bool                  // the checkpoints of measured steps
	backendName, why string
	failedPlugins    string // the plugins that did not open

	mu  sync.Mutex // guards cmd, because kill is called from another goroutine
	cmd *exec.Cmd  // nil if it is not running

	requests io.WriteCloser
	reports  *json.Decoder
}

var _ runs.Worker = (*workerProcess)(nil)

// start starts the process and waits for its first report.
func (p *workerProcess) start() error {
	program, err := os.Executable()
	if err != nil {
		return err
	}
	cmd := exec.Command(program, workerName, fmt.Sprintf("--%s=%t", keepFlag, p.keep))
	cmd.Stderr = p.stderr
	if p.requests, err = cmd.StdinPipe(); err != nil {
		return err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	p.reports = json.NewDecoder(out)
	p.mu.Lock()
	err = cmd.Start()
	if err == nil {
		p.cmd = cmd
	}
	p.mu.Unlock()
	if err != nil {
		return err
	}
	var first workerReport
	if err := p.reports.Decode(&first); err != nil {
		return p.unexpectedEnd(err)
	}
	if first.Outcome != nil {
		_ = p.wait()
		return errors.New(first.Outcome.Error)
	}
	if p.backendName != "" && first.Backend != p.backendName {
		p.stop()
		_ = p.wait()
		return fmt.Errorf("its worker process was restarted and opened %s instead of %s: %s",
			first.Backend, p.backendName, first.FailedPlugins)
	}
	p.backendName, p.why, p.failedPlugins = first.Backend, first.Why, first.FailedPlugins
	return nil
}

// Do implements runs.Worker. If the process died in the run before, which failed that run only, Do
// starts it again.
func (p *workerProcess) Do(ctx context.Context, item runs.Item, advance func(units int64)) error {
	if p.cmd == nil {
		if err := p.start(); err != nil {
			return err
		}
	}
	r, err := p.request(item)
	if err != nil {
		return err
	}
	stopped := context.AfterFunc(ctx, p.stop)
	defer stopped()
	_ = json.NewEncoder(p.requests).Encode(r) // If the process died, reading its report fails.
	for {
		var m workerReport
		if err := p.reports.Decode(&m); err != nil {
			err := p.unexpectedEnd(err)
			if ctx.Err() != nil {
				return &runs.InterruptedError{Cause: ctx.Err(), Out: item.Part.Out}
			}
			return err
		}
		if m.Outcome != nil {
			return m.Outcome.result(ctx, item)
		}
		advance(m.Units)
	}
}

func (p *workerProcess) request(item runs.Item) (runRequest, error) {
	at := slices.IndexFunc(p.planned, func(planned *experiment.Planned) bool { return planned.Part == item.Part })
	if at < 0 {
		return runRequest{}, fmt.Errorf("%s is not an experiment of this sweep", item.Part.Name)
	}
	planned := p.planned[at]
	config, err := json.Marshal(planned.Config)
	if err != nil {
		return runRequest{}, err
	}
	address, err := item.Address(p.backendName)
	return runRequest{planned.Name, config, planned.Seeds, planned.Out, item.Index, address}, err
}

// result returns the error that Do returns for a run with this outcome.
func (o *outcome) result(ctx context.Context, item runs.Item) error {
	switch {
	case o.Busy:
		return runs.ErrBusy
	case o.Interrupted != nil:
		// Ctrl-C may reach the worker process before it reaches this one.
		select {
		case <-ctx.Done():
		case <-time.After(gracePeriod):
			return errors.New("its worker process was interrupted")
		}
		return &runs.InterruptedError{Cause: ctx.Err(), Label: item.Label, Seed: item.Seed,
			Step: o.Interrupted.Step, End: o.Interrupted.End, Out: item.Part.Out}
	case o.Error != "":
		return errors.New(o.Error)
	}
	return nil
}

// stop closes the process's input, whereupon it saves the state of its run and ends.
func (p *workerProcess) stop() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cmd != nil {
		_ = p.requests.Close()
	}
}

// wait waits for the process to end, and returns an error if it failed or was killed.
func (p *workerProcess) wait() error {
	if p.cmd == nil {
		return nil
	}
	err := p.cmd.Wait()
	p.mu.Lock()
	p.cmd = nil
	p.mu.Unlock()
	return err
}

// unexpectedEnd waits for a process whose next report could not be read, and returns an error that
// says how it ended.
func (p *workerProcess) unexpectedEnd(readError error) error {
	if !errors.Is(readError, io.EOF) && !errors.Is(readError, io.ErrUnexpectedEOF) {
		p.kill()
		_ = p.wait()
		return fmt.Errorf("cannot read the report of its worker process: %w", readError)
	}
	if err := p.wait(); err != nil {
		return fmt.Errorf("its worker process ended: %w", err)
	}
	return errors.New("its worker process ended before the run did")
}

func (p *workerProcess) kill() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cmd != nil {
		_ = p.cmd.Process.Kill()
	}
}
