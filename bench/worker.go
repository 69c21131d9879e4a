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

// worker does tasks on command; one command at a time.
type worker interface {
	Name() string // "xla:cpu", "go", "jax", "torch".
	Do(proto.Request) (proto.Answer, error)
}

// launch says how to start a worker's process.
type launch struct {
	name    string
	command []string
	env     []string // Added to the harness's own.
}

func (l launch) cmd(extra ...string) *exec.Cmd {
	cmd := exec.Command(l.command[0], append(l.command[1:len(l.command):len(l.command)], extra...)...)
	cmd.Env = append(os.Environ(), l.env...)
	return cmd
}

// process is a worker that lives as long as the run, so that no start-up or compilation falls into
// a timed run.
type process struct {
	name  string
	cmd   *exec.Cmd
	in    io.WriteCloser
	lines *bufio.Scanner
}

// start starts the process; what it prints on standard error goes to log.
func (l launch) start(log io.Writer) (*process, error) {
	cmd := l.cmd()
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
		return nil, fmt.Errorf("worker %s: %w", l.name, err)
	}
	return &process{name: l.name, cmd: cmd, in: in, lines: bufio.NewScanner(out)}, nil
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
		_ = p.cmd.Process.Kill() // It does not read any more; Wait below says how it ended.
	}
	return p.cmd.Wait()
}
