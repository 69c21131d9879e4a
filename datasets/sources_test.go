package datasets

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// mnistFiles returns the four files of a tiny MNIST of n training and n test images.
func mnistFiles(t testing.TB, n int) map[string][]byte {
	t.Helper()
	images := append(header(uint32(n), 28, 28), ramp(n*28*28)...)
	labels := append(header(uint32(n)), make([]byte, n)...)
	return map[string][]byte{
		"train-images-idx3-ubyte.gz": gzipped(t, images), "train-labels-idx1-ubyte": labels,
		"t10k-images-idx3-ubyte": images, "t10k-labels-idx1-ubyte.gz": gzipped(t, labels),
	}
}

// dataFolder sets an empty folder as the data folder and returns it.
func dataFolder(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	t.Setenv(EnvData, dir)
	return dir
}

func TestEmbeddedSubset(t *testing.T) {
	for split, perClass := range map[Split]int{Train: 500, Test: 100} {
		t.Run(split.String(), func(t *testing.T) {
			images, err := Load(NameFashionMNISTSubset, split)
			if err != nil {
				t.Fatal(err)
			}
			if images.N != 10*perClass || images.H != 28 || images.W != 28 || images.C != 1 {
				t.Errorf("got %d images of [%d, %d, %d]", images.N, images.H, images.W, images.C)
			}
			if want := slices.Repeat([]int{perClass}, 10); !slices.Equal(images.Counts(), want) {
				t.Errorf("counts %v, want %v", images.Counts(), want)
			}
			if want := NameFashionMNISTSubset + "/" + split.String(); images.Name != want {
				t.Errorf("name %q, want %q", images.Name, want)
			}
			// The classes are mixed, so that the first images represent the set.
			if first, _ := images.First(100); slices.Contains(first.Counts(), 0) {
				t.Errorf("the first 100 images have counts %v", first.Counts())
			}
		})
	}
	if err := Verify(NameFashionMNISTSubset); err != nil {
		t.Error(err)
	}
	source, err := Locate(NameFashionMNISTSubset)
	if err != nil || !source.Found || !source.Embedded || source.String() != "fashion-mnist-subset: embedded" {
		t.Errorf("got %v, %v", source, err)
	}
}

// The gzipped files have the checksums in the folder's README.
func TestReadmeListsEmbeddedFiles(t *testing.T) {
	readme, err := os.ReadFile("fashion_mnist_subset/README.md")
	if err != nil {
		t.Fatal(err)
	}
	set, err := lookup(NameFashionMNISTSubset)
	if err != nil {
		t.Fatal(err)
	}
	for file, content := range set.contents {
		packed, err := embedded.ReadFile("fashion_mnist_subset/" + file + ".gz")
		if err != nil {
			t.Fatal(err)
		}
		sum := sha256.Sum256(packed)
		for _, want := range []string{hex.EncodeToString(sum[:]), content} {
			if !strings.Contains(string(readme), want) {
				t.Errorf("%s: the README lacks the checksum %s", file, want)
			}
		}
	}
}

