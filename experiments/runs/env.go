package runs

import (
	"errors"
	"io"
	"log/slog"
	"strings"
	"time"

	"github.com/gomlx/compute"

	// Its import makes graphs outside training see changed weights on the pure-Go backend, even on
	// one that the caller opened.
	_ "github.com/geometric-complexity/toolkit/backend"
)

// Progress displays how far the work is. Its methods are never called concurrently. A terminal's or
// a notebook's progress bar implements it.
type Progress interface {
	// Start begins a display of total units (training steps over all runs).
	Start(total int64, title string)
	// Add says that n more units are done.
	Add(n int64)
	// Describe says what is being done now.
	Describe(text string)
	// Left reports the estimated time until all units are done; it is negative while there is no
	// estimate. Units may differ in cost, so a display that receives this estimate must not
	// extrapolate from the units done.
	Left(time.Duration)
	// Finish ends the display.
	Finish()
}

// Env says where and how an experiment runs. Only the backend's name influences a run's numbers.
type Env struct {
	Backend compute.Backend
	// BackendName names the backend in results and in a run's address, such as "go" or "xla:cpu":
	// the same seed gives other random numbers on another backend. If empty, it is the first word
	// of Backend.Name().
	BackendName string
	// Out is the folder for results; it is created if it does not exist.
	Out string
	// Progress may be nil.
	Progress Progress
	// Log may be nil.
	Log *slog.Logger
	// CheckpointEvery is the longest time between two checkpoints of a run; 0 is 20 seconds. A
	// checkpoint is also saved on cancellation.
	CheckpointEvery time.Duration
	// KeepCheckpoints saves a checkpoint at every measured step after the first, and keeps the
	// newest of each step when the run has ended. Otherwise a run that has ended keeps only its
	// last one.
	KeepCheckpoints bool
}

// WithDefaults fills optional fields that are empty, and returns an error if a required one is.
func (e Env) WithDefaults() (Env, error) {
	if e.Backend == nil {
		return e, errors.New("experiments: Env.Backend is nil; open one, for example with compute.NewWithConfig(\"go\")")
	}
	if e.Out == "" {
		return e, errors.New("experiments: Env.Out is empty; name the folder that results go to")
	}
	if e.BackendName == "" {
		e.BackendName, _, _ = strings.Cut(e.Backend.Name(), ":")
	}
	if e.Progress == nil {
		e.Progress = NoProgress{}
	}
	if e.Log == nil {
		e.Log = slog.New(slog.NewTextHandler(io.Discard, nil))
	}
	if e.CheckpointEvery == 0 {
		e.CheckpointEvery = 20 * time.Second
	}
	return e, nil
}

// NoProgress ignores all progress.
type NoProgress struct{}

func (NoProgress) Start(int64, string) {}
func (NoProgress) Add(int64)           {}
func (NoProgress) Describe(string)     {}
func (NoProgress) Left(time.Duration)  {}
func (NoProgress) Finish()             {}
