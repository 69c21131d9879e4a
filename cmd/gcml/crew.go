package main

import (
	"log/slog"

	"example.com/geometric-complexity/backend"
	"example.com/geometric-complexity/experiments"
)

// crew is who does the runs of a sweep.
type crew struct {
	workers     []experiments.Worker
	backendName string
	why         string // the line that says which backend it is, and why
	close       func()
}

// openCrew opens the backend for a single worker in this process, or starts
// several processes that open it each.
func (a *app) openCrew(workers int) (*crew, error) {
	if workers > 1 {
		return a.startProcesses(workers)
	}
	b, info, err := backend.Open()
	if err != nil {
		return nil, err
	}
	name := info.ResultName()
	env := experiments.Env{Backend: b, BackendName: name, Log: slog.New(warnings{a.stderr})}
	return &crew{workers: []experiments.Worker{experiments.NewWorker(env)}, backendName: name, why: info.Why, close: b.Finalize}, nil
}
