package datasets

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
)

// header returns an IDX header of unsigned bytes.
func header(dims ...uint32) []byte {
	b := []byte{0, 0, 8, byte(len(dims))}
	for _, d := range dims {
		b = binary.BigEndian.AppendUint32(b, d)
	}
	return b
}

func gzipped(t testing.TB, content []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write(content); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// ramp returns n bytes 0, 1, 2, ... modulo 256.
func ramp(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i)
	}
	return b
}

// wantError fails unless err is one line that contains every part.
func wantError(t *testing.T, err error, parts ...string) {
	t.Helper()
	if err == nil {
		t.Fatalf("no error, want one with %q", parts)
	}
	if strings.Contains(err.Error(), "\n") {
		t.Errorf("error is not one line: %q", err)
	}
	for _, part := range parts {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("error %q lacks %q", err, part)
		}
	}
}

func TestReadIDX(t *testing.T) {
	data := ramp(2 * 3 * 4)
	plain := append(header(2, 3, 4), data...)
	for name, file := range map[string][]byte{"plain": plain, "gzip": gzipped(t, plain)} {
		t.Run(name, func(t *testing.T) {
			got, err := ReadIDX(bytes.NewReader(file), "file")
			if err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(got.Dims, []int{2, 3, 4}) || !bytes.Equal(got.Data, data) {
				t.Errorf("got %v %v", got.Dims, got.Data)
			}
		})
	}
}

func TestReadIDXErrors(t *testing.T) {
	plain := append(header(2, 3, 4), ramp(24)...)
	packed := gzipped(t, plain)
	flipped := slices.Clone(packed)
	flipped[len(flipped)-6] ^= 1 // A bit of the checksum.
	damaged := slices.Clone(packed)
	damaged[10] = 0xff // An invalid block type.
	float := append([]byte{0, 0, 0x0d, 1}, header(1)[4:]...)
	for _, test := range []struct {
		name string
		file []byte
		want string
	}{
		{"empty", nil, "ends inside its header"},
		{"cut in magic", plain[:3], "ends inside its header"},
		{"cut in dimensions", plain[:9], "ends inside its header"},
		{"cut before data", plain[:16], "found 0"},
		{"cut in data", plain[:len(plain)-1], "announces 24 bytes of data for dimensions [2 3 4], found 23"},
		{"one byte too many", append(slices.Clone(plain), 7), "bytes after the end"},
		{"wrong magic", []byte("PNG image"), "not an IDX file"},
		{"float32", float, "element type 0x0d"},
		{"rank 0", header(), "rank 0"},
		{"no images", header(0, 28, 28), "dimension 0 is 0"},
		{"too large", header(60000, 28, 60000), "more than"},
		{"product overflows", header(1<<31, 1<<31, 4), "more than"},
		{"product overflows to 0", header(1<<31, 1<<31, 1<<31, 1<<31), "more than"},
		{"gzip cut in header", packed[:5], "truncated gzip"},
		{"gzip cut in data", packed[:len(packed)-12], "gzip"},
		{"gzip cut in checksum", packed[:len(packed)-3], "truncated gzip"},
		{"gzip wrong checksum", flipped, "invalid checksum"},
		{"gzip damaged data", damaged, "damaged gzip"},
		{"gzip and more", append(slices.Clone(packed), 1, 2, 3), "gzip"},
		{"gzip too long", gzipped(t, append(slices.Clone(plain), 7)), "bytes after the end"},
		{"gzip wrong magic", gzipped(t, []byte("PNG image")), "not an IDX file"},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := ReadIDX(bytes.NewReader(test.file), "the-file")
			wantError(t, err, "the-file", test.want)
		})
	}
}

// A header that announces 1 GB must not make the reader allocate it.
func TestReadIDXForgedHeaderAllocatesLittle(t *testing.T) {
	file := append(header(1<<30), ramp(100)...)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, err := ReadIDX(bytes.NewReader(file), "forged")
	runtime.ReadMemStats(&after)
	wantError(t, err, "forged", "found 100")
	if allocated := after.TotalAlloc - before.TotalAlloc; allocated > 1<<20 {
		t.Errorf("allocated %d bytes for a file of %d", allocated, len(file))
	}
}

