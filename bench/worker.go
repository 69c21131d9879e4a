package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"

	"github.com/geometric-complexity/toolkit/bench/proto"
)

// worker executes commands, one at a time.
type worker interface {
	Name() string // "xla:cpu", "go", "jax", "torch".
	Do(proto.Request) (proto.Answer, error)
}

// workerCommand is the command line that starts a worker.
type workerCommand struct {
	name string
	args []string
	env  []string // Added to the harness's own.
}

func (w workerCommand) command(extra ...string) *exec.Cmd {
	cmd := exec.Command(w.args[0], append(w.args[1:len(w.args):len(w.args)], extra...)...)
	cmd.Env = append(os.Environ(), w.env...)
	return cmd
}

// process is a worker that lives through all cases of a network, so that no timed run includes
// start-up or compilation.
type process struct {
	name  string
	cmd   *exec.Cmd
	in    io.WriteCloser
	lines *bufio.Scanner
}

// start starts the process; what it prints on standard error goes to log.
func (w workerCommand) start(log io.Writer) (*process, error) {
	cmd := w.command()
	cmd.Stderr = log
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("worker %s: %w", w.name, err)
	}
	return &process{name: w.name, cmd: cmd, in: in, lines: bufio.NewScanner(out)}, nil
}

func (p *process) Name() string { return p.name }

// Do sends one command and waits for its answer.
func (p *process) Do(request proto.Request) (proto.Answer, error) {
	var answer proto.Answer
	if err := json.NewEncoder(p.in).Encode(request); err != nil {
		return answer, fmt.Errorf("worker %s ended: %w", p.name, err)
	}
	if !p.lines.Scan() {
		return answer, fmt.Errorf("worker %s ended during %q (%v); see its messages above", p.name, request.Op, p.lines.Err())
	}
	if err := json.Unmarshal(p.lines.Bytes(), &answer); err != nil {
		return answer, fmt.Errorf("worker %s answered %q: %w", p.name, p.lines.Text(), err)
	}
	if answer.Error != "" {
		return answer, fmt.Errorf("worker %s, %s of %s %s: %s", p.name, request.Op, request.Task, request.Variant,
			answer.Error)
	}
	return answer, nil
}

// stop asks the process to end, and waits for it.
func (p *process) stop() error {
	if err := json.NewEncoder(p.in).Encode(proto.Request{Op: proto.OpQuit}); err != nil {
		_ = p.cmd.Process.Kill() // It no longer reads commands; Wait below returns how it ended.
	}
	return p.cmd.Wait()
}