func TestLocateAndLoad(t *testing.T) {
	for _, test := range []struct{ name, folder string }{
		{NameMNIST, "mnist"}, {NameMNIST, "MNIST/raw"}, {NameFashionMNIST, "fashion-mnist"},
		{NameFashionMNIST, "FashionMNIST/raw"},
	} {
		t.Run(test.folder, func(t *testing.T) {
			dir := filepath.Join(dataFolder(t), test.folder)
			writeFiles(t, dir, mnistFiles(t, 3))
			source, err := Locate(test.name)
			if err != nil || !source.Found || source.Path != dir || source.Hint != "" {
				t.Fatalf("got %+v, %v", source, err)
			}
			if !strings.Contains(source.String(), dir) {
				t.Errorf("%q lacks the folder", source)
			}
			for _, split := range []Split{Train, Test} {
				images, err := Load(test.name, split)
				if err != nil {
					t.Fatal(err)
				}
				if images.N != 3 || !bytes.Equal(images.Pixels, ramp(3*28*28)) || len(images.Classes) != 10 {
					t.Errorf("got %d images, classes %v", images.N, images.Classes)
				}
			}
			wantError(t, Verify(test.name), "SHA-256", dir)
		})
	}
	for name, files := range map[string]map[string][]byte{
		"cifar10": cifarBatches(), "cifar-10-batches-bin": cifarBatches(), "cifar10/cifar-10-batches-bin": cifarBatches(),
		".":               {"cifar-10-binary.tar.gz": archive(t, "cifar-10-batches-bin", cifarBatches())},
		"cifar10 archive": {"cifar-10-binary.tar.gz": archive(t, "cifar-10-batches-bin", cifarBatches())},
	} {
		t.Run("cifar in "+name, func(t *testing.T) {
			dir := dataFolder(t)
			writeFiles(t, filepath.Join(dir, strings.TrimSuffix(name, " archive")), files)
			images, err := Load(NameCIFAR10, Train)
			if err != nil {
				t.Fatal(err)
			}
			if images.N != 10 || images.Name != "cifar10/train" {
				t.Errorf("got %d images of %q", images.N, images.Name)
			}
			wantError(t, Verify(NameCIFAR10), "SHA-256", dir)
		})
	}
}

func TestLocateNotFound(t *testing.T) {
	for _, name := range []string{NameMNIST, NameCIFAR10} {
		t.Run(name, func(t *testing.T) {
			dir := dataFolder(t)
			source, err := Locate(name)
			if err != nil || source.Found || source.Path != "" {
				t.Fatalf("got %+v, %v", source, err)
			}
			for _, part := range []string{name, "not found", dir, EnvData} {
				if !strings.Contains(source.String(), part) {
					t.Errorf("%q lacks %q", source, part)
				}
			}
			_, err = Load(name, Train)
			wantError(t, err, name, "not found", dir)
			var missing *NotFoundError
			if !errors.As(err, &missing) || missing.Source.Name != name {
				t.Errorf("Load gives %T, want a NotFoundError", err)
			}
			if err := Verify(name); !errors.As(err, &missing) {
				t.Errorf("Verify gives %v, want a NotFoundError", err)
			}
		})
	}
	t.Run("a file is missing", func(t *testing.T) {
		files := mnistFiles(t, 1)
		delete(files, "t10k-images-idx3-ubyte")
		writeFiles(t, filepath.Join(dataFolder(t), "mnist"), files)
		if source, err := Locate(NameMNIST); err != nil || source.Found {
			t.Errorf("got %+v, %v", source, err)
		}
	})
	t.Run("the package is in the hint", func(t *testing.T) {
		set, err := lookup(NameFashionMNIST)
		if err != nil {
			t.Fatal(err)
		}
		if hint := set.hint("data"); !strings.Contains(hint, "apt-get install dataset-fashion-mnist") {
			t.Errorf("hint %q", hint)
		}
	})
}

func TestDataDir(t *testing.T) {
	t.Run("default", func(t *testing.T) {
		t.Setenv(EnvData, "")
		if dir, err := DataDir(); err != nil || dir != "data" {
			t.Errorf("got %q, %v", dir, err)
		}
	})
	t.Run("absent", func(t *testing.T) {
		t.Setenv(EnvData, filepath.Join(t.TempDir(), "absent"))
		for name, call := range map[string]func() error{
			"DataDir":  func() error { _, err := DataDir(); return err },
			"Locate":   func() error { _, err := Locate(NameMNIST); return err },
			"Load":     func() error { _, err := Load(NameMNIST, Train); return err },
			"Verify":   func() error { return Verify(NameMNIST) },
			"Download": func() error { return Download(t.Context(), NameMNIST, "", nil) },
		} {
			t.Run(name, func(t *testing.T) { wantError(t, call(), EnvData, "absent") })
		}
		if _, err := Load(NameFashionMNISTSubset, Test); err != nil {
			t.Errorf("the embedded set needs no data folder, but loading it failed: %v", err)
		}
	})
	t.Run("a file", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "file")
		writeFiles(t, filepath.Dir(path), map[string][]byte{"file": nil})
		t.Setenv(EnvData, path)
		_, err := DataDir()
		wantError(t, err, EnvData, "not a folder")
	})
}

