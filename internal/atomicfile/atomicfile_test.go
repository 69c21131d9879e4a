package atomicfile

import (
	"math"
	"os"
	"path/filepath"
	"testing"
)

func TestWrite(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "a", "b.txt")
	for i, want := range []string{"first", "second, longer", "", "third"} {
		write := Write
		if i%2 == 1 {
			write = Replace
		}
		if err := write(path, []byte(want)); err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(path)
		if err != nil || string(got) != want {
			t.Fatalf("file holds %q, %v; want %q", got, err, want)
		}
	}
	assertOnly(t, filepath.Dir(path), "b.txt")
}

func TestFailureLeavesTheOldFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "v.json")
	if err := WriteJSON(path, map[string]int{"x": 1}); err != nil {
		t.Fatal(err)
	}
	if err := WriteJSON(path, math.NaN()); err == nil {
		t.Fatal("WriteJSON wrote NaN, which JSON cannot represent")
	}
	got, _ := os.ReadFile(path)
	if want := "{\n  \"x\": 1\n}\n"; string(got) != want {
		t.Errorf("file holds %q; want %q", got, want)
	}
	// A folder in the way makes the rename fail after the temporary file exists.
	blocked := filepath.Join(dir, "blocked")
	if err := os.MkdirAll(filepath.Join(blocked, "x"), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := Write(blocked, []byte("data")); err == nil {
		t.Fatal("a folder was overwritten")
	}
	assertOnly(t, dir, "blocked", "v.json")
}

// TestReplaceAll: if one of the files cannot be written, the others stay as they were.
func TestReplaceAll(t *testing.T) {
	dir := t.TempDir()
	a, b := filepath.Join(dir, "a"), filepath.Join(dir, "b")
	if err := ReplaceAll(File{a, []byte("1")}, File{b, []byte("2")}); err != nil {
		t.Fatal(err)
	}
	if err := ReplaceAll(File{a, []byte("3")}, File{filepath.Join(b, "c"), []byte("4")}); err == nil {
		t.Error("a file within a file was written")
	}
	for path, want := range map[string]string{a: "1", b: "2"} {
		if got, err := os.ReadFile(path); err != nil || string(got) != want {
			t.Errorf("%s holds %q, %v; want %q", path, got, err, want)
		}
	}
	assertOnly(t, dir, "a", "b")
}

func TestRemoveTemporary(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "with [brackets]")
	if err := RemoveTemporary(dir); err != nil {
		t.Errorf("missing folder: %v", err)
	}
	for _, name := range []string{"a.json", ".a.json.tmp-123", ".hidden", "b.tmp-1"} {
		if err := Write(filepath.Join(dir, name), nil); err != nil {
			t.Fatal(err)
		}
	}
	if err := RemoveTemporary(dir); err != nil {
		t.Fatal(err)
	}
	assertOnly(t, dir, ".hidden", "a.json", "b.tmp-1")
}

func assertOnly(t *testing.T, dir string, names ...string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(entries) != len(names) {
		t.Fatalf("%s holds %v; want %v", dir, entries, names)
	}
	for i, e := range entries {
		if e.Name() != names[i] {
			t.Errorf("entry %d is %q; want %q", i, e.Name(), names[i])
		}
	}
}
