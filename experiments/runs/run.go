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

	"example.com/geometric-complexity/internal/atomicfile"
)

// Task is the work of one run. Its JSON form, together with the seed and the
// backend, decides every number of the run.
type Task interface {
	// Kind names the type of task, such as "train".
	Kind() string
	// Revision is raised whenever a change to the code changes the numbers, so
	// that records made before are not taken for new ones.
	Revision() int
	// Units is the amount of work, in the progress display's units.
	Units() int64
	// Do runs the task, from where it was interrupted if it was.
	Do(ctx context.Context, job *Job) error
}

// Run is one entry of an experiment's list: a task and a seed.
type Run struct {
	// Label names the run among its experiment's, such as "coefficient 0.01". It
	// takes no part in the address.
	Label string
	Seed  int64
	Task  Task
}

// ContentTask is a task with a data set.
type ContentTask interface {
	Task
	// Content says what the data set holds, nil if the task as it is takes none. Of
	// a set that is not on this machine it is the published content.
	Content() (*DataContent, error)
}

// Address is the hash under which the run's result is kept: of the task's kind,
// revision and JSON form, the seed, the backend's name and, where the task has a
// data set, the SHA-256 of its content. An error is of that content.
func (r Run) Address(backendName string) (string, error) {
	record, err := r.newRecord(backendName)
	if err != nil {
		return "", err
	}
	return record.Hash, nil
}

// Key tells runs apart whatever backend and data they meet: two runs have the same key if their seed
// and the kind, revision and JSON form of their task are the same.
func (r Run) Key() (string, error) {
	task, err := json.Marshal(r.Task)
	return fmt.Sprintf("%s/%d/%d/%s", r.Task.Kind(), r.Task.Revision(), r.Seed, task), err
}

// newRecord returns a record with nothing but what decides the run's numbers.
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

// recordFormat is raised when what a run's folder holds changes its form, so that
// folders of before are not met.
const recordFormat = 2

// Address is the hash of what decided the record's numbers.
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
	}{recordFormat, r.Kind, r.Revision, task.Bytes(), r.Seed, r.Backend, data})
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(key)
	return hex.EncodeToString(sum[:8]), nil
}

// Job is a run at work: its folder, and what is known of it so far.
type Job struct {
	Env
	Run    Run
	Dir    string
	Record *Record
	// Started is when this start of the run began.
	Started time.Time
	// ran counts the units told to the progress display.
	ran int64
}

// Advance tells the progress display that the run has come to a unit.
func (j *Job) Advance(units int64) {
	if units > j.ran {
		j.Progress.Add(units - j.ran)
		j.ran = units
	}
}

// RunsDir is the folder below the output folder that holds the runs.
const RunsDir = "runs"

// Execute does one run, or returns its record if it is complete already. While
// another process is doing the run, it waits. On cancellation the run's state is
// saved and the error is an *InterruptedError; a failure of the run is a *RunError,
// a panic of a graph builder among them.
func Execute(ctx context.Context, env Env, run Run) (*Record, error) {
	for {
		record, err := tryExecute(ctx, env, run)
		if !errors.Is(err, ErrBusy) {
			return record, err
		}
		select {
		case <-ctx.Done():
		case <-time.After(lockPoll):
		}
	}
}

// tryExecute is Execute, but gives ErrBusy where that would wait.
func tryExecute(ctx context.Context, env Env, run Run) (*Record, error) {
	env, err := env.WithDefaults()
	if err != nil {
		return nil, err
	}
	blank, err := run.newRecord(env.BackendName)
	if err != nil {
		return nil, &RunError{Label: run.Label, Seed: run.Seed, Err: err}
	}
	record, err := executeAt(ctx, env, run, blank)
	var interrupted *InterruptedError
	if err == nil || errors.Is(err, ErrBusy) || errors.As(err, &interrupted) {
		return record, err
	}
	return nil, &RunError{Address: blank.Hash, Label: run.Label, Seed: run.Seed, Err: err}
}

// executeAt does the run whose record, still blank, it is given.
func executeAt(ctx context.Context, env Env, run Run, blank *Record) (*Record, error) {
	dir := filepath.Join(env.Out, RunsDir, blank.Hash)
	if record, err := ReadRecord(dir); err != nil || record != nil {
		return record, err
	}
	if err := ctx.Err(); err != nil {
		return nil, &InterruptedError{Cause: err, Out: env.Out}
	}
	lock, err := tryLock(dir)
	if err != nil {
		return nil, err
	}
	defer Unlock(lock)
	// Whoever held the lock may have come to the end meanwhile.
	if record, err := ReadRecord(dir); err != nil || record != nil {
		return record, err
	}
	return do(ctx, env, run, dir, blank)
}

