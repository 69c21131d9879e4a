package experiments

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

func assertOneLine(t *testing.T, err error) {
	t.Helper()
	if text := err.Error(); text == "" || strings.Contains(text, "\n") {
		t.Errorf("want an error of one line, got %q", text)
	}
}

// FuzzSet: an assignment is refused in one line and leaves the configuration as it was, or the
// flags that tell the new configuration from the default make it again.
func FuzzSet(f *testing.F) {
	all := All()
	for i, e := range all {
		values := []string{"1", "0.5", "a", "1,2", "[]", "null", `"x"`, "true", "1e999", "-1"}
		for k, key := range Keys(e.DefaultConfig(Smoke)) {
			f.Add(uint8(i), key+"="+values[(i+k)%len(values)])
		}
	}
	f.Add(uint8(0), "")
	f.Add(uint8(0), "=")
	f.Add(uint8(1), "nothing=1")
	f.Fuzz(func(t *testing.T, which uint8, assignment string) {
		e := all[int(which)%len(all)]
		before, cfg := e.DefaultConfig(Smoke), e.DefaultConfig(Smoke)
		if err := Set(cfg, assignment); err != nil {
			assertOneLine(t, err)
			if !reflect.DeepEqual(cfg, before) {
				t.Errorf("%q was refused, but changed the configuration", assignment)
			}
			return
		}
		flags, err := difference(before, cfg)
		if err != nil {
			t.Fatalf("%q was accepted, but cannot be written: %v", assignment, err)
		}
		again := e.DefaultConfig(Smoke)
		for i := 1; i < len(flags); i += 2 {
			if err := Set(again, flags[i]); err != nil {
				t.Fatalf("%q is told by the flag %q, which is refused: %v", assignment, flags[i], err)
			}
		}
		want, _ := json.Marshal(cfg)
		if got, err := json.Marshal(again); err != nil || string(got) != string(want) {
			t.Errorf("%q is told by %q, which make %s (%v), want %s", assignment, flags, got, err, want)
		}
	})
}

// FuzzReadRecord: the record of a run is refused in one line, or can be written again.
func FuzzReadRecord(f *testing.F) {
	dir := f.TempDir()
	if err := writeRecord(dir, &Record{Hash: filepath.Base(dir), Kind: "train", Status: Complete, Step: 3,
		Points: []Point{{Step: 3, Values: map[string]Number{"gc": 1.5}}}}); err != nil {
		f.Fatal(err)
	}
	record, err := os.ReadFile(filepath.Join(dir, recordFile))
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
		if err := os.WriteFile(filepath.Join(dir, recordFile), record, 0o600); err != nil {
			t.Fatal(err)
		}
		r, err := readRecord(dir)
		if err != nil {
			assertOneLine(t, err)
		} else if err := writeRecord(dir, r); err != nil {
			t.Errorf("a record that was read cannot be written: %v", err)
		}
	})
}
