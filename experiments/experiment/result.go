package experiment

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/geometric-complexity/toolkit/experiments/evidence"
	"github.com/geometric-complexity/toolkit/experiments/runs"
	"github.com/geometric-complexity/toolkit/internal/atomicfile"
)

// Files that Decide writes into an experiment's output folder, besides the figures.
const (
	ResultFile  = "result.json"
	ClaimsFile  = "claims.txt"    // Result.Text
	RecordsFile = "records.jsonl" // the records of all runs
)

// FiguresDir is the folder below the output folder that holds the figures.
const FiguresDir = "figures"

// RunSummary is a run's line in a result.
type RunSummary struct {
	Label   string      `json:"label"`
	Seed    int64       `json:"seed"`
	Hash    string      `json:"hash"`
	Status  runs.Status `json:"status"`
	Step    int64       `json:"step"`
	Seconds float64     `json:"seconds"`
}

// Result is the outcome of an experiment.
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
	Data   []runs.DataContent `json:"data,omitempty"`
	Claims []evidence.Claim   `json:"claims"`
	// Criteria says when the claims' criteria were fixed; nil for a result without claims.
	Criteria *Criteria        `json:"criteria,omitempty"`
	Tables   []evidence.Table `json:"tables,omitempty"`
	Figures  []string         `json:"figures"` // paths below the output folder
	// InWords describes each figure in words, by the base name of its files.
	InWords map[string]string `json:"figures_in_words,omitempty"`
	Runs    []RunSummary      `json:"runs"`
	// Provenance has the sum of the runs' seconds, and when the last of them ended.
	Provenance runs.Provenance `json:"provenance"`
	// Reused is the number of runs that were complete before.
	Reused int `json:"-"`
}

func newResult(backendName string, e Experiment, scale Scale, cfg any, seeds []int64, done []doneRun,
	findings evidence.Findings) (*Result, error) {
	config, err := json.Marshal(cfg)
	if err != nil {
		return nil, err
	}
	about := e.Info()
	r := &Result{Number: about.Number, Name: about.Name, Title: about.Title, Paper: about.Paper, Backend: backendName,
		Seeds: seeds, Config: config, Claims: findings.Claims, Tables: findings.Tables, InWords: inWords(findings.Figures),
		Provenance: runs.CurrentProvenance()}
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
	if r.Criteria, err = criteriaOf(about.Name, r.Claims); err != nil {
		return nil, err
	}
	if r.Scale, r.Command, err = RepeatedBy(e, scale, cfg, seeds); err != nil {
		return nil, err
	}
	if !r.Scale.Decides() {
		r.Claims = evidence.WithoutVerdicts(r.Claims)
	}
	return r, nil
}

// write writes the result and the files that it names. It removes result.json first and writes it
// last: where it exists, the other files are complete.
func (r *Result) write(out string, done []doneRun, figures []evidence.NamedFigure) error {
	if err := os.RemoveAll(filepath.Join(out, ResultFile)); err != nil { // RemoveAll ignores a missing file.
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

// writeRecords writes all records, each with its run's label as one line of JSON, in the order of
// the plan.
func writeRecords(out string, done []doneRun) error {
	var b bytes.Buffer
	lines := json.NewEncoder(&b)
	for _, d := range done {
		line := struct {
			Label string `json:"label"`
			*runs.Record
		}{d.Label, d.Record}
		if err := lines.Encode(line); err != nil {
			return err
		}
	}
	return atomicfile.Write(filepath.Join(out, RecordsFile), b.Bytes())
}

// Text renders the result as text: its tables, then each claim with its evidence and verdict.
func (r *Result) Text() string { return r.TextWith(nil) }

// TextWith is Text for a terminal: paint colours the text of a verdict, and may be nil.
func (r *Result) TextWith(paint func(v evidence.Verdict, text string) string) string {
	var b strings.Builder
	b.WriteString(strings.TrimSpace(fmt.Sprintf("%s %s: %s (%s)", r.Number, r.Name, r.Title, r.Paper)) + "\n")
	fmt.Fprintf(&b, "backend %s, seeds %s\n", r.Backend, evidence.JoinInts(r.Seeds))
	fmt.Fprintf(&b, "scale %s: %s\n", r.Scale, r.Command)
	for _, d := range r.Data {
		fmt.Fprintf(&b, "data %s\n", d)
	}
	for _, t := range r.Tables {
		b.WriteString("\n" + t.String())
	}
	if len(r.Claims) > 0 {
		b.WriteString("\n" + r.claimsText(paint))
	}
	for _, run := range r.Runs {
		if run.Status == runs.Diverged {
			fmt.Fprintf(&b, "diverged: %s, seed %d, at step %d\n", run.Label, run.Seed, run.Step)
		}
	}
	return b.String()
}

// claimsText renders the claims, after the scale's caveat. At a scale that decides nothing it says
// of each claim that it has no verdict, and shows the statistics only.
func (r *Result) claimsText(paint func(v evidence.Verdict, text string) string) string {
	caveat := ""
	if r.Scale.Caveat() != "" {
		caveat = fmt.Sprintf("%s: %s\n", r.Scale, r.Scale.Caveat())
	}
	if r.Scale.Decides() {
		return caveat + "not corrected for the number of claims: gcml report corrects\n" + evidence.ClaimsText(r.Claims, paint)
	}
	return caveat + evidence.ClaimsText(evidence.WithoutVerdicts(r.Claims), paint)
}

// inWords describes each figure in words, by its name.
func inWords(figures []evidence.NamedFigure) map[string]string {
	words := make(map[string]string, len(figures))
	for _, f := range figures {
		words[f.Name] = f.Figure.InWords()
	}
	return words
}
