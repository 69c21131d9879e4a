package main

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"slices"

	"github.com/gomlx/compute"

	"github.com/geometric-complexity/toolkit/backend"
	"github.com/geometric-complexity/toolkit/experiments/experiment"
	"github.com/geometric-complexity/toolkit/experiments/runs"
)

// openedWorkers are the workers of a sweep, with the backend that all of them opened.
type openedWorkers struct {
	workers       []runs.Worker
	backendName   string
	why           string // one line that names the backend, and says why it was chosen
	failedPlugins string // the plugins tried before that did not open, "" if none
	close         func()
}

// openWorkers opens the backend for one worker in this process, or starts several worker processes,
// each of which opens it. With keep, runs keep the checkpoints of measured steps.
func (a *app) openWorkers(workers int, planned []*experiment.Planned, keep bool) (*openedWorkers, error) {
	if workers > 1 {
		return a.startProcesses(workers, planned, keep)
	}
	b, info, err := backend.Open()
	if err != nil {
		return nil, err
	}
	name := info.ResultName()
	env := runs.Env{Backend: b, BackendName: name, Log: slog.New(warnings{a.stderr}), KeepCheckpoints: keep}
	return &openedWorkers{workers: []runs.Worker{runs.NewWorker(env)}, backendName: name, why: info.Why,
		failedPlugins: info.Failed, close: b.Finalize}, nil
}

// preferGoAtSmokeScale sets GOMLX_BACKEND to the pure Go backend, for this process and the worker
// processes that it starts, if every experiment is of the smoke scale. It leaves a backend that is
// set already, and reports whether it chose one.
func preferGoAtSmokeScale(planned []*experiment.Planned) (chosen bool, err error) {
	isLarger := func(p *experiment.Planned) bool { return p.Scale != experiment.Smoke }
	if os.Getenv(compute.ConfigEnvVar) != "" || slices.ContainsFunc(planned, isLarger) {
		return false, nil
	}
	return true, os.Setenv(compute.ConfigEnvVar, "go")
}

// checkBackend returns an error if a plugin did not open and the output folders have runs on
// another backend than the one opened instead: a run's address contains the backend, so all of them
// would start again.
func (w *openedWorkers) checkBackend(planned []*experiment.Planned) error {
	if w.failedPlugins == "" {
		return nil
	}
	for _, p := range planned {
		started, err := filepath.Glob(filepath.Join(escapeGlob(p.Out), runs.RunsDir, "*", runs.RunFile))
		if err != nil {
			return err
		}
		for _, path := range started {
			var run struct {
				Backend string `json:"backend"`
			}
			raw, err := os.ReadFile(path)
			if err != nil || json.Unmarshal(raw, &run) != nil || run.Backend == "" || run.Backend == w.backendName {
				continue // The run itself reports a file that cannot be read.
			}
			return fmt.Errorf("%s, and %s has runs on %s, which would all start again on %s: "+
				"fix the plugin (gcml doctor says how), or set %s=%s to start again",
				w.failedPlugins, p.Out, run.Backend, w.backendName, compute.ConfigEnvVar, w.backendName)
		}
	}
	return nil
}

// escapeGlob returns a pattern that matches a path alone.
func escapeGlob(path string) string { return globSpecial.ReplaceAllString(path, "[$0]") }

var globSpecial = regexp.MustCompile(`[*?\[]`)
