//go:build unix

package onnxmodel

import (
	"path/filepath"
	"syscall"
	"testing"
)

// Opening a FIFO would wait for ever.
func TestRefusedFIFO(t *testing.T) {
	path, _ := inFiles(t, "mlp.data", nil)
	if err := syscall.Mkfifo(filepath.Join(filepath.Dir(path), "mlp.data"), 0o600); err != nil {
		t.Skip(err)
	}
	assertRefused(t, path, "is not a regular file: not opened")

	fifo := filepath.Join(t.TempDir(), "fifo.npy")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	assertRefused(t, fifo, "it is not a regular file")
	if _, err := ReadArray(fifo, "x", 1); err == nil {
		t.Error("a FIFO was read as an array")
	}
}