func TestLoadErrors(t *testing.T) {
	t.Run("mistyped name", func(t *testing.T) {
		for name, want := range map[string]string{"minst": `"mnist"`, "cifar-10": `"cifar10"`,
			"Fashion-MNIST": `"fashion-mnist"`} {
			_, err := Load(name, Train)
			wantError(t, err, name, "did you mean "+want)
		}
	})
	t.Run("unknown name", func(t *testing.T) {
		_, err := Load("imagenet-21k-winter", Train)
		wantError(t, err, "imagenet-21k-winter", strings.Join(Names(), ", "))
	})
	t.Run("unknown split", func(t *testing.T) {
		_, err := Load(NameMNIST, Split(2))
		wantError(t, err, "unknown split Split(2)")
	})
	t.Run("wrong size of image", func(t *testing.T) {
		files := mnistFiles(t, 1)
		files["t10k-images-idx3-ubyte"] = append(header(1, 14, 56), ramp(784)...)
		writeFiles(t, filepath.Join(dataFolder(t), "mnist"), files)
		_, err := Load(NameMNIST, Test)
		wantError(t, err, "14×56", "want 28×28")
	})
	t.Run("label without class", func(t *testing.T) {
		files := mnistFiles(t, 1)
		files["train-labels-idx1-ubyte"] = append(header(1), 10)
		writeFiles(t, filepath.Join(dataFolder(t), "mnist"), files)
		_, err := Load(NameMNIST, Train)
		wantError(t, err, "mnist/train", "label 10 of image 0")
	})
	t.Run("damaged file", func(t *testing.T) {
		files := mnistFiles(t, 1)
		files["t10k-images-idx3-ubyte"] = files["t10k-images-idx3-ubyte"][:100]
		writeFiles(t, filepath.Join(dataFolder(t), "mnist"), files)
		_, err := Load(NameMNIST, Test)
		wantError(t, err, "t10k-images-idx3-ubyte", "truncated")
	})
}

// If Debian's package is installed, the full set loads, its files are the published ones, and the
// official .gz files, which differ from Debian's only in the gzip header, have the checksums and
// sizes of the catalog's downloads.
func TestDebianFashionMNIST(t *testing.T) {
	if _, err := os.Stat(debianFashionMNIST); err != nil {
		t.Skip("the full set was not checked: Debian's dataset-fashion-mnist is not installed")
	}
	dataFolder(t)
	if err := Verify(NameFashionMNIST); err != nil {
		t.Fatal(err)
	}
	images, err := Load(NameFashionMNIST, Test)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(images.Counts(), slices.Repeat([]int{1000}, 10)) {
		t.Errorf("counts %v", images.Counts())
	}
	set, err := lookup(NameFashionMNIST)
	if err != nil {
		t.Fatal(err)
	}
	// The times in the official headers, 2017-08-31, 10:50 UTC, were found by trial.
	times := map[string]uint32{"train": 1504176606, "t10k-": 1504176627}
	for _, file := range set.downloads {
		packed, err := os.ReadFile(filepath.Join(debianFashionMNIST, file.file))
		if err != nil {
			t.Fatal(err)
		}
		time := binary.LittleEndian.AppendUint32(nil, times[file.file[:5]])
		official := slices.Concat([]byte{0x1f, 0x8b, 8, 8}, time, packed[8:10],
			[]byte(strings.TrimSuffix(file.file, ".gz")), []byte{0}, packed[10:])
		sum := sha256.Sum256(official)
		if got := hex.EncodeToString(sum[:]); got != file.sha256 || int64(len(official)) != file.size {
			t.Errorf("%s: %d bytes, SHA-256 %s, want %d and %s as in the catalog",
				file.file, len(official), got, file.size, file.sha256)
		}
	}
}
