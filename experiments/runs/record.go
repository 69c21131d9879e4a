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

	"example.com/geometric-complexity/internal/atomicfile"
	"example.com/geometric-complexity/internal/sealed"
)

// Point is what was measured at one step of a run.
type Point struct {
	Step   int64               `json:"step"`
	Values map[string]Number   `json:"values"`
	Arrays map[string][]Number `json:"arrays,omitempty"`
}

// Value returns a measured value; NaN if it was not measured, or not finite.
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
	// Diverged runs met a loss that is NaN or infinite. That is a result: the
	// sweep goes on and the report leaves the run's final values out.
	Diverged Status = "diverged"
)

// Record is the result of one run. From Kind to Data it is what decided the run's
// numbers, and Hash is the address that follows from these.
type Record struct {
	Hash     string          `json:"hash"`
	Kind     string          `json:"kind"`
	Revision int             `json:"revision"`
	Seed     int64           `json:"seed"`
	Backend  string          `json:"backend"`
	Task     json.RawMessage `json:"task"`
	Data     *DataContent    `json:"data,omitempty"` // of the task's data set; nil if it takes none
	Status   Status          `json:"status"`
	Step     int64           `json:"step"`              // the last step done
	Message  string          `json:"message,omitempty"` // why it diverged
	Points   []Point         `json:"points"`
	Weights  string          `json:"weights,omitempty"` // SHA-256 of the final trained variables
	// Dead is set for a classifier whose final accuracy on the training data is no better than chance.
	Dead       bool       `json:"dead,omitempty"`
	Provenance Provenance `json:"provenance"`
}

// DataContent says what a data set held when a run was made with it.
type DataContent struct {
	Name string `json:"name"`
	// SHA256 is that of the content of all its files; see datasets.Content.
	SHA256 string `json:"sha256"`
	// Content says whether that is the published content, a known copy, or neither.
	Content string `json:"content"`
}

// String is the set's name, what its content is, and the beginning of its SHA-256.
func (c DataContent) String() string {
	return fmt.Sprintf("%s: %s (SHA-256 %.16s…)", c.Name, c.Content, c.SHA256)
}

// Final returns the last point; an empty one if nothing was measured.
func (r *Record) Final() Point {
	if len(r.Points) == 0 {
		return Point{}
	}
	return r.Points[len(r.Points)-1]
}

// Counts says whether the run's values take part in statistics: those of a run that diverged, or that
// ended at chance, do not.
func (r *Record) Counts() bool { return r.Status == Complete && !r.Dead }

// FinalValue returns a value of the last point, and NaN for a run that does not count.
func (r *Record) FinalValue(name string) float64 {
	if !r.Counts() {
		return math.NaN()
	}
	return r.Final().Value(name)
}

// Provenance says what made a record. Nothing of it takes part in the numbers.
type Provenance struct {
	Version  string    `json:"version"`
	Commit   string    `json:"commit,omitempty"`
	Modified bool      `json:"modified,omitempty"` // the working tree had changes
	Go       string    `json:"go"`
	Platform string    `json:"platform"`
	Device   string    `json:"device,omitempty"` // of a run: what it was computed on
	Finished time.Time `json:"finished"`
	Seconds  float64   `json:"seconds"` // wall clock, over all starts of the run
	Starts   int       `json:"starts"`  // 1, or more if it was interrupted
}

const (
	RecordFile = "record.json"
	RunFile    = "run.json"
	LogFile    = "log.jsonl"
)

// ReadRecord returns the record of a run folder, or nil if it has none yet. It
// refuses one that is not as it was written, or is another run's.
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
		return nil, fmt.Errorf("%s cannot be used: %w; remove it to do the run again", path, err)
	}
	return &r, nil
}

// check compares a record with the address that it was found at.
func (r *Record) check(address string) error {
	if r.Hash != address {
		return fmt.Errorf("it is of run %s", r.Hash)
	}
	if r.Status != Complete && r.Status != Diverged {
		return fmt.Errorf("its status is %q", r.Status)
	}
	return r.checkAddress()
}

// checkAddress compares what decided the numbers with the address.
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

// RewriteLog replaces a run's log by the points of its record. The log is for people to look at: the
// points are in the checkpoint and in the record.
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

// AppendLog adds a line to a run's log, in one write.
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

// Lookup returns the record of a run that is complete in the output folder, or nil.
func Lookup(out, backendName string, run Run) (*Record, error) {
	address, err := run.Address(backendName)
	if err != nil {
		return nil, err
	}
	return ReadRecord(filepath.Join(out, RunsDir, address))
}
