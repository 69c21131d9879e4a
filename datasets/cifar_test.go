package datasets

import (
	"archive/tar"
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// record returns a CIFAR record whose pixel (row, col, channel) is row + 2·col + 64·channel +
// label.
func record(label byte) []byte {
	b := []byte{label}
	for channel := range 3 {
		for row := range 32 {
			for col := range 32 {
				b = append(b, byte(row+2*col+64*channel+int(label)))
			}
		}
	}
	return b
}

// batch returns a batch file with these labels.
func batch(labels ...byte) []byte {
	var b []byte
	for _, label := range labels {
		b = append(b, record(label)...)
	}
	return b
}

// cifarBatches returns the six files of a tiny CIFAR-10, whose training labels are 0 to 9.
func cifarBatches() map[string][]byte {
	return map[string][]byte{
		"data_batch_1.bin": batch(0, 1), "data_batch_2.bin": batch(2, 3), "data_batch_3.bin": batch(4, 5),
		"data_batch_4.bin": batch(6, 7), "data_batch_5.bin": batch(8, 9), "test_batch.bin": batch(3, 1, 4),
	}
}

func writeFiles(t testing.TB, dir string, files map[string][]byte) {
	t.Helper()
	if err := os.MkdirAll(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// archive returns a gzipped tar file of the files in reverse order, so that the reader cannot rely
// on their order.
func archive(t testing.TB, folder string, files map[string][]byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	names := make([]string, 0, len(files))
	for name := range files {
		names = append(names, name)
	}
	slices.Sort(names)
	slices.Reverse(names)
	for _, name := range names {
		if err := w.WriteHeader(&tar.Header{Name: folder + "/" + name, Size: int64(len(files[name])),
			Mode: 0o644}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(files[name]); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return gzipped(t, b.Bytes())
}

func TestReadCIFAR10(t *testing.T) {
	dir := t.TempDir()
	folder, packed := filepath.Join(dir, "cifar-10-batches-bin"), filepath.Join(dir, "cifar-10-binary.tar.gz")
	writeFiles(t, folder, cifarBatches())
	writeFiles(t, dir, map[string][]byte{"cifar-10-binary.tar.gz": archive(t, "cifar-10-batches-bin", cifarBatches())})
	for name, place := range map[string]string{"folder": folder, "archive": packed} {
		for split, wantLabels := range map[Split][]byte{Train: ramp(10), Test: {3, 1, 4}} {
			t.Run(name+" "+split.String(), func(t *testing.T) {
				got, err := ReadCIFAR10(place, split)
				if err != nil {
					t.Fatal(err)
				}
				if err := got.check(); err != nil {
					t.Fatal(err)
				}
				if !bytes.Equal(got.Labels, wantLabels) {
					t.Errorf("labels %v, want %v", got.Labels, wantLabels)
				}
				for i, label := range wantLabels {
					checkCIFARImage(t, got.Image(i), label)
				}
			})
		}
	}
}

// checkCIFARImage compares an image [32, 32, 3] with the pixels that record sets.
func checkCIFARImage(t *testing.T, image []uint8, label byte) {
	t.Helper()
	for row := range 32 {
		for col := range 32 {
			for channel := range 3 {
				want := byte(row + 2*col + 64*channel + int(label))
				if got := image[(row*32+col)*3+channel]; got != want {
					t.Fatalf("pixel (%d, %d), channel %d is %d, want %d", row, col, channel, got, want)
				}
			}
		}
	}
}

func TestReadCIFAR10Errors(t *testing.T) {
	replace := func(name string, content []byte) map[string][]byte {
		files := cifarBatches()
		files[name] = content
		return files
	}
	without := func(name string) map[string][]byte {
		files := cifarBatches()
		delete(files, name)
		return files
	}
	const third = "data_batch_3.bin"
	for _, test := range []struct {
		name  string
		files map[string][]byte
		want  string // For the folder.
	}{
		{"missing", without(third), third},
		{"empty", replace(third, nil), "empty"},
		{"truncated", replace(third, batch(4, 5)[:6000]), "6000 bytes are not a whole number"},
		{"one byte too many", replace(third, append(batch(4, 5), 1)), "not a whole number"},
		{"bad label", replace(third, batch(4, 10)), "record 1 has label 10"},
	} {
		t.Run("folder "+test.name, func(t *testing.T) {
			dir := t.TempDir()
			writeFiles(t, dir, test.files)
			_, err := ReadCIFAR10(dir, Train)
			wantError(t, err, dir, third, test.want)
			if _, err := ReadCIFAR10(dir, Test); err != nil {
				t.Errorf("the test split does not need %s, but reading it failed: %v", third, err)
			}
		})
		t.Run("archive "+test.name, func(t *testing.T) {
			dir := t.TempDir()
			writeFiles(t, dir, map[string][]byte{"a.tar.gz": archive(t, "cifar-10-batches-bin", test.files)})
			_, err := ReadCIFAR10(filepath.Join(dir, "a.tar.gz"), Train)
			wantError(t, err, "a.tar.gz", third)
		})
	}
	good := archive(t, "cifar-10-batches-bin", cifarBatches())
	damaged := slices.Clone(good)
	damaged[len(damaged)/2] ^= 0xff
	for _, test := range []struct {
		name    string
		content []byte
		want    string
	}{
		{"python version", archive(t, "cifar-10-batches-py", map[string][]byte{"data_batch_1": {1}}),
			"want cifar-10-binary.tar.gz, the binary version"},
		{"not gzip", []byte(strings.Repeat("this is no archive. ", 100)), "not a tar archive"},
		{"gzip of something else", gzipped(t, []byte(strings.Repeat("this is no archive. ", 100))), "not a tar archive"},
		{"gzip header only", good[:6], "truncated gzip"},
		{"truncated", good[:len(good)/2], "truncated"},
		{"damaged", damaged, ""},
	} {
		t.Run("archive "+test.name, func(t *testing.T) {
			dir := t.TempDir()
			writeFiles(t, dir, map[string][]byte{"a.tar.gz": test.content})
			_, err := ReadCIFAR10(filepath.Join(dir, "a.tar.gz"), Train)
			wantError(t, err, "a.tar.gz", test.want)
		})
	}
	t.Run("no such place", func(t *testing.T) {
		_, err := ReadCIFAR10(filepath.Join(t.TempDir(), "absent"), Train)
		wantError(t, err, "absent")
	})
}

// For any bytes of a batch file, the reader returns an error or a consistent set.
func FuzzReadCIFAR(f *testing.F) {
	f.Add([]byte{})
	f.Add(batch(1, 9))
	f.Add(batch(10))
	f.Add(batch(1)[:100])
	f.Fuzz(func(t *testing.T, file []byte) {
		images := &Images{H: cifarSide, W: cifarSide, C: 3, Classes: cifar10Classes}
		if err := appendCIFAR(images, bytes.NewReader(file), "the-file"); err != nil {
			if !strings.HasPrefix(err.Error(), "the-file: ") {
				t.Errorf("error does not name the file: %q", err)
			}
			return
		}
		if err := images.check(); err != nil {
			t.Error(err)
		}
		if images.N*cifarRecord != len(file) {
			t.Errorf("%d records from %d bytes", images.N, len(file))
		}
	})
}
