package onnxmodel

import (
	"archive/zip"
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gomlx/compute/dtypes"
)

// seeds adds files of testdata, whole and cut in half.
func seeds(f *testing.F, add func(file []byte), names ...string) {
	for _, name := range names {
		file, err := os.ReadFile(testdata(name))
		if err != nil {
			f.Fatal(err)
		}
		add(file)
		add(file[:len(file)/2])
	}
}

func assertOneLine(t *testing.T, err error) {
	t.Helper()
	if text := err.Error(); text == "" || strings.Contains(text, "\n") {
		t.Errorf("want an error of one line, got %q", text)
	}
}

// zipped is an archive of one file.
func zipped(f *testing.F, name string, data []byte) []byte {
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	w, err := z.Create(name)
	if err == nil {
		_, err = w.Write(data)
	}
	if err == nil {
		err = z.Close()
	}
	if err != nil {
		f.Fatal(err)
	}
	return b.Bytes()
}

// FuzzReadArray: a .npy or .npz file is refused in one line, or gives an array within the limit
// that is either refused as examples or gives them all.
func FuzzReadArray(f *testing.F) {
	const limit = 1 << 20
	seeds(f, func(file []byte) { f.Add(file, false) }, "mlp_x.npy", "mlp_y.npy")
	f.Add(npy("<f4", "2, 3", make([]byte, 24)), false)
	f.Add(npy("<i8", "3,", make([]byte, 24)), false)
	f.Add(npy("|u1", "0, 3", nil), false)
	f.Add(npy("<f8", "99999999999, 99999999999", nil), false)
	f.Add(npy(">f4", "1,", make([]byte, 4)), false)
	f.Add(zipped(f, "x.npy", npy("<f4", "2,", make([]byte, 8))), true)
	f.Add([]byte("PK\x05\x06"+strings.Repeat("\x00", 18)), true)
	f.Fuzz(func(t *testing.T, file []byte, npz bool) {
		path := filepath.Join(t.TempDir(), "array.npy")
		if npz {
			path = strings.TrimSuffix(path, "y") + "z"
		}
		if err := os.WriteFile(path, file, 0o600); err != nil {
			t.Fatal(err)
		}
		array, err := ReadArray(path, "", limit)
		if err != nil {
			assertOneLine(t, err)
			return
		}
		if array.ByteSize() > limit {
			t.Fatalf("got %d bytes, above the limit", array.ByteSize())
		}
		examples, err := NewArrays(path, []Column{{Values: array, DType: dtypes.Float32}}, nil, 0, 3)
		if err != nil {
			assertOneLine(t, err)
			return
		}
		n := 0
		for batch, err := range examples.Iter() {
			if err != nil {
				t.Fatal(err)
			}
			n += batch.Inputs[0].Shape().Dimensions[0]
		}
		if n != examples.NumExamples() {
			t.Fatalf("got %d examples of %d", n, examples.NumExamples())
		}
	})
}

// FuzzLoad: a model file is refused in one line, or has a name and a shape of its input.
func FuzzLoad(f *testing.F) {
	seeds(f, func(file []byte) { f.Add(file) }, "mlp.onnx", "no_gradient.onnx", "unknown_operator.onnx")
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, file []byte) {
		path := filepath.Join(t.TempDir(), "model.onnx")
		if err := os.WriteFile(path, file, 0o600); err != nil {
			t.Fatal(err)
		}
		m, err := Load(path)
		if err != nil {
			assertOneLine(t, err)
			return
		}
		defer m.Store.Finalize()
		if len(m.Inputs()) == 0 || m.OutputName() == "" {
			t.Errorf("got inputs %v and the output %q", m.Inputs(), m.OutputName())
		}
	})
}

// TestRefusedModelsAreClosed: what is refused leaves no file and no folder open.
func TestRefusedModelsAreClosed(t *testing.T) {
	open := func() int {
		entries, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Skip("no list of open files here")
		}
		return len(entries)
	}
	path := filepath.Join(t.TempDir(), "model.onnx")
	if err := os.WriteFile(path, []byte("000"), 0o600); err != nil {
		t.Fatal(err)
	}
	before := open()
	for range 50 {
		if _, err := Load(path); err == nil {
			t.Fatal("no error")
		}
	}
	if after := open(); after > before+10 {
		t.Errorf("%d files were open before, %d are after", before, after)
	}
}