func TestReadIDXImages(t *testing.T) {
	dir := t.TempDir()
	write := func(name string, content []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, content, 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	images := write("images", append(header(2, 3, 4), ramp(24)...))
	labels := write("labels.gz", gzipped(t, append(header(2), 1, 0)))
	t.Run("good", func(t *testing.T) {
		got, err := ReadIDXImages(images, labels)
		if err != nil {
			t.Fatal(err)
		}
		if got.N != 2 || got.H != 3 || got.W != 4 || got.C != 1 {
			t.Errorf("got %d images of [%d, %d, %d]", got.N, got.H, got.W, got.C)
		}
		if !bytes.Equal(got.Image(1), ramp(24)[12:]) || !bytes.Equal(got.Labels, []byte{1, 0}) {
			t.Errorf("got %v %v", got.Pixels, got.Labels)
		}
	})
	t.Run("counts disagree", func(t *testing.T) {
		three := write("three", append(header(3), 1, 0, 1))
		_, err := ReadIDXImages(images, three)
		wantError(t, err, images, three, "2 images", "3 labels")
	})
	t.Run("swapped", func(t *testing.T) {
		_, err := ReadIDXImages(labels, images)
		wantError(t, err, labels, "want [images, height, width]")
	})
	t.Run("images for labels", func(t *testing.T) {
		_, err := ReadIDXImages(images, images)
		wantError(t, err, images, "want [labels]")
	})
	t.Run("no images file", func(t *testing.T) {
		_, err := ReadIDXImages(filepath.Join(dir, "absent"), labels)
		wantError(t, err, "absent")
	})
	t.Run("no labels file", func(t *testing.T) {
		_, err := ReadIDXImages(images, filepath.Join(dir, "absent"))
		wantError(t, err, "absent")
	})
}

func TestWriteIDX(t *testing.T) {
	for _, test := range []struct {
		name string
		dims []int
		n    int
	}{
		{"rank 0", nil, 1},
		{"zero dimension", []int{0, 2}, 0},
		{"negative dimension", []int{-1}, 1},
		{"overflow", []int{1 << 20, 1 << 20}, 1},
		{"too few bytes", []int{2, 2}, 3},
	} {
		t.Run(test.name, func(t *testing.T) {
			var b bytes.Buffer
			wantError(t, WriteIDX(&b, test.dims, ramp(test.n)), "cannot write")
			if b.Len() > 0 {
				t.Errorf("%d bytes were written", b.Len())
			}
		})
	}
}

// For any bytes, the reader returns either an error that names the file, or an array that WriteIDX
// turns into the same bytes.
func FuzzReadIDX(f *testing.F) {
	plain := append(header(2, 3, 4), ramp(24)...)
	for _, seed := range [][]byte{
		nil, plain, plain[:20], gzipped(f, plain), gzipped(f, plain)[:25],
		append(header(2), 1, 0), header(0), header(1<<31, 1<<31), {0x1f, 0x8b}, {0, 0, 8, 255},
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, file []byte) {
		got, err := ReadIDX(bytes.NewReader(file), "the-file")
		if err != nil {
			if !strings.HasPrefix(err.Error(), "the-file: ") || strings.Contains(err.Error(), "\n") {
				t.Errorf("error does not begin with the file's name or is not one line: %q", err)
			}
			return
		}
		var back bytes.Buffer
		if err := WriteIDX(&back, got.Dims, got.Data); err != nil {
			t.Fatalf("read %v, but cannot write it: %v", got.Dims, err)
		}
		if plain := !bytes.HasPrefix(file, []byte{0x1f, 0x8b}); plain && !bytes.Equal(back.Bytes(), file) {
			t.Errorf("written back as %x", back.Bytes())
		}
	})
}
