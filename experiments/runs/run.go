package runs

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/geometric-complexity/toolkit/internal/atomicfile"
)

// Task is the work of one run. Its JSON form decides, with the seed, the backend and the data,
// every number of the run.
type Task interface {
	// Kind names the type of task, such as "train".
	Kind() string
	// Revision is incremented when a change to the code changes the numbers, so that old records
	// are not mistaken for new ones.
	Revision() int
	// Units is the amount of work, in the progress display's units.
	Units() int64
	// Do runs the task, or resumes it where it was interrupted.
	Do(ctx context.Context, job *Job) error
}

// Run is one entry of an experiment's list: a task and a seed.
type Run struct {
	// Label names the run within its experiment, such as "coefficient 0.01". The address does not
	// depend on it.
	Label string
	Seed  int64
	Task  Task
}

// ContentTask is a task that may read a data set.
type ContentTask interface {
	Task
	// Content identifies the data set's content; it is nil if this task reads no data set. If the
	// set is not on this machine, it is the published content.
	Content() (*DataContent, error)
}

// Address returns the hash that names the run's folder. It covers the task's kind, revision and
// JSON form, the seed, the backend's name and, if the task reads a data set, the SHA-256 of the
// set's content. It returns an error if that content cannot be read.
func (r Run) Address(backendName string) (string, error) {
	record, err := r.newRecord(backendName)
	if err != nil {
		return "", err
	}
	return record.Hash, nil
}

// Key identifies a run independently of backend and data: two runs have the same key if they have
// the same seed and their tasks have the same kind, revision and JSON form.
func (r Run) Key() (string, error) {
	task, err := json.Marshal(r.Task)
	return fmt.Sprintf("%s/%d/%d/%s", r.Task.Kind(), r.Task.Revision(), r.Seed, task), err
}

// newRecord returns a record that holds only what decides the run's numbers.
func (r Run) newRecord(backendName string) (*Record, error) {
	task, err := json.Marshal(r.Task)
	if err != nil {
		return nil, err
	}
	record := &Record{Kind: r.Task.Kind(), Revision: r.Task.Revision(), Seed: r.Seed, Backend: backendName, Task: task}
	if t, ok := r.Task.(ContentTask); ok {
		if record.Data, err = t.Content(); err != nil {
			return nil, err
		}
	}
	record.Hash, err = record.Address()
	return record, err
}

// folderFormat is incremented when the format of a run's folder changes: addresses change with it,
// so that older folders are not read.
const folderFormat = 2

// Address returns the hash of everything that decided the record's numbers.
func (r *Record) Address() (string, error) {
	var task bytes.Buffer
	if err := json.Compact(&task, r.Task); err != nil {
		return "", fmt.Errorf("task: %w", err)
	}
	var data string
	if r.Data != nil {
		data = r.Data.SHA256
	}
	key, err := json.Marshal(struct {
		Format   int
		Kind     string
		Revision int
		Task     json.RawMessage
		Seed     int64
		Backend  string
		Data     string
	}{folderFormat, r.Kind, r.Revision, task.Bytes(), r.Seed, r.Backend, data})
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(key)
	return hex.EncodeToString(sum[:8]), nil
}

// Job is a run in progress: its folder and its record so far.
type Job struct {
	Env
	Run    Run
	Dir    string
	Record *Record
	// Started is when this process started or resumed the run.
	Started time.Time
	// reported counts the units that the progress display has received.
	reported int64
}

// Advance reports to the progress display that so many of the run's units are done.
func (j *Job) Advance(units int64) {
	if units > j.reported {
		j.Progress.Add(units - j.reported)
		j.reported = units
	}
}

// RunsDir is the folder below the output folder that holds the runs.
const RunsDir = "runs"

// attempt does one run unless it is already complete. If another process is doing the run, it
// returns ErrBusy. On cancellation it saves the run's state and returns an *InterruptedError. If
// the run fails, even by a panic of a graph builder, it returns a *RunError.
func attempt(ctx context.Context, env Env, run Run) error {
	env, err := env.WithDefaults()
	if err != nil {
		return err
	}
	blank, err := run.newRecord(env.BackendName)
	if err != nil {
		return &RunError{Label: run.Label, Seed: run.Seed, Err: err}
	}
	err = attemptAt(ctx, env, run, blank)
	var interrupted *InterruptedError
	if err == nil || errors.Is(err, ErrBusy) || errors.As(err, &interrupted) {
		return err
	}
	return &RunError{Address: blank.Hash, Label: run.Label, Seed: run.Seed, Err: err}
}

// attemptAt does a run, starting from a record that newRecord returned.
func attemptAt(ctx context.Context, env Env, run Run, blank *Record) error {
	dir := filepath.Join(env.Out, RunsDir, blank.Hash)
	if record, err := ReadRecord(dir); err != nil || record != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return &InterruptedError{Cause: err, Out: env.Out}
	}
	lock, err := tryLock(dir)
	if err != nil {
		return err
	}
	defer Unlock(lock)
	// The process that held the lock may have completed the run meanwhile.
	if record, err := ReadRecord(dir); err != nil || record != nil {
		return err
	}
	return do(ctx, env, run, dir, blank)
}

