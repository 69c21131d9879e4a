package experiments

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

// setArray adds an array to the point.
func (p *Point) setArray(name string, values []Number) {
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

// Record is the result of one run.
type Record struct {
	Hash       string          `json:"hash"`
	Kind       string          `json:"kind"`
	Revision   int             `json:"revision"`
	Seed       int64           `json:"seed"`
	Backend    string          `json:"backend"`
	Task       json.RawMessage `json:"task"`
	Status     Status          `json:"status"`
	Step       int64           `json:"step"`              // the last step done
	Message    string          `json:"message,omitempty"` // why it diverged
	Points     []Point         `json:"points"`
	Weights    string          `json:"weights,omitempty"` // SHA-256 of the final trained variables
	Provenance Provenance      `json:"provenance"`
}

// Final returns the last point; an empty one if nothing was measured.
func (r *Record) Final() Point {
	if len(r.Points) == 0 {
		return Point{}
	}
	return r.Points[len(r.Points)-1]
}

// FinalValue returns a value of the last point, and NaN for a diverged run.
func (r *Record) FinalValue(name string) float64 {
	if r.Status != Complete {
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
	recordFile = "record.json"
	runFile    = "run.json"
	logFile    = "log.jsonl"
)

// readRecord returns the record of a run folder, or nil if it has none yet.
func readRecord(dir string) (*Record, error) {
	raw, err := os.ReadFile(filepath.Join(dir, recordFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var r Record
	if err := json.Unmarshal(raw, &r); err != nil {
		return nil, fmt.Errorf("%s: %w; remove it to do the run again", filepath.Join(dir, recordFile), err)
	}
	return &r, nil
}

// readPoints returns the points of a run's log up to a step. A last line that a
// kill cut short is left out, as is all after it.
func readPoints(dir string, upTo int64) ([]Point, error) {
	raw, err := os.ReadFile(filepath.Join(dir, logFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var points []Point
	for line := range bytes.Lines(raw) {
		var p Point
		if err := json.Unmarshal(line, &p); err != nil {
			break
		}
		if p.Step <= upTo {
			points = append(points, p)
		}
	}
	return points, nil
}

// writePoints replaces a run's log. What it holds is in the record too, once
// the run is complete.
func writePoints(dir string, points []Point) error {
	var b bytes.Buffer
	for _, p := range points {
		line, err := json.Marshal(p)
		if err != nil {
			return err
		}
		b.Write(append(line, '\n'))
	}
	return atomicfile.Replace(filepath.Join(dir, logFile), b.Bytes())
}

// appendPoint adds a line to a run's log, in one write.
func appendPoint(dir string, p Point) error {
	line, err := json.Marshal(p)
	if err != nil {
		return err
	}
	f, err := os.OpenFile(filepath.Join(dir, logFile), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	_, err = f.Write(append(line, '\n'))
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	return err
}
