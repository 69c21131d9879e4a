package experiment

import (
	"context"
	"fmt"

	"github.com/geometric-complexity/toolkit/experiments/evidence"
	"github.com/geometric-complexity/toolkit/experiments/runs"
	"github.com/geometric-complexity/toolkit/internal/settings"
)

// Info describes an experiment.
type Info struct {
	Number string `json:"number"` // "01"
	Name   string `json:"name"`   // "simplicity-bias"
	Title  string `json:"title"`
	// Question is what the experiment asks, in one sentence.
	Question string               `json:"question"`
	Paper    string               `json:"paper"` // where in the paper
	Claims   []evidence.ClaimText `json:"claims"`
	Scales   map[Scale]string     `json:"scales"` // what each scale runs
}

// Folder is the name of the folder that results at a scale go to, unless somebody names another.
func (i Info) Folder(scale Scale) string { return i.Name + "-" + string(scale) }

// Experiment is an experiment of any configuration type, as commands use it.
type Experiment interface {
	Info() Info
	// DefaultConfig returns a pointer to a new configuration of the scale.
	DefaultConfig(Scale) any
	// DefaultSeeds returns the seeds of the scale, used if the caller chooses none.
	DefaultSeeds(Scale) []int64
	// Plan lists the runs of a configuration, which must have the type that DefaultConfig returns.
	Plan(cfg any, seeds []int64) ([]runs.Run, error)
	// RunConfig runs a configuration, which must have the type that DefaultConfig returns.
	RunConfig(ctx context.Context, env runs.Env, cfg any, seeds []int64) (*Result, error)
	// Decide decides the claims from the records of runs that are complete. The scale that the
	// configuration was made for, or Nearest, decides what the verdicts are worth.
	Decide(ctx context.Context, out, backendName string, scale Scale, cfg any, seeds []int64) (*Result, error)
}

// Definition is an experiment with configuration type C.
type Definition[C any] struct {
	About Info
	// Config returns the configuration of a scale. Comments in the function give the reason for
	// each difference between scales.
	Config func(Scale) C
	// Seeds returns the default seeds of a scale.
	Seeds func(Scale) []int64
	// Design returns the sweeps and other settings of a configuration, which determine its runs.
	Design func(cfg C, seeds []int64) evidence.Design
	// Report decides the claims from the records alone.
	Report func(cfg C, seeds []int64, records *evidence.Records) (evidence.Findings, error)
}

var _ Experiment = (*Definition[struct{}])(nil)

// Info implements Experiment.
func (d *Definition[C]) Info() Info { return d.About }

// DefaultConfig implements Experiment.
func (d *Definition[C]) DefaultConfig(scale Scale) any {
	cfg := d.Config(scale)
	return &cfg
}

// DefaultSeeds implements Experiment.
func (d *Definition[C]) DefaultSeeds(scale Scale) []int64 { return d.Seeds(scale) }

// Plan implements Experiment.
func (d *Definition[C]) Plan(cfg any, seeds []int64) ([]runs.Run, error) {
	c, ok := cfg.(*C)
	if !ok {
		return nil, fmt.Errorf("%s: configuration is a %T, want a %T", d.About.Name, cfg, c)
	}
	if err := check(c); err != nil {
		return nil, fmt.Errorf("%s: %w", d.About.Name, err)
	}
	if len(seeds) == 0 {
		return nil, fmt.Errorf("%s: no seeds", d.About.Name)
	}
	for i, seed := range seeds {
		for _, other := range seeds[:i] {
			if seed == other {
				return nil, fmt.Errorf("%s: seed %d is given twice", d.About.Name, seed)
			}
		}
	}
	return d.Design(*c, seeds).Runs()
}

// Run does all runs of the configuration that are not complete yet in env.Out, decides the claims,
// and writes records.jsonl, claims.txt, the figures and result.json there. Cancelling ctx stops
// within a training step with an *InterruptedError; another call resumes. A failed run does not
// stop the others; Run then returns a *FailedError.
func (d *Definition[C]) Run(ctx context.Context, env runs.Env, cfg C, seeds []int64) (*Result, error) {
	return d.RunConfig(ctx, env, &cfg, seeds)
}

// RunConfig implements Experiment; see Run.
func (d *Definition[C]) RunConfig(ctx context.Context, env runs.Env, cfg any, seeds []int64) (*Result, error) {
	env, err := env.WithDefaults()
	if err != nil {
		return nil, err
	}
	p, err := Plan(d, Nearest, cfg, seeds, env.Out)
	if err != nil {
		return nil, err
	}
	reused, err := (&runs.Schedule{Items: runs.Items(p.Part), BackendName: env.BackendName,
		Progress: env.Progress}).Run(ctx, runs.NewWorker(env))
	if err != nil {
		return nil, err
	}
	result, err := p.Decide(ctx, env.BackendName)
	if err == nil {
		result.Reused = reused[p.Part]
	}
	return result, err
}

// Planned is an experiment with a configuration and seeds, and the runs that follow from them.
type Planned struct {
	*runs.Part
	Experiment Experiment
	Scale      Scale // that the configuration was made for, or Nearest
	Config     any   // of the type that the experiment's DefaultConfig returns
	Seeds      []int64
}

// Plan checks a configuration for a scale, which must have the type that the experiment's
// DefaultConfig returns, and lists its runs.
func Plan(e Experiment, scale Scale, cfg any, seeds []int64, out string) (*Planned, error) {
	planned, err := e.Plan(cfg, seeds)
	if err != nil {
		return nil, err
	}
	about := e.Info()
	part := &runs.Part{Number: about.Number, Name: about.Name, Title: about.Title, Runs: planned, Out: out}
	return &Planned{Part: part, Experiment: e, Scale: scale, Config: cfg, Seeds: seeds}, nil
}

// Decide decides the claims from the records of runs that are complete.
func (p *Planned) Decide(ctx context.Context, backendName string) (*Result, error) {
	return p.Experiment.Decide(ctx, p.Out, backendName, p.Scale, p.Config, p.Seeds)
}

// validator is implemented by configurations with constraints beyond their types.
type validator interface{ Validate() error }

// check runs the configuration's own validation, if it has one, and checks that its sizes fit this
// machine.
func check(cfg any) error {
	if v, ok := cfg.(validator); ok {
		if err := v.Validate(); err != nil {
			return err
		}
	}
	return settings.CheckSize(cfg)
}
