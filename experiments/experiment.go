package experiments

import (
	"context"
	"encoding/json"
	"fmt"

	"example.com/geometric-complexity/internal/plots"
)

// ClaimText is a claim before any run: its short name and what it says.
type ClaimText struct {
	ID   string `json:"id"`
	Text string `json:"claim"`
}

// Info describes an experiment.
type Info struct {
	Number string           `json:"number"` // "01"
	Name   string           `json:"name"`   // "simplicity-bias"
	Title  string           `json:"title"`
	Paper  string           `json:"paper"` // where in the paper
	Claims []ClaimText      `json:"claims"`
	Scales map[Scale]string `json:"scales"` // what each scale runs
}

// Folder is the name of the folder that results at a scale go to, unless
// somebody names another.
func (i Info) Folder(scale Scale) string { return i.Name + "-" + string(scale) }

// Experiment is what a command needs to know of an experiment whose
// configuration type it does not know.
type Experiment interface {
	Info() Info
	// DefaultConfig returns a pointer to a new configuration of the scale.
	DefaultConfig(Scale) any
	// DefaultSeeds are the seeds that the scale runs with if none are asked for.
	DefaultSeeds(Scale) []int64
	// Plan lists the runs of a configuration, given as DefaultConfig gives it.
	Plan(cfg any, seeds []int64) ([]Run, error)
	// RunConfig runs a configuration, given as DefaultConfig gives it.
	RunConfig(ctx context.Context, env Env, cfg any, seeds []int64) (*Result, error)
	// Decide decides the claims from the records of runs that are complete.
	Decide(ctx context.Context, out, backendName string, cfg any, seeds []int64) (*Result, error)
}

// Done is a run with its record, as a report reads it.
type Done struct {
	Run
	*Record
}

// Findings is what an experiment's report gives.
type Findings struct {
	Claims  []Claim
	Tables  []Table
	Figures []NamedFigure
}

// NamedFigure is a figure with the name of its files.
type NamedFigure struct {
	Name   string
	Figure plots.Figure
}

// Definition is an experiment with configuration type C.
type Definition[C any] struct {
	About Info
	// Config returns the configuration of a scale. What a scale changes is said,
	// with its reason, in the comments of the function.
	Config func(Scale) C
	// Seeds returns the default seeds of a scale.
	Seeds func(Scale) []int64
	// List lists the runs of a configuration.
	List func(cfg C, seeds []int64) ([]Run, error)
	// Report decides the claims from the records, and from nothing else.
	Report func(cfg C, seeds []int64, done []Done) (Findings, error)
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
func (d *Definition[C]) Plan(cfg any, seeds []int64) ([]Run, error) {
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
	return d.List(*c, seeds)
}

// Run does all runs of the configuration that are not complete yet in env.Out,
// decides the claims, and writes records.jsonl, claims.txt, the figures and
// result.json there. Cancelling ctx stops within a training step and gives an
// *InterruptedError; calling again goes on. A run that fails does not keep the
// others from being done; the error is a *FailedError then.
func (d *Definition[C]) Run(ctx context.Context, env Env, cfg C, seeds []int64) (*Result, error) {
	return d.RunConfig(ctx, env, &cfg, seeds)
}

// RunConfig implements Experiment; see Run.
func (d *Definition[C]) RunConfig(ctx context.Context, env Env, cfg any, seeds []int64) (*Result, error) {
	env, err := env.withDefaults()
	if err != nil {
		return nil, err
	}
	part := &Part{Experiment: d, Config: cfg, Seeds: seeds, Out: env.Out}
	items, err := Items(part)
	if err != nil {
		return nil, err
	}
	reused, err := (&Schedule{Items: items, BackendName: env.BackendName, Progress: env.Progress}).Run(ctx, NewWorker(env))
	if err != nil {
		return nil, err
	}
	result, err := d.Decide(ctx, env.Out, env.BackendName, cfg, seeds)
	if err == nil {
		result.Reused = reused[part]
	}
	return result, err
}

// RunSummary is a run's line in a result.
type RunSummary struct {
	Label   string  `json:"label"`
	Seed    int64   `json:"seed"`
	Hash    string  `json:"hash"`
	Status  Status  `json:"status"`
	Step    int64   `json:"step"`
	Seconds float64 `json:"seconds"`
}

// Result is what an experiment came to.
type Result struct {
	Number  string          `json:"number"`
	Name    string          `json:"name"`
	Title   string          `json:"title"`
	Paper   string          `json:"paper"`
	Scale   Scale           `json:"scale"`   // that the configuration is nearest to
	Command string          `json:"command"` // that repeats the result
	Backend string          `json:"backend"`
	Seeds   []int64         `json:"seeds"`
	Config  json.RawMessage `json:"config"`
	// Data says what the data sets of the runs held, each once.
	Data    []DataContent `json:"data,omitempty"`
	Claims  []Claim       `json:"claims"`
	Tables  []Table       `json:"tables,omitempty"`
	Figures []string      `json:"figures"` // paths below the output folder
	// InWords says of each figure, by the name of its files, what it shows.
	InWords map[string]string `json:"figures_in_words,omitempty"`
	Runs    []RunSummary      `json:"runs"`
	// Provenance has the sum of the runs' seconds, and when the last of them ended.
	Provenance Provenance `json:"provenance"`
	// Reused is how many of the runs were complete before.
	Reused int `json:"-"`
}
