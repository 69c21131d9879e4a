package experiments

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"example.com/geometric-complexity/internal/atomicfile"
)

// What Decide writes into an experiment's output folder, beside the figures.
const (
	ResultFile  = "result.json"
	ClaimsFile  = "claims.txt"    // Result.Text
	RecordsFile = "records.jsonl" // the records of all runs
)

// FiguresDir is the folder below the output folder that holds the figures.
const FiguresDir = "figures"

// MissingError reports that an experiment has runs that are not complete yet.
type MissingError struct {
	Name           string
	Missing, Total int
}

// Error says how many are missing.
func (e *MissingError) Error() string {
	return fmt.Sprintf("%s: %d of %d runs are missing", e.Name, e.Missing, e.Total)
}

// Decide implements Experiment. It writes what Run writes; result.json comes
// last and stands for the rest. A *MissingError says that runs are missing.
func (d *Definition[C]) Decide(ctx context.Context, out, backendName string, cfg any, seeds []int64) (*Result, error) {
	runs, err := d.Plan(cfg, seeds)
	if err != nil {
		return nil, err
	}
	done, err := d.readAll(out, backendName, runs)
	if err != nil {
		return nil, err
	}
	// Several processes may find at once that the last run is complete.
	lock, err := waitLock(ctx, out)
	if err != nil {
		return nil, err
	}
	defer unlock(lock)
	for _, dir := range []string{out, filepath.Join(out, FiguresDir)} {
		if err := atomicfile.RemoveTemporary(dir); err != nil {
			return nil, err
		}
	}
	var findings Findings
	if err := protect(func() (err error) { findings, err = d.Report(*cfg.(*C), seeds, done); return err }); err != nil {
		return nil, fmt.Errorf("%s: report: %w", d.About.Name, err)
	}
	r, err := newResult(backendName, d, cfg, seeds, done, findings)
	if err != nil {
		return nil, err
	}
	return r, r.write(out, done, findings.Figures)
}

func (d *Definition[C]) readAll(out, backendName string, runs []Run) (done []Done, err error) {
	for _, run := range runs {
		record, err := lookUp(out, backendName, run)
		if err != nil {
			return nil, err
		}
		if record != nil {
			done = append(done, Done{run, record})
		}
	}
	if missing := len(runs) - len(done); missing > 0 {
		return nil, &MissingError{Name: d.About.Name, Missing: missing, Total: len(runs)}
	}
	return done, nil
}

// lookUp returns the record of a run that is complete in the output folder, or nil.
func lookUp(out, backendName string, run Run) (*Record, error) {
	address, err := run.Address(backendName)
	if err != nil {
		return nil, err
	}
	return readRecord(filepath.Join(out, runsDir, address))
}

func newResult(backendName string, e Experiment, cfg any, seeds []int64, done []Done, findings Findings) (*Result, error) {
	config, err := json.Marshal(cfg)
	if err != nil {
		return nil, err
	}
	about := e.Info()
	r := &Result{Number: about.Number, Name: about.Name, Title: about.Title, Paper: about.Paper, Backend: backendName,
		Seeds: seeds, Config: config, Claims: findings.Claims, Tables: findings.Tables, InWords: inWords(findings.Figures),
		Provenance: currentProvenance()}
	r.Provenance.Starts = 1
	for _, d := range done {
		r.Runs = append(r.Runs, RunSummary{d.Label, d.Record.Seed, d.Hash, d.Status, d.Step, d.Provenance.Seconds})
		if d.Data != nil && !slices.Contains(r.Data, *d.Data) {
			r.Data = append(r.Data, *d.Data)
		}
		r.Provenance.Seconds += d.Provenance.Seconds
		if d.Provenance.Finished.After(r.Provenance.Finished) {
			r.Provenance.Finished = d.Provenance.Finished
		}
	}
	r.Scale, r.Command, err = repeatedBy(e, cfg, seeds)
	return r, err
}

// write writes the result and what it speaks of. result.json is removed first
// and written last: where it is, all the rest is there.
func (r *Result) write(out string, done []Done, figures []NamedFigure) error {
	if err := os.RemoveAll(filepath.Join(out, ResultFile)); err != nil { // it need not be there
		return err
	}
	if err := writeRecords(out, done); err != nil {
		return err
	}
	for _, f := range figures {
		paths, err := f.Figure.Save(filepath.Join(out, FiguresDir, f.Name))
		if err != nil {
			return err
		}
		for _, path := range paths {
			r.Figures = append(r.Figures, filepath.ToSlash(filepath.Join(FiguresDir, filepath.Base(path))))
		}
	}
	if err := atomicfile.Replace(filepath.Join(out, ClaimsFile), []byte(r.Text())); err != nil {
		return err
	}
	return atomicfile.WriteJSON(filepath.Join(out, ResultFile), r)
}

// writeRecords writes all records, each with its run's label as one line of
// JSON, in the order of the plan.
func writeRecords(out string, done []Done) error {
	var b bytes.Buffer
	lines := json.NewEncoder(&b)
	for _, d := range done {
		line := struct {
			Label string `json:"label"`
			*Record
		}{d.Label, d.Record}
		if err := lines.Encode(line); err != nil {
			return err
		}
	}
	return atomicfile.Write(filepath.Join(out, RecordsFile), b.Bytes())
}
