package runs

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"time"

	"github.com/geometric-complexity/toolkit/internal/atomicfile"
	"github.com/geometric-complexity/toolkit/internal/sealed"
)

// Point holds the measurements at one step of a run.
type Point struct {
	Step   int64               `json:"step"`
	Values map[string]Number   `json:"values"`
	Arrays map[string][]Number `json:"arrays,omitempty"`
}

// Value returns a measured value; it is NaN if the value was not measured or is not finite.
func (p Point) Value(name string) float64 {
	if v, ok := p.Values[name]; ok {
		return float64(v)
	}
	return math.NaN()
}

// SetArray adds an array to the point.
func (p *Point) SetArray(name string, values []Number) {
	if p.Arrays == nil {
		p.Arrays = make(map[string][]Number)
	}
	p.Arrays[name] = values
}

// Status says how a run ended.
type Status string

const (
	Complete Status = "complete"
	// Diverged is the status of a run whose loss became NaN or infinite. That is a result, not a
	// failure: the sweep continues and statistics exclude the run's final values.
	Diverged Status = "diverged"
)

// Record is the result of one run. The fields from Kind to Data decided the run's numbers, and
// Hash, the run's address, is computed from them.
type Record struct {
	Hash     string          `json:"hash"`
	Kind     string          `json:"kind"`
	Revision int             `json:"revision"`
	Seed     int64           `json:"seed"`
	Backend  string          `json:"backend"`
	Task     json.RawMessage `json:"task"`
	Data     *DataContent    `json:"data,omitempty"` // nil if the task reads no data set
	Status   Status          `json:"status"`
	Step     int64           `json:"step"`              // the last step done
	Message  string          `json:"message,omitempty"` // why it diverged
	Points   []Point         `json:"points"`
	Weights  string          `json:"weights,omitempty"` // SHA-256 of the final trained variables
	// Dead reports that a classifier's final accuracy on the training data is no better than
	// chance.
	Dead       bool       `json:"dead,omitempty"`
	Provenance Provenance `json:"provenance"`
}

// DataContent identifies the content of a data set at the time of a run.
type DataContent struct {
	Name string `json:"name"`
	// SHA256 covers the content of all the set's files; see datasets.Content.
	SHA256 string `json:"sha256"`
	// Content says whether this is the published content, a known copy, or neither.
	Content string `json:"content"`
}

// String returns the set's name, its kind of content, and the beginning of its SHA-256.
func (c DataContent) String() string {
	return fmt.Sprintf("%s: %s (SHA-256 %.16s…)", c.Name, c.Content, c.SHA256)
}

// Final returns the last point, or an empty point if nothing was measured.
func (r *Record) Final() Point {
	if len(r.Points) == 0 {
		return Point{}
	}
	return r.Points[len(r.Points)-1]
}

// Counts reports whether statistics include the run's values. They exclude runs that diverged or
// ended no better than chance.
func (r *Record) Counts() bool { return r.Status == Complete && !r.Dead }

// FinalValue returns a value of the last point; it is NaN for a run that does not count.
func (r *Record) FinalValue(name string) float64 {
	if !r.Counts() {
		return math.NaN()
	}
	return r.Final().Value(name)
}

// Provenance says which program and machine made a record. The run's numbers do not depend on it.
type Provenance struct {
	Version  string    `json:"version"`
	Commit   string    `json:"commit,omitempty"`
	Modified bool      `json:"modified,omitempty"` // the working tree had changes
	Go       string    `json:"go"`
	Platform string    `json:"platform"`
	Device   string    `json:"device,omitempty"` // that computed the run's numbers
	Finished time.Time `json:"finished"`
	Seconds  float64   `json:"seconds"` // wall clock, over all starts of the run
	Starts   int       `json:"starts"`  // 1, or more if it was interrupted
}

const (
	RecordFile = "record.json"
	RunFile    = "run.json"
	LogFile    = "log.jsonl"
)

// ReadRecord returns the record of a run folder, or nil if there is none yet. It returns an error
// if the record was changed since it was written, or belongs to another run.
func ReadRecord(dir string) (*Record, error) {
	path := filepath.Join(dir, RecordFile)
	raw, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var r Record
	err = sealed.Unmarshal(raw, &r)
	if err == nil {
		err = r.check(filepath.Base(dir))
	}
	if err != nil {
		return nil, fmt.Errorf("cannot use %s: %w; remove it to repeat the run", path, err)
	}
	return &r, nil
}

// check compares a record with the address of its folder.
func (r *Record) check(address string) error {
	if r.Hash != address {
		return fmt.Errorf("it belongs to run %s", r.Hash)
	}
	if r.Status != Complete && r.Status != Diverged {
		return fmt.Errorf("its status is %q", r.Status)
	}
	return r.checkAddress()
}

// checkAddress checks that the fields that decided the numbers match the address.
func (r *Record) checkAddress() error {
	address, err := r.Address()
	if err != nil {
		return err
	}
	if address != r.Hash {
		return fmt.Errorf("its task, seed, backend and data have the address %s", address)
	}
	return nil
}

// writeRecord writes the record of a run folder.
func writeRecord(dir string, r *Record) error {
	data, err := sealed.MarshalIndent(r)
	if err != nil {
		return err
	}
	return atomicfile.Write(filepath.Join(dir, RecordFile), data)
}

// RewriteLog replaces the run's log by the points of its record. Only people read the log: the
// program reads points from checkpoints and records.
func (j *Job) RewriteLog() error {
	var b bytes.Buffer
	for _, p := range j.Record.Points {
		line, err := json.Marshal(p)
		if err != nil {
			return err
		}
		b.Write(append(line, '\n'))
	}
	return atomicfile.Replace(filepath.Join(j.Dir, LogFile), b.Bytes())
}

// AppendLog appends a point to the run's log with a single write.
func (j *Job) AppendLog(p Point) error {
	line, err := json.Marshal(p)
	if err != nil {
		return err
	}
	f, err := os.OpenFile(filepath.Join(j.Dir, LogFile), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	_, err = f.Write(append(line, '\n'))
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	return err
}

// Lookup returns the record of a run in the output folder, or nil if the run is not complete.
func Lookup(out, backendName string, run Run) (*Record, error) {
	address, err := run.Address(backendName)
	if err != nil {
		return nil, err
	}
	return ReadRecord(filepath.Join(out, RunsDir, address))
}
