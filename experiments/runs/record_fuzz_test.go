package runs

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func assertRefusedInOneLine(t *testing.T, err error) {
	t.Helper()
	if text := err.Error(); text == "" || strings.Contains(text, "\n") {
		t.Errorf("want an error of one line, got %q", text)
	}
}

// FuzzReadRecord checks that any record is either rejected with a one-line error or can be written
// again.
func FuzzReadRecord(f *testing.F) {
	dir := f.TempDir()
	if err := writeRecord(dir, &Record{Hash: filepath.Base(dir), Kind: "train", Status: Complete, Step: 3,
		Points: []Point{{Step: 3, Values: map[string]Number{"gc": 1.5}}}}); err != nil {
		f.Fatal(err)
	}
	record, err := os.ReadFile(filepath.Join(dir, RecordFile))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(record)
	f.Add(record[:len(record)/2])
	f.Add([]byte("{}"))
	f.Add([]byte("null"))
	f.Add([]byte(`{"points":[{"values":{"gc":1e999}}]}`))
	f.Fuzz(func(t *testing.T, record []byte) {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, RecordFile), record, 0o600); err != nil {
			t.Fatal(err)
		}
		r, err := ReadRecord(dir)
		if err != nil {
			assertRefusedInOneLine(t, err)
		} else if err := writeRecord(dir, r); err != nil {
			t.Errorf("a record that was read cannot be written: %v", err)
		}
	})
}
