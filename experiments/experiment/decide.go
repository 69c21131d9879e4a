package experiment

import (
	"context"
	"fmt"
	"path/filepath"

	"github.com/geometric-complexity/toolkit/experiments/evidence"
	"github.com/geometric-complexity/toolkit/experiments/runs"
	"github.com/geometric-complexity/toolkit/internal/atomicfile"
)

// MissingError reports that an experiment has runs that are not complete yet.
type MissingError struct {
	Name           string
	Missing, Total int
}

// Error implements error.
func (e *MissingError) Error() string {
	return fmt.Sprintf("%s: %d of %d runs are missing", e.Name, e.Missing, e.Total)
}

// Decide implements Experiment. It writes the same files as Run, result.json last: where it exists,
// the others are complete. If runs are missing, it returns a *MissingError.
func (d *Definition[C]) Decide(ctx context.Context, out, backendName string, scale Scale, cfg any,
	seeds []int64) (*Result, error) {
	all, err := d.Plan(cfg, seeds)
	if err != nil {
		return nil, err
	}
	done, err := d.readAll(out, backendName, all)
	if err != nil {
		return nil, err
	}
	// Several processes may see at the same time that the last run is complete.
	lock, err := runs.Lock(ctx, out)
	if err != nil {
		return nil, err
	}
	defer runs.Unlock(lock)
	for _, dir := range []string{out, filepath.Join(out, FiguresDir)} {
		if err := atomicfile.RemoveTemporary(dir); err != nil {
			return nil, err
		}
	}
	var findings evidence.Findings
	records, err := recordsOf(done)
	if err != nil {
		return nil, err
	}
	if err := runs.Protect(func() (err error) {
		findings,
			err = d.Report(*cfg.(*C), seeds, records)
		return err
	}); err != nil {
		return nil, fmt.Errorf("%s: report: %w", d.About.Name, err)
	}
	r, err := newResult(backendName, d, scale, cfg, seeds, done, findings)
	if err != nil {
		return nil, err
	}
	return r, r.write(out, done, findings.Figures)
}

// Records reads the records of a configuration's runs, all of which must be complete.
func (d *Definition[C]) Records(out, backendName string, cfg C, seeds []int64) (*evidence.Records, error) {
	all, err := d.Plan(&cfg, seeds)
	if err != nil {
		return nil, err
	}
	done, err := d.readAll(out, backendName, all)
	if err != nil {
		return nil, err
	}
	return recordsOf(done)
}

func recordsOf(done []doneRun) (*evidence.Records, error) {
	records := &evidence.Records{}
	for _, d := range done {
		if err := records.Add(d.Run, d.Record); err != nil {
			return nil, err
		}
	}
	return records, nil
}

func (d *Definition[C]) readAll(out, backendName string, all []runs.Run) (done []doneRun, err error) {
	for _, run := range all {
		record, err := runs.Lookup(out, backendName, run)
		if err != nil {
			return nil, err
		}
		if record != nil {
			done = append(done, doneRun{run, record})
		}
	}
	if missing := len(all) - len(done); missing > 0 {
		return nil, &MissingError{Name: d.About.Name, Missing: missing, Total: len(all)}
	}
	return done, nil
}

// doneRun is a run with its record.
type doneRun struct {
	runs.Run
	*runs.Record
}
