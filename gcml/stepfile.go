package gcml

import (
	"bytes"
	"encoding/json"
	"io/fs"
	"os"

	"github.com/pkg/errors"

	"github.com/geometric-complexity/toolkit/internal/atomicfile"
)

// stepFile is a file of StepResults, one JSON object per line, in the order of the steps.
type stepFile struct{ path string }

// keepUpTo removes the lines of steps after the given one and an incomplete last line. It returns
// the last remaining step, 0 if there is none. It returns an error if the file cannot be read or
// written, or if another line is not a StepResult.
func (f *stepFile) keepUpTo(step int64) (last int64, err error) {
	data, err := os.ReadFile(f.path)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, errors.WithStack(err)
	}
	kept := make([]byte, 0, len(data))
	number := 0
	for line := range bytes.Lines(data) {
		number++
		if !bytes.HasSuffix(line, []byte("\n")) {
			break
		}
		var entry struct {
			Step *int64 `json:"step"`
		}
		if err := json.Unmarshal(line, &entry); err != nil || entry.Step == nil {
			return 0, errors.Errorf("%s: line %d is not a measurement of gcml.Watch: give another path or move the file",
				f.path, number)
		}
		if *entry.Step <= step {
			kept, last = append(kept, line...), *entry.Step
		}
	}
	if len(kept) == len(data) {
		return last, nil
	}
	return last, errors.WithStack(atomicfile.Write(f.path, kept))
}

// append adds a line in one write, so that a crash leaves at most an incomplete last line.
func (f *stepFile) append(r StepResult) error {
	line, err := json.Marshal(r)
	if err != nil {
		return errors.WithStack(err)
	}
	file, err := os.OpenFile(f.path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return errors.WithStack(err)
	}
	_, err = file.Write(append(line, '\n'))
	if closeErr := file.Close(); err == nil {
		err = closeErr
	}
	return errors.WithStack(err)
}
