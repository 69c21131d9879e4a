package atomicfile

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"testing"
)

func TestReplaceDir(t *testing.T) {
	parent := filepath.Join(t.TempDir(), "made")
	path := filepath.Join(parent, "results")
	fillWith := func(name string) func(string) error {
		return func(dir string) error { return os.WriteFile(filepath.Join(dir, name), []byte(name), 0o644) }
	}
	for _, name := range []string{"first", "second"} {
		if err := ReplaceDir(path, fillWith(name)); err != nil {
			t.Fatal(err)
		}
		if got := names(t, path); !slices.Equal(got, []string{name}) {
			t.Errorf("folder has %q; want %q alone", got, name)
		}
	}
	failed := errors.New("half filled")
	err := ReplaceDir(path, func(dir string) error { return errors.Join(fillWith("third")(dir), failed) })
	if !errors.Is(err, failed) {
		t.Errorf("error %v; want the error of fill", err)
	}
	if got := names(t, path); !slices.Equal(got, []string{"second"}) {
		t.Errorf("after a failure the folder has %q; want its old content", got)
	}
	if got := names(t, parent); !slices.Equal(got, []string{"results"}) {
		t.Errorf("%q is left beside the folder", got)
	}
}

// If the file system cannot exchange two folders, exchange fails and leaves both.
func TestExchange(t *testing.T) {
	parent := t.TempDir()
	a, b := filepath.Join(parent, "a"), filepath.Join(parent, "b")
	for _, dir := range []string{a, b} {
		if err := os.MkdirAll(filepath.Join(dir, "of "+filepath.Base(dir)), 0o777); err != nil {
			t.Fatal(err)
		}
	}
	err := exchange(a, b)
	if runtime.GOOS == "linux" && err != nil {
		t.Fatal(err)
	}
	want := "of a"
	if err == nil {
		want = "of b"
	}
	if got := names(t, a); !slices.Equal(got, []string{want}) {
		t.Errorf("a has %q; want %q", got, want)
	}
	if err := exchange(a, filepath.Join(parent, "none")); err == nil {
		t.Error("exchange with a missing folder succeeded")
	}
}

// If the new folder cannot be renamed to path, the old one comes back.
func TestReplaceDirPutsBack(t *testing.T) {
	parent := t.TempDir()
	path := filepath.Join(parent, "results")
	if err := os.Mkdir(path, 0o777); err != nil {
		t.Fatal(err)
	}
	err := ReplaceDir(path, func(dir string) error { return os.Remove(dir) })
	if err == nil {
		t.Error("no error")
	}
	if got := names(t, parent); !slices.Equal(got, []string{"results"}) {
		t.Errorf("%q are left; want the old folder alone", got)
	}
}

func names(t *testing.T, dir string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}
