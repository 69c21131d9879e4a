package main

import (
	"bytes"
	"compress/gzip"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/geometric-complexity/toolkit/datasets"
)

// Drawing again gives the embedded files, if the full set is present.
func TestDrawReproducesTheSubset(t *testing.T) {
	source, err := datasets.Locate(datasets.NameFashionMNIST)
	if err != nil {
		t.Fatal(err)
	}
	if !source.Found {
		t.Skipf("the subset was not drawn again, because the full set was not found: %s", source.Hint)
	}
	dir := t.TempDir()
	if err := draw(dir, t.Output()); err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob("../*.gz")
	if err != nil || len(files) != 4 {
		t.Fatalf("embedded files %v, %v", files, err)
	}
	for _, file := range files {
		want, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(filepath.Join(dir, filepath.Base(file)))
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Equal(got, want) {
			continue
		}
		// Go's compatibility promise does not cover the compressed bytes, so only the content must
		// be equal.
		if !bytes.Equal(plain(t, got), plain(t, want)) {
			t.Errorf("%s: drawing it again gave another content", filepath.Base(file))
			continue
		}
		t.Logf("%s: the same content, but this version of Go compresses it differently", filepath.Base(file))
	}
}

func TestWriteErrors(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := write(filepath.Join(file, "labels"), []int{2}, []uint8{1, 2}, io.Discard); err == nil {
		t.Error("no error for a folder that is a file")
	}
	if err := write(filepath.Join(t.TempDir(), "labels"), []int{3}, []uint8{1, 2}, io.Discard); err == nil {
		t.Error("no error for dimensions that do not fit")
	}
}

func plain(t *testing.T, packed []byte) []byte {
	t.Helper()
	reader, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		t.Fatal(err)
	}
	content, err := io.ReadAll(reader)
	if err != nil {
		t.Fatal(err)
	}
	return content
}
