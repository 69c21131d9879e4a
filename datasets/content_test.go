package datasets

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// However its files are packed, the same content has the same SHA-256, the sum of the list that
// sha256sum would write.
func TestContentDoesNotDependOnThePacking(t *testing.T) {
	var list strings.Builder
	for _, file := range []string{"data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin", "data_batch_4.bin",
		"data_batch_5.bin", "test_batch.bin"} {
		fmt.Fprintf(&list, "%x  %s\n", sha256.Sum256(cifarBatches()[file]), file)
	}
	want := fmt.Sprintf("%x", sha256.Sum256([]byte(list.String())))
	for name, files := range map[string]map[string][]byte{
		"cifar10":         cifarBatches(),
		"archive of them": {"cifar-10-binary.tar.gz": archive(t, "cifar-10-batches-bin", cifarBatches())},
	} {
		t.Run(name, func(t *testing.T) {
			dir := dataFolder(t)
			writeFiles(t, filepath.Join(dir, strings.TrimSuffix(name, "archive of them")), files)
			got, err := Identify(NameCIFAR10)
			if err != nil || got.SHA256 != want || got.Published || got.Differs != "data_batch_1.bin" {
				t.Errorf("got %+v, %v; want SHA-256 %s", got, err, want)
			}
			images, err := Load(NameCIFAR10, Test)
			if err != nil || images.SHA256 != want {
				t.Errorf("the loaded images have SHA-256 %q, %v; want %s", images.SHA256, err, want)
			}
		})
	}
}

func TestPublishedContent(t *testing.T) {
	got, err := Identify(NameFashionMNISTSubset)
	want, errWant := PublishedContent(NameFashionMNISTSubset)
	if err != nil || errWant != nil || !got.Published || got.SHA256 != want.SHA256 ||
		got.String() != "the published content" {
		t.Errorf("the embedded set is %+v, %v; want %+v, %v", got, err, want, errWant)
	}
	if _, err := PublishedContent("minst"); err == nil {
		t.Error("no error for an unknown set")
	}
}

// A copy in the catalog is recognised, but not after a byte of it has changed.
func TestKnownCopy(t *testing.T) {
	files := mnistFiles(t, 2)
	sums := make(map[string]string)
	for name, packed := range files {
		plain, err := gunzip(strings.NewReader(string(packed)), name)
		if err != nil {
			t.Fatal(err)
		}
		if sums[strings.TrimSuffix(name, ".gz")], err = sum(plain); err != nil {
			t.Fatal(err)
		}
	}
	set, err := lookup(NameMNIST)
	if err != nil {
		t.Fatal(err)
	}
	before := set.copies
	set.copies = []knownCopy{{title: "two ramps", contents: sums}}
	defer func() { set.copies = before }()
	dir := filepath.Join(dataFolder(t), "mnist")
	writeFiles(t, dir, files)
	whole, err := Identify(NameMNIST)
	if err != nil || whole.Copy != "two ramps" || whole.String() != "two ramps" || whole.Published {
		t.Errorf("got %+v, %v", whole, err)
	}
	const changed = "train-labels-idx1-ubyte"
	files[changed][len(files[changed])-1] = 1
	writeFiles(t, dir, files)
	if err := os.Chtimes(filepath.Join(dir, changed), time.Time{}, time.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	other, err := Identify(NameMNIST)
	if err != nil || other.Copy != "" || other.SHA256 == whole.SHA256 || !strings.Contains(other.String(), "differs") {
		t.Errorf("with another label: %+v, %v", other, err)
	}
}

// Load notices files that were replaced after their sums were cached.
func TestLoadNoticesReplacedFiles(t *testing.T) {
	dir := filepath.Join(dataFolder(t), "mnist")
	files := mnistFiles(t, 1)
	writeFiles(t, dir, files)
	const name = "t10k-images-idx3-ubyte"
	info, err := os.Stat(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Identify(NameMNIST); err != nil {
		t.Fatal(err)
	}
	files[name][100]++
	writeFiles(t, dir, files)
	if err := os.Chtimes(filepath.Join(dir, name), time.Time{}, info.ModTime()); err != nil {
		t.Fatal(err)
	}
	_, err = Load(NameMNIST, Test)
	wantError(t, err, name, "was changed while the program ran")
	if _, err := Load(NameMNIST, Train); err != nil {
		t.Errorf("the other split: %v", err)
	}
}

// The catalog's sums are well-formed: a sum with a typing error would never match.
func TestCatalogSums(t *testing.T) {
	for _, set := range catalog {
		for _, known := range append(set.copies, knownCopy{set.title, set.contents}) {
			if len(known.contents) != len(set.contents) {
				t.Errorf("%s: %q has %d files, want %d", set.name, known.title, len(known.contents), len(set.contents))
			}
			for file, sum := range known.contents {
				if raw, err := hex.DecodeString(sum); err != nil || len(raw) != sha256.Size || set.contents[file] == "" {
					t.Errorf("%s: %s of %q has SHA-256 %q", set.name, file, known.title, sum)
				}
			}
		}
	}
}
