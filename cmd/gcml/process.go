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

// startProcesses starts workers in processes of their own, and waits until they have opened their
// backends.
func (a *app) startProcesses(n int, parts []*experiment.Planned) (*workforce, error) {
	pool := &workerPool{}
	c := &workforce{close: pool.close}
	for range n {
		p := &process{stderr: a.stderr, parts: parts}
		pool.processes = append(pool.processes, p)
		c.workers = append(c.workers, p)
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
	c.backendName, c.why, c.failed = first.backendName, first.why, first.failed
	for _, p := range pool.processes {
		if p.backendName != c.backendName {
			pool.close()
			return nil, fmt.Errorf("of the worker processes one opens %s and another %s (%s): set %s to one of them",
				c.backendName, p.backendName, cmp.Or(c.failed, p.failed), compute.ConfigEnvVar)
		}
	}
	return c, nil
}

// workerPool is all workers of a sweep.
type workerPool struct{ processes []*process }

// close lets the workers end by themselves, and waits for it, but not for long: what they did is on
// the disk.
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

// kill ends the workers at once. The last checkpoint of each is a whole one.
func (p *workerPool) kill() {
	for _, worker := range p.processes {
		worker.kill()
	}
}

// process is a worker in a process of its own.
type process struct {
	stderr           io.Writer
	parts            []*experiment.Planned // whose runs it may be asked for
	backendName, why string
	failed           string // plugins that did not open

	mu  sync.Mutex // of cmd: kill comes from another goroutine
	cmd *exec.Cmd  // nil if it is not running

	requests io.WriteCloser
	reports  *json.Decoder
}

var _ runs.Worker = (*process)(nil)

// start starts the process and waits for its first report.
func (p *process) start() error {
	program, err := os.Executable()
	if err != nil {
		return err
	}
	cmd := exec.Command(program, workerName)
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
	var hello message
	if err := p.reports.Decode(&hello); err != nil {
		return p.died(err)
	}
	if hello.End != nil {
		_ = p.wait()
		return errors.New(hello.End.Error)
	}
	if p.backendName != "" && hello.Backend != p.backendName {
		p.stop()
		_ = p.wait()
		return fmt.Errorf("its worker process opens %s now, and opened %s before: %s",
			hello.Backend, p.backendName, hello.Failed)
	}
	p.backendName, p.why, p.failed = hello.Backend, hello.Why, hello.Failed
	return nil
}

// Do implements experiments.Worker. A process that died, which ended one run, is started anew for
// the next.
func (p *process) Do(ctx context.Context, item runs.Item, advance func(units int64)) error {
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
	_ = json.NewEncoder(p.requests).Encode(r) // if it is gone, so is its report
	for {
		var m message
		if err := p.reports.Decode(&m); err != nil {
			err := p.died(err)
			if ctx.Err() != nil {
				return &runs.InterruptedError{Cause: ctx.Err(), Out: item.Part.Out}
			}
			return err
		}
		if m.End != nil {
			return m.End.result(ctx, item)
		}
		advance(m.Units)
	}
}

func (p *process) request(item runs.Item) (request, error) {
	at := slices.IndexFunc(p.parts, func(part *experiment.Planned) bool { return part.Part == item.Part })
	if at < 0 {
		return request{}, fmt.Errorf("%s is not an experiment of this sweep", item.Part.Name)
	}
	part := p.parts[at]
	config, err := json.Marshal(part.Config)
	if err != nil {
		return request{}, err
	}
	address, err := item.Address(p.backendName)
	return request{part.Name, config, part.Seeds, part.Out, item.Index, address}, err
}

// result is the error that Do returns for it.
func (e *end) result(ctx context.Context, item runs.Item) error {
	switch {
	case e.Busy:
		return runs.ErrBusy
	case e.Interrupted != nil:
		// Ctrl-C may have come to the worker a little earlier than to this process.
		select {
		case <-ctx.Done():
		case <-time.After(gracePeriod):
			return errors.New("its worker process was interrupted")
		}
		return &runs.InterruptedError{Cause: ctx.Err(), Label: item.Label, Seed: item.Seed,
			Step: e.Interrupted.Step, End: e.Interrupted.End, Out: item.Part.Out}
	case e.Error != "":
		return errors.New(e.Error)
	}
	return nil
}

// stop closes the input, upon which the process saves the state of its run and ends.
func (p *process) stop() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cmd != nil {
		_ = p.requests.Close()
	}
}

// wait waits for the process to end, and says if it did not end well.
func (p *process) wait() error {
	if p.cmd == nil {
		return nil
	}
	err := p.cmd.Wait()
	p.mu.Lock()
	p.cmd = nil
	p.mu.Unlock()
	return err
}

// died waits for a process whose reports cannot be read, and says how it ended.
func (p *process) died(unread error) error {
	if !errors.Is(unread, io.EOF) && !errors.Is(unread, io.ErrUnexpectedEOF) {
		p.kill()
		_ = p.wait()
		return fmt.Errorf("its worker process does not say how it goes: %w", unread)
	}
	if err := p.wait(); err != nil {
		return fmt.Errorf("its worker process ended: %w", err)
	}
	return errors.New("its worker process ended before the run did")
}

func (p *process) kill() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cmd != nil {
		_ = p.cmd.Process.Kill()
	}
}
