package repository

import (
	"os"
	"path/filepath"
	"testing"
)

func TestRoot(t *testing.T) {
	want, err := filepath.Abs(filepath.Join("..", ".."))
	if err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{".", want, filepath.Join(want, "experiments", "runs")} {
		t.Chdir(dir)
		if got, ok := Root(); !ok || got != want {
			t.Errorf("from %s: %q, %v, want %q", dir, got, ok, want)
		}
	}
}

func TestNoRoot(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "go.mod"), []byte("module other.example/x\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Chdir(dir)
	if got, ok := Root(); ok {
		t.Errorf("found %q beside the go.mod of another module", got)
	}
}
