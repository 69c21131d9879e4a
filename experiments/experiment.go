package experiments

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"example.com/geometric-complexity/internal/atomicfile"
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
// decides the claims, and writes result.json, claims.txt and the figures there.
// Cancelling ctx stops within a training step and gives an *InterruptedError;
// calling again goes on.
func (d *Definition[C]) Run(ctx context.Context, env Env, cfg C, seeds []int64) (*Result, error) {
	return d.RunConfig(ctx, env, &cfg, seeds)
}

// RunConfig implements Experiment; see Run.
func (d *Definition[C]) RunConfig(ctx context.Context, env Env, cfg any, seeds []int64) (*Result, error) {
	runs, err := d.Plan(cfg, seeds)
	if err != nil {
		return nil, err
	}
	begin := time.Now()
	if env, err = env.withDefaults(); err != nil {
		return nil, err
	}
	done, reused, err := executeAll(ctx, env, d.About.Title, runs)
	if err != nil {
		return nil, err
	}
	findings, err := d.Report(*cfg.(*C), seeds, done)
	if err != nil {
		return nil, fmt.Errorf("%s: report: %w", d.About.Name, err)
	}
	result, err := newResult(env, d, cfg, seeds, done, findings, time.Since(begin))
	if err == nil {
		result.Reused = reused
	}
	return result, err
}

// executeAll does the runs in their order, and counts those that were complete
// before.
func executeAll(ctx context.Context, env Env, title string, runs []Run) (done []Done, reused int, err error) {
	var units int64
	for _, run := range runs {
		units += run.Task.Units()
	}
	env.Progress.Start(units, title)
	defer env.Progress.Finish()
	for i, run := range runs {
		env.Progress.Describe(fmt.Sprintf("run %d/%d: %s, seed %d", i+1, len(runs), run.Label, run.Seed))
		record, err := lookUp(env, run)
		switch {
		case err != nil:
		case record != nil:
			reused++
			env.Progress.Add(run.Task.Units())
		default:
			record, err = Execute(ctx, env, run)
		}
		if err != nil {
			return nil, reused, err
		}
		done = append(done, Done{run, record})
	}
	return done, reused, nil
}

// lookUp returns the record of a run that is complete in the output folder, or nil.
func lookUp(env Env, run Run) (*Record, error) {
	address, err := run.Address(env.BackendName)
	if err != nil {
		return nil, err
	}
	return readRecord(filepath.Join(env.Out, runsDir, address))
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
	Claims  []Claim         `json:"claims"`
	Tables  []Table         `json:"tables,omitempty"`
	Figures []string        `json:"figures"` // paths below the output folder
	// InWords says of each figure, by the name of its files, what it shows.
	InWords    map[string]string `json:"figures_in_words,omitempty"`
	Runs       []RunSummary      `json:"runs"`
	Provenance Provenance        `json:"provenance"`
	// Reused is how many of the runs were complete before.
	Reused int `json:"-"`
}

// The files of an output folder that its result is in.
const (
	ResultFile = "result.json"
	ClaimsFile = "claims.txt" // Result.Text
)

// newResult makes the result and writes it. result.json is removed first and
// written last: where it is, all it speaks of is there.
func newResult(env Env, e Experiment, cfg any, seeds []int64, done []Done, findings Findings, took time.Duration) (*Result, error) {
	config, err := json.Marshal(cfg)
	if err != nil {
		return nil, err
	}
	about := e.Info()
	r := &Result{Number: about.Number, Name: about.Name, Title: about.Title, Paper: about.Paper, Backend: env.BackendName,
		Seeds: seeds, Config: config, Claims: findings.Claims, Tables: findings.Tables, Provenance: currentProvenance()}
	r.Provenance.Finished = time.Now().UTC().Truncate(time.Second)
	r.Provenance.Seconds = took.Seconds()
	r.Provenance.Starts = 1
	for _, d := range done {
		r.Runs = append(r.Runs, RunSummary{d.Label, d.Record.Seed, d.Hash, d.Status, d.Step, d.Provenance.Seconds})
	}
	if r.Scale, r.Command, err = repeatedBy(e, cfg, seeds); err != nil {
		return nil, err
	}
	r.InWords = inWords(findings.Figures)
	if err := os.RemoveAll(filepath.Join(env.Out, ResultFile)); err != nil { // it need not be there
		return nil, err
	}
	for _, f := range findings.Figures {
		paths, err := f.Figure.Save(filepath.Join(env.Out, "figures", f.Name))
		if err != nil {
			return nil, err
		}
		for _, path := range paths {
			r.Figures = append(r.Figures, filepath.ToSlash(filepath.Join("figures", filepath.Base(path))))
		}
	}
	if err := atomicfile.Replace(filepath.Join(env.Out, ClaimsFile), []byte(r.Text())); err != nil {
		return nil, err
	}
	return r, atomicfile.WriteJSON(filepath.Join(env.Out, ResultFile), r)
}
