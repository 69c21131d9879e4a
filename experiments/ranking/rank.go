package ranking

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/gomlx/compute"

	"github.com/geometric-complexity/toolkit/experiments/evidence"
	"github.com/geometric-complexity/toolkit/experiments/runs"
	"github.com/geometric-complexity/toolkit/experiments/training"
	"github.com/geometric-complexity/toolkit/internal/atomicfile"
	"github.com/geometric-complexity/toolkit/internal/compilecache"
)

// The files of a ranking.
const (
	measuresFile = "measures.jsonl" // a Measured in each line
	resultFile   = "ranking.json"   // the Result
	figureBase   = "ranking"        // the figure's files without extension
)

// IsFolder reports whether a folder has a ranking, even one that has only begun.
func IsFolder(dir string) bool {
	for _, file := range []string{resultFile, measuresFile} {
		if _, err := os.Stat(filepath.Join(dir, file)); err == nil {
			return true
		}
	}
	return false
}

// Options say what is ranked.
type Options struct {
	Backend     compute.Backend
	BackendName string
	// Runs is the output folder of an experiment, which is not changed, and Out the folder for the
	// ranking. Measures that Out has of an earlier call with the same settings are not computed
	// again. Those of other runs, settings and backends stay there.
	Runs, Out string
	// Seeds are those of the runs; nil for all.
	Seeds    []int64
	Settings Settings
	// Command is kept in the result.
	Command string
	// Progress may be nil.
	Progress runs.Progress
}

// Rank computes the measures of all complete runs in an output folder, one after the other, and
// their rank correlations with the test error. It writes measures.jsonl after each run, and at the
// end ranking.json and the figure. Cancelling ctx stops between two batches; another call
// continues.
//
// It returns an error if the folder has fewer than two runs that ended better than chance, if one
// is no training of a classifier, and if a checkpoint does not have the loss of its record.
func Rank(ctx context.Context, o Options) (*Result, error) {
	began := time.Now()
	r := &Result{Experiment: filepath.Base(filepath.Clean(o.Runs)), Command: o.Command, Backend: o.BackendName,
		Settings: o.Settings, Provenance: runs.CurrentProvenance()}
	records, err := r.records(o)
	if err != nil {
		return nil, err
	}
	all, others, err := measureAll(ctx, o, records)
	if err != nil {
		return nil, err
	}
	r.match(all, records)
	r.tabulate(all)
	r.Provenance.Finished, r.Provenance.Starts = time.Now().UTC().Truncate(time.Second), 1
	r.Provenance.Seconds = time.Since(began).Seconds()
	if err := write(o.Out, all, others); err != nil {
		return nil, err
	}
	if _, err := figure(r, all).Save(filepath.Join(o.Out, figureBase)); err != nil {
		return nil, err
	}
	return r, atomicfile.WriteJSON(filepath.Join(o.Out, resultFile), r)
}

// records reads the records of the runs that count.
func (r *Result) records(o Options) (records []*runs.Record, err error) {
	entries, err := os.ReadDir(filepath.Join(o.Runs, runs.RunsDir))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s is not the output folder of an experiment: it has no folder %s", o.Runs, runs.RunsDir)
	}
	if err != nil {
		return nil, err
	}
	var seeds []int64 // of all complete runs
	for _, entry := range entries {
		if !entry.IsDir() {
			continue
		}
		dir := filepath.Join(o.Runs, runs.RunsDir, entry.Name())
		record, err := runs.ReadRecord(dir)
		if err != nil {
			return nil, err
		}
		if record == nil {
			// A folder that does not tell its seed counts for each.
			if run, err := runs.ReadFolder(dir); err != nil || o.Seeds == nil || slices.Contains(o.Seeds, run.Seed) {
				r.Unfinished++
			}
			continue
		}
		if !slices.Contains(seeds, record.Seed) {
			seeds = append(seeds, record.Seed)
		}
		counts, err := r.count(o, record)
		if err != nil {
			return nil, err
		}
		if counts {
			records = append(records, record)
		}
	}
	slices.Sort(seeds)
	if isAsked := func(seed int64) bool { return slices.Contains(o.Seeds, seed) }; o.Seeds != nil && len(seeds) > 0 &&
		!slices.ContainsFunc(seeds, isAsked) {
		return nil, fmt.Errorf("%s has no complete runs with seeds %s: those that it has are of seeds %s", o.Runs,
			evidence.JoinInts(o.Seeds), evidence.JoinInts(seeds))
	}
	if len(records) < 2 {
		text := fmt.Sprintf("%s has %d complete runs that ended better than chance, and a ranking wants two or more", o.Runs,
			len(records))
		if r.Outdated > 0 {
			text += fmt.Sprintf(": %d are of another revision of the training, run the experiment again", r.Outdated)
		}
		return nil, errors.New(text)
	}
	slices.Sort(r.Commits)
	return records, checkDistinct(o.Runs, records)
}