// do does a run whose folder is locked.
func do(ctx context.Context, env Env, run Run, dir string, blank *Record) (*Record, error) {
	if err := atomicfile.RemoveTemporary(dir); err != nil {
		return nil, err
	}
	job, err := newJob(env, run, dir, blank)
	if err != nil {
		return nil, err
	}
	address := job.Record.Hash
	env.Log.Info("run starts", "label", run.Label, "seed", run.Seed, "address", address)
	if err := Protect(func() error { return run.Task.Do(ctx, job) }); err != nil {
		return nil, err
	}
	job.Advance(run.Task.Units())
	if err := job.finish(); err != nil {
		return nil, err
	}
	env.Log.Info("run ends", "address", address, "status", job.Record.Status, "step", job.Record.Step)
	return job.Record, nil
}

// RunError says which run failed, and why.
type RunError struct {
	Address, Label string // no address if it is the data set that cannot be read
	Seed           int64
	Err            error
}

// Error is one line.
func (e *RunError) Error() string {
	if e.Address == "" {
		return fmt.Sprintf("run (%s, seed %d): %v", e.Label, e.Seed, e.Err)
	}
	return fmt.Sprintf("run %s (%s, seed %d): %v", e.Address, e.Label, e.Seed, e.Err)
}

// Unwrap gives the cause.
func (e *RunError) Unwrap() error { return e.Err }

// Protect turns a panic into an error: graph builders panic on misuse.
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

// started is the content of run.json: what the run is, and how often and how
// long it was at work before.
type started struct {
	Record
	Label string `json:"label"`
}

func newJob(env Env, run Run, dir string, blank *Record) (*Job, error) {
	record := *blank
	record.Provenance = CurrentProvenance()
	record.Provenance.Device = deviceName(env)
	if before, err := readStarted(dir); err == nil {
		record.Provenance.Starts = before.Provenance.Starts
		record.Provenance.Seconds = before.Provenance.Seconds
	}
	record.Provenance.Starts++
	job := &Job{Env: env, Run: run, Dir: dir, Record: &record, Started: time.Now()}
	return job, job.saveStarted(0)
}

// SaveTime writes run.json with the time worked so far.
func (j *Job) SaveTime() error { return j.saveStarted(time.Since(j.Started).Seconds()) }

// saveStarted writes run.json with the seconds worked so far.
func (j *Job) saveStarted(seconds float64) error {
	s := started{Record: *j.Record, Label: j.Run.Label}
	s.Points = nil
	s.Provenance.Seconds += seconds
	data, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return err
	}
	return atomicfile.Replace(filepath.Join(j.Dir, RunFile), append(data, '\n'))
}

// Checkpoints are those of the run.
func (j *Job) Checkpoints() *Checkpoints { return &Checkpoints{runDir: j.Dir, address: j.Record.Hash} }

// ReadFolder reads what the run of a folder, out/runs/ADDRESS, is: a record without its results.
func ReadFolder(dir string) (*Record, error) {
	run, err := readStarted(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s is no run's folder: it has no %s; runs are in the folder %q below an experiment's output", dir, RunFile, RunsDir)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", dir, err)
	}
	if err := run.checkAddress(); err != nil {
		return nil, fmt.Errorf("%s was changed: %w; to do the run again, remove %s", filepath.Join(dir, RunFile), err, dir)
	}
	return &run.Record, nil
}

func readStarted(dir string) (started, error) {
	var s started
	raw, err := os.ReadFile(filepath.Join(dir, RunFile))
	if err != nil {
		return s, err
	}
	return s, json.Unmarshal(raw, &s)
}

// finish writes the record; from then on the run is complete.
func (j *Job) finish() error {
	j.Record.Provenance.Finished = time.Now().UTC().Truncate(time.Second)
	j.Record.Provenance.Seconds += time.Since(j.Started).Seconds()
	return writeRecord(j.Dir, j.Record)
}

// InterruptedError reports that the context was cancelled. All work up to Step
// is saved: the same call with the same output folder goes on from there.
type InterruptedError struct {
	Cause     error
	Label     string // the run that was at work, if exactly one was
	Seed      int64
	Step, End int64  // where it stopped, and where it would have ended
	Out       string // the output folder
}

// Error says where the work stopped.
func (e *InterruptedError) Error() string {
	if e.Label == "" {
		return "interrupted; what was done is saved"
	}
	return fmt.Sprintf("interrupted at step %d of %d (%s, seed %d); what was done is saved", e.Step, e.End, e.Label, e.Seed)
}

// Unwrap gives the context's error.
func (e *InterruptedError) Unwrap() error { return e.Cause }
