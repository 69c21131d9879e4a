package datasets

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// FuzzReadCIFARArchive checks that any archive gives an error of one line, or images and labels
// that fit together.
func FuzzReadCIFARArchive(f *testing.F) {
	whole := archive(f, "cifar-10-batches-bin", cifarBatches())
	f.Add(whole)
	f.Add(whole[:len(whole)/2])
	f.Add(archive(f, "..", cifarBatches()))
	f.Add(archive(f, "empty", map[string][]byte{"test_batch.bin": nil}))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, file []byte) {
		path := filepath.Join(t.TempDir(), "a.tar.gz")
		if err := os.WriteFile(path, file, 0o600); err != nil {
			t.Fatal(err)
		}
		images, err := ReadCIFAR10(path, Test)
		if err != nil {
			if text := err.Error(); text == "" || strings.Contains(text, "\n") {
				t.Errorf("want an error of one line, got %q", text)
			}
			return
		}
		if images.N == 0 || len(images.Labels) != images.N || len(images.Pixels) != images.N*cifarPixels {
			t.Fatalf("got %d images, %d labels and %d pixels", images.N, len(images.Labels), len(images.Pixels))
		}
		if largest := slices.Max(images.Labels); int(largest) >= len(images.Classes) {
			t.Fatalf("got the label %d of %d classes", largest, len(images.Classes))
		}
	})
}