// count says whether the run with this record is one to rank, and counts why not.
func (r *Result) count(o Options, record *runs.Record) (bool, error) {
	if o.Seeds != nil && !slices.Contains(o.Seeds, record.Seed) {
		return false, nil
	}
	if record.Counts() && math.IsNaN(record.FinalValue("test_accuracy")) {
		return false, fmt.Errorf("run %s has no test accuracy: only trainings of classifiers can be ranked", record.Hash)
	}
	if !record.Counts() {
		r.LeftOut++
		return false, nil
	}
	outdated, err := training.IsOutdated(record)
	if err != nil {
		return false, err
	}
	if outdated {
		r.Outdated++
		return false, nil
	}
	if commit := record.Provenance.Commit; commit != "" && !slices.Contains(r.Commits, commit) {
		r.Commits = append(r.Commits, commit)
	}
	return true, nil
}

// checkDistinct returns an error for two runs of the same settings and seed, on two backends or two
// copies of the data: they differ in no setting, and would count as if they differed in each.
func checkDistinct(dir string, records []*runs.Record) error {
	first := make(map[string]*runs.Record)
	for _, record := range records {
		var key bytes.Buffer
		if err := json.Compact(&key, record.Task); err != nil {
			return fmt.Errorf("run %s: %w", record.Hash, err)
		}
		fmt.Fprint(&key, record.Seed)
		if other := first[key.String()]; other != nil {
			return fmt.Errorf("%s: runs %s (%s) and %s (%s) have the same settings and seed: rank those of each backend, "+
				"and of each copy of the data, in a folder of their own", dir, other.Hash, other.Backend, record.Hash,
				record.Backend)
		}
		first[key.String()] = record
	}
	return nil
}

// measureAll returns the measures of the runs with these records, and the measures that o.Out has
// of earlier calls.
func measureAll(ctx context.Context, o Options, records []*runs.Record) (all, known []*Measured, err error) {
	if known, err = readMeasures(o.Out); err != nil {
		return nil, nil, err
	}
	progress := o.Progress
	if progress == nil {
		progress = runs.NoProgress{}
	}
	progress.Start(int64(len(records)), "measuring")
	defer progress.Finish()
	backend := compilecache.New(o.Backend)
	for _, record := range records {
		at := slices.IndexFunc(known, func(m *Measured) bool {
			return m.Run == record.Hash && m.Weights == record.Weights && m.Settings == o.Settings &&
				m.Backend == o.BackendName && m.Revision == revision
		})
		progress.Describe("run " + record.Hash)
		if at >= 0 {
			all = append(all, known[at])
		} else {
			m, err := measure(ctx, backend, o.BackendName, o.Runs, record, o.Settings)
			if err != nil {
				return nil, nil, err
			}
			all = append(all, m)
			if err := write(o.Out, all, known); err != nil {
				return nil, nil, err
			}
		}
		progress.Add(1)
	}
	return all, known, nil
}

// match adds what the records tell of the runs at equal training loss.
func (r *Result) match(all []*Measured, records []*runs.Record) {
	matching := evidence.Sweep{Records: [][]*runs.Record{records}}.EqualLoss()
	r.Level = runs.Number(math.NaN())
	for i, m := range all {
		record := records[i]
		accuracy := matching.Of("test_accuracy")(record)
		for key, value := range map[string]float64{"gc": matching.Of("train_gc")(record), TestError: 1 - accuracy,
			Gap: matching.Of("train_accuracy")(record) - accuracy} {
			delete(m.Values, key+atEqualLoss)
			if !math.IsNaN(value) {
				m.Values[key+atEqualLoss] = runs.Number(value)
			}
		}
		if level := matching.Of("train_loss")(record); !math.IsNaN(level) {
			r.Level = runs.Number(level)
		}
	}
}

// readMeasures reads the measures in a folder; nil if there are none.
func readMeasures(dir string) (all []*Measured, err error) {
	raw, err := os.ReadFile(filepath.Join(dir, measuresFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	for line := range bytes.Lines(raw) {
		m := new(Measured)
		if err := json.Unmarshal(line, m); err != nil {
			return nil, fmt.Errorf("%s: line %d: %w", filepath.Join(dir, measuresFile), len(all)+1, err)
		}
		all = append(all, m)
	}
	return all, err
}

// write writes the measures of this call, and after them those of earlier calls that it did not
// compute or read again.
func write(dir string, all, earlier []*Measured) error {
	type key struct {
		run, backend string
		settings     Settings
	}
	var b bytes.Buffer
	seen := make(map[key]bool)
	for _, m := range slices.Concat(all, earlier) {
		k := key{m.Run, m.Backend, m.Settings}
		if seen[k] {
			continue
		}
		seen[k] = true
		raw, err := json.Marshal(m)
		if err != nil {
			return err
		}
		b.Write(raw)
		b.WriteByte('\n')
	}
	return atomicfile.Replace(filepath.Join(dir, measuresFile), b.Bytes())
}
