package main

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"

	"github.com/gomlx/compute"

	"github.com/geometric-complexity/toolkit/backend"
	"github.com/geometric-complexity/toolkit/experiments/experiment"
	"github.com/geometric-complexity/toolkit/experiments/runs"
)

// workforce holds the workers of a sweep and the backend that they opened.
type workforce struct {
	workers     []runs.Worker
	backendName string
	why         string // the line that says which backend it is, and why
	failed      string // the plugins that did not open before it, "" if none
	close       func()
}

// openWorkers opens the backend for a single worker in this process, or starts several processes
// that open it each.
func (a *app) openWorkers(workers int, parts []*experiment.Planned) (*workforce, error) {
	if workers > 1 {
		return a.startProcesses(workers, parts)
	}
	b, info, err := backend.Open()
	if err != nil {
		return nil, err
	}
	name := info.ResultName()
	env := runs.Env{Backend: b, BackendName: name, Log: slog.New(warnings{a.stderr})}
	return &workforce{workers: []runs.Worker{runs.NewWorker(env)}, backendName: name, why: info.Why,
		failed: info.Failed, close: b.Finalize}, nil
}

// chooseGoIfSmall lets this process, and the workers that it starts, open the pure Go backend if
// all parts are of the smoke scale, unless GOMLX_BACKEND is set.
func chooseGoIfSmall(parts []*experiment.Planned) (chosen bool, err error) {
	if os.Getenv(compute.ConfigEnvVar) != "" {
		return false, nil
	}
	for _, part := range parts {
		scale, _, err := experiment.RepeatedBy(part.Experiment, part.Config, part.Seeds)
		if err != nil || scale != experiment.Smoke {
			return false, err
		}
	}
	return true, os.Setenv(compute.ConfigEnvVar, "go")
}

// checkBackend stops a sweep that would go on with another backend than before because a plugin
// does not open: runs are addressed by their backend, so that all of them would start anew.
func (c *workforce) checkBackend(parts []*experiment.Planned) error {
	if c.failed == "" {
		return nil
	}
	for _, part := range parts {
		started, err := filepath.Glob(filepath.Join(escapeGlob(part.Out), "runs", "*", "run.json"))
		if err != nil {
			return err
		}
		for _, path := range started {
			var run struct {
				Backend string `json:"backend"`
			}
			raw, err := os.ReadFile(path)
			if err != nil || json.Unmarshal(raw, &run) != nil || run.Backend == "" || run.Backend == c.backendName {
				continue // What cannot be read is for the runs themselves to say.
			}
			return fmt.Errorf("%s, and %s has runs on %s, which would all start anew on %s: "+
				"mend the plugin (gcml doctor says how), or set %s=%s to start anew",
				c.failed, part.Out, run.Backend, c.backendName, compute.ConfigEnvVar, c.backendName)
		}
	}
	return nil
}

// escapeGlob makes a path stand for itself in a pattern.
func escapeGlob(path string) string { return globSpecial.ReplaceAllString(path, "[$0]") }

var globSpecial = regexp.MustCompile(`[*?\[]`)
