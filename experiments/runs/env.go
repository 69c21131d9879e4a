package runs

import (
	"errors"
	"io"
	"log/slog"
	"strings"
	"time"

	"github.com/gomlx/compute"

	// Importing it makes graphs outside training see changed weights on the
	// pure-Go backend, however that was opened.
	_ "example.com/geometric-complexity/backend"
)

// Progress is told how far the work is. Its calls never come two at a time. A
// bar of a terminal or of a notebook implements it.
type Progress interface {
	// Start begins a display of total units (training steps over all runs).
	Start(total int64, title string)
	// Add says that n more units are done.
	Add(n int64)
	// Describe says what is being done now.
	Describe(text string)
	// Left says how long the rest will take; a negative duration says that this is not known yet.
	// Units may differ in the time that they take, so that a display which is told does not
	// extrapolate from the units done.
	Left(time.Duration)
	// Finish ends the display.
	Finish()
}

// Env is where and how an experiment runs. Nothing of it but the backend's
// name takes part in a run's numbers.
type Env struct {
	Backend compute.Backend
	// BackendName is the backend as it stands in results and in the address of
	// a run, such as "go" or "xla:cpu": on another backend the same seed gives
	// other random numbers. Empty: the first word of Backend.Name().
	BackendName string
	// Out is the folder that results go to; it is made if it is not there.
	Out string
	// Progress may be nil.
	Progress Progress
	// Log may be nil.
	Log *slog.Logger
	// CheckpointEvery is the longest time between two checkpoints of a run; 0 is
	// 20 seconds. A checkpoint is also saved on cancellation.
	CheckpointEvery time.Duration
}

// WithDefaults fills what may be left out, and says what may not.
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

type NoProgress struct{}

func (NoProgress) Start(int64, string) {}
func (NoProgress) Add(int64)           {}
func (NoProgress) Describe(string)     {}
func (NoProgress) Left(time.Duration)  {}
func (NoProgress) Finish()             {}