// do does a run; the caller holds the lock of its folder.
func do(ctx context.Context, env Env, run Run, dir string, blank *Record) error {
	if err := atomicfile.RemoveTemporary(dir); err != nil {
		return err
	}
	job, err := newJob(env, run, dir, blank)
	if err != nil {
		return err
	}
	address := job.Record.Hash
	env.Log.Info("run starts", "label", run.Label, "seed", run.Seed, "address", address)
	if err := Protect(func() error { return run.Task.Do(ctx, job) }); err != nil {
		return err
	}
	job.Advance(run.Task.Units())
	if err := job.finish(); err != nil {
		return err
	}
	env.Log.Info("run ends", "address", address, "status", job.Record.Status, "step", job.Record.Step)
	return nil
}

// RunError reports which run failed, and why.
type RunError struct {
	Address, Label string // Address is empty if the data set cannot be read
	Seed           int64
	Err            error
}

// Error implements error; its text is one line.
func (e *RunError) Error() string {
	if e.Address == "" {
		return fmt.Sprintf("run (%s, seed %d): %v", e.Label, e.Seed, e.Err)
	}
	return fmt.Sprintf("run %s (%s, seed %d): %v", e.Address, e.Label, e.Seed, e.Err)
}

// Unwrap returns the cause.
func (e *RunError) Unwrap() error { return e.Err }

// Protect calls fn and returns its panic as an error, because graph builders panic on misuse.
func Protect(fn func() error) (err error) {
	defer func() {
		switch r := recover().(type) {
		case nil:
		case error:
			err = r
		default:
			err = fmt.Errorf("%v", r)
		}
	}()
	return fn()
}

// runFile is the content of run.json: it identifies the run, and counts its starts and the seconds
// worked so far.
type runFile struct {
	Record
	Label string `json:"label"`
}

func newJob(env Env, run Run, dir string, blank *Record) (*Job, error) {
	record := *blank
	record.Provenance = CurrentProvenance()
	record.Provenance.Device = deviceName(env)
	if before, err := readRunFile(dir); err == nil {
		record.Provenance.Starts = before.Provenance.Starts
		record.Provenance.Seconds = before.Provenance.Seconds
	}
	record.Provenance.Starts++
	job := &Job{Env: env, Run: run, Dir: dir, Record: &record, Started: time.Now()}
	return job, job.writeRunFile(0)
}

// SaveTime writes run.json with the time worked so far.
func (j *Job) SaveTime() error { return j.writeRunFile(time.Since(j.Started).Seconds()) }

// writeRunFile writes run.json with the seconds worked so far.
func (j *Job) writeRunFile(seconds float64) error {
	s := runFile{Record: *j.Record, Label: j.Run.Label}
	s.Points = nil
	s.Provenance.Seconds += seconds
	data, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return err
	}
	return atomicfile.Write(filepath.Join(j.Dir, RunFile), append(data, '\n'))
}

// Checkpoints returns the run's checkpoints.
func (j *Job) Checkpoints() *Checkpoints {
	return &Checkpoints{runDir: j.Dir, address: j.Record.Hash, keep: j.KeepCheckpoints}
}

// ReadFolder identifies the run of a folder, out/runs/ADDRESS. The record it returns has no
// results.
func ReadFolder(dir string) (*Record, error) {
	run, err := readRunFile(dir)
	if errors.Is(err, fs.ErrNotExist) {
		if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("there is no folder %s", dir)
		}
		return nil, fmt.Errorf("%s is not the folder of a run: it has no %s; look in the folder %q of an experiment's output folder", dir, RunFile, RunsDir)
	}
	if file := (*fs.PathError)(nil); errors.As(err, &file) {
		return nil, err
	}
	if err != nil {
		return nil, fmt.Errorf("%s is damaged (%w): the command that began the run writes it anew; "+
			"if the run has ended, remove %s first to repeat it", filepath.Join(dir, RunFile), err, dir)
	}
	if err := run.checkAddress(); err != nil {
		return nil, fmt.Errorf("%s was changed: %w; to repeat the run, remove %s", filepath.Join(dir, RunFile), err, dir)
	}
	return &run.Record, nil
}

func readRunFile(dir string) (runFile, error) {
	var s runFile
	raw, err := os.ReadFile(filepath.Join(dir, RunFile))
	if err != nil {
		return s, err
	}
	return s, json.Unmarshal(raw, &s)
}

// finish writes the record, which makes the run complete.
func (j *Job) finish() error {
	j.Record.Provenance.Finished = time.Now().UTC().Truncate(time.Second)
	j.Record.Provenance.Seconds += time.Since(j.Started).Seconds()
	return writeRecord(j.Dir, j.Record)
}

// InterruptedError reports that the context was cancelled. All work up to Step is saved: the same
// call with the same output folder resumes there.
type InterruptedError struct {
	Cause     error
	Label     string // of the interrupted run, if there is exactly one
	Seed      int64
	Step, End int64  // the last step done, and the run's last step
	Out       string // the output folder
}

// Error implements error.
func (e *InterruptedError) Error() string {
	if e.Label == "" {
		return "interrupted; what was done is saved"
	}
	return fmt.Sprintf("interrupted at step %d of %d (%s, seed %d); what was done is saved", e.Step, e.End, e.Label,
		e.Seed)
}

// Unwrap returns the context's error.
func (e *InterruptedError) Unwrap() error { return e.Cause }
