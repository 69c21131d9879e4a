package onnxmodel

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gomlx/compute-onnx/support/protos"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	"google.golang.org/protobuf/proto"

	"github.com/geometric-complexity/toolkit/internal/gctest"
)

// inFiles moves the weights of the MLP into a file beside it, as PyTorch does with large ones, and
// changes where a weight claims to be.
func inFiles(t *testing.T, location string, change func(w *protos.TensorProto)) (path string, data []byte) {
	t.Helper()
	path = changed(t, "mlp.onnx", func(file *protos.ModelProto) {
		for _, w := range file.Graph.Initializer {
			w.DataLocation = protos.TensorProto_EXTERNAL
			w.ExternalData = []*protos.StringStringEntryProto{{Key: "location", Value: location},
				{Key: "offset", Value: fmt.Sprint(len(data))}, {Key: "length", Value: fmt.Sprint(len(w.RawData))}}
			data = append(data, w.RawData...)
			w.RawData = nil
		}
		if change != nil {
			change(file.Graph.Initializer[0])
		}
	})
	return path, data
}

func writeFile(t *testing.T, path string, data []byte) {
	t.Helper()
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, data, 0o644)); err != nil {
		t.Fatal(err)
	}
}

func TestExternalData(t *testing.T) {
	b := gctest.GoBackend(t)
	want := measure(t, b, load(t, testdata("mlp.onnx")), "mlp").GC
	for _, location := range []string{"mlp.data", "weights/mlp.data", "./mlp.data"} {
		path, data := inFiles(t, location, nil)
		writeFile(t, filepath.Join(filepath.Dir(path), location), data)
		if got := measure(t, b, load(t, path), "mlp").GC; got != want {
			t.Errorf("%s: GC %g; want %g", location, got, want)
		}
	}
}

func TestRefusedExternalData(t *testing.T) {
	entry := func(key, value string) func(*protos.TensorProto) {
		return func(w *protos.TensorProto) {
			for _, e := range w.ExternalData {
				if e.Key == key {
					e.Value = value
				}
			}
		}
	}
	nothing := func(string, []byte) error { return nil }
	file := func(dir string, data []byte) error { return os.WriteFile(filepath.Join(dir, "mlp.data"), data, 0o644) }
	outside := filepath.Join(t.TempDir(), "secret")
	for _, tc := range []struct {
		name, location, want string
		change               func(*protos.TensorProto)
		place                func(dir string, data []byte) error
	}{
		{"missing", "mlp.data", `external data file "mlp.data" is not in the network's folder`, nil, nothing},
		{"above the folder", "../mlp.data", "outside of the network's folder", nil,
			func(dir string, data []byte) error { return file(filepath.Dir(dir), data) }},
		{"above by a detour", "a/../../mlp.data", "outside of the network's folder", nil,
			func(dir string, data []byte) error { return file(filepath.Dir(dir), data) }},
		{"absolute", outside, "outside of the network's folder", nil,
			func(_ string, data []byte) error { return os.WriteFile(outside, data, 0o644) }},
		{"no location", "", "outside of the network's folder", nil, nothing},
		{"folder", ".", "not a regular file", nil, nothing},
		{"link", "mlp.data", "is a link", nil, func(dir string, data []byte) error {
			return errors.Join(os.WriteFile(outside, data, 0o644), os.Symlink(outside, filepath.Join(dir, "mlp.data")))
		}},
		{"link within the folder", "mlp.data", "is a link", nil, func(dir string, data []byte) error {
			return errors.Join(os.WriteFile(filepath.Join(dir, "other"), data, 0o644),
				os.Symlink("other", filepath.Join(dir, "mlp.data")))
		}},
		{"linked folder", "weights/secret", "is a link", nil, func(dir string, data []byte) error {
			return errors.Join(os.WriteFile(outside, data, 0o644),
				os.Symlink(filepath.Dir(outside), filepath.Join(dir, "weights")))
		}},
		{"file as a folder", "mlp.data/x", "not a regular file", nil, file},
		{"short file", "mlp.data", "takes 1536 bytes from byte 0", nil,
			func(dir string, data []byte) error { return file(dir, data[:100]) }},
		{"offset below 0", "mlp.data", "from byte -4", entry("offset", "-4"), file},
		{"offset beyond the file", "mlp.data", "from byte 9223372036854775807", entry("offset", "9223372036854775807"), file},
		{"offset of a word", "mlp.data", `offset "x" of its external data`, entry("offset", "x"), file},
		{"another length", "mlp.data", "takes 1536 bytes, but 8 of", entry("length", "8"), file},
		{"a huge tensor", "mlp.data", "takes 140737488355328 bytes", func(w *protos.TensorProto) {
			w.Dims = []int64{1 << 45}
			w.ExternalData = w.ExternalData[:2]
		}, file},
		{"a size that overflows", "mlp.data", "impossible shape",
			func(w *protos.TensorProto) { w.Dims = []int64{1 << 40, 1 << 40} }, file},
		{"a size below 0", "mlp.data", "impossible shape", func(w *protos.TensorProto) { w.Dims = []int64{-1, -4} }, file},
	} {
		t.Run(tc.name, func(t *testing.T) {
			path, data := inFiles(t, tc.location, tc.change)
			if err := tc.place(filepath.Dir(path), data); err != nil {
				t.Fatal(err)
			}
			assertRefused(t, path, tc.want)
		})
	}
}

func assertRefused(t *testing.T, path, want string) {
	t.Helper()
	m, err := Load(path)
	if err == nil {
		_, _, err = m.Check(gctest.GoBackend(t), m.ForwardAll, []shapes.Shape{shapes.Make(dtypes.Float32, 2, 12)}, 1<<30)
	}
	if err == nil || !strings.Contains(err.Error(), want) || !strings.HasPrefix(err.Error(), path+": ") ||
		strings.Contains(err.Error(), "\n") {
		t.Errorf("error %v; want one line with the path and %q", err, want)
	}
}

// network writes an ONNX file of these nodes, with x [batch, 12] for input and the value y for
// output.
func network(t *testing.T, weights []*protos.TensorProto, nodes ...*protos.NodeProto) string {
	t.Helper()
	return changed(t, "mlp.onnx", func(file *protos.ModelProto) {
		file.Graph.Node, file.Graph.Initializer = nodes, weights
		file.Graph.Output[0].Name = "y"
		file.Graph.ValueInfo = nil
	})
}

func node(op, inputs, output string, attributes ...*protos.AttributeProto) *protos.NodeProto {
	n := &protos.NodeProto{OpType: op, Name: "the " + output, Output: []string{output}, Attribute: attributes}
	if inputs != "" {
		n.Input = strings.Split(inputs, " ")
	}
	return n
}

func whole(name string, values ...int64) *protos.TensorProto {
	return &protos.TensorProto{Name: name, DataType: int32(protos.TensorProto_INT64), Dims: []int64{int64(len(values))},
		Int64Data: values}
}

func number(name string, value int64) *protos.AttributeProto {
	return &protos.AttributeProto{Name: name, Type: protos.AttributeProto_INT, I: value}
}

func axis(i int64) *protos.AttributeProto { return number("axis", i) }

func TestRefusedGraphs(t *testing.T) {
	branch := func(from string) *protos.AttributeProto {
		return &protos.AttributeProto{Name: "then_branch", Type: protos.AttributeProto_GRAPH, G: &protos.GraphProto{
			Node: []*protos.NodeProto{node("Tanh", from, "inner")}, Output: []*protos.ValueInfoProto{{Name: "inner"}}}}
	}
	long := []*protos.NodeProto{node("Tanh", "x", "v0")}
	for i := range maxNodes {
		long = append(long, node("Tanh", fmt.Sprint("v", i), fmt.Sprint("v", i+1)))
	}
	for _, tc := range []struct {
		name, want string
		nodes      []*protos.NodeProto
	}{
		{"a node on itself", "Add (the y) is part of a cycle", []*protos.NodeProto{node("Add", "x y", "y")}},
		{"two nodes on each other", "is part of a cycle",
			[]*protos.NodeProto{node("Add", "x b", "y"), node("Tanh", "y", "b")}},
		{"a cycle that no output needs", "is part of a cycle",
			[]*protos.NodeProto{node("Tanh", "x", "y"), node("Tanh", "b", "b")}},
		{"a branch on its own result", "If (the y) is part of a cycle",
			[]*protos.NodeProto{node("If", "x", "y", branch("y"))}},
		{"a branch on itself", "Tanh (the inner) is part of a cycle",
			[]*protos.NodeProto{node("If", "x", "y", branch("inner"))}},
		{"too few inputs", "Gemm (the y) lacks inputs: it has 1, and needs 2", []*protos.NodeProto{node("Gemm", "x", "y")}},
		{"an unnamed input", "MatMul (the y) lacks inputs: it has 1, and needs 2",
			[]*protos.NodeProto{node("MatMul", " x", "y")}},
		{"an unknown value", `operator Add (the y): nothing defines its input "z"`,
			[]*protos.NodeProto{node("Add", "x z", "y")}},
		{"an unknown value in a branch", `operator Tanh (the inner): nothing defines its input "z"`,
			[]*protos.NodeProto{node("If", "x", "y", branch("z"))}},
		{"a value defined twice", `operator Tanh (the y): its output "y" is defined twice`,
			[]*protos.NodeProto{node("Sin", "x", "y"), node("Tanh", "x", "y")}},
		{"no output", "has no output", []*protos.NodeProto{{OpType: "Tanh", Input: []string{"x"}}}},
		{"too many nodes", "more than 100000 nodes", long},
	} {
		t.Run(tc.name, func(t *testing.T) { assertRefused(t, network(t, nil, tc.nodes...), tc.want) })
	}
	for name, tc := range map[string]struct {
		want          string
		dims, indices []int64
		rank          int
	}{
		"an index beyond its dimensions":   {"the index 6 beyond the dimensions [2 3]", []int64{2, 3}, []int64{6}, 1},
		"a negative index":                 {"the index -1 beyond the dimensions [2 3]", []int64{2, 3}, []int64{0, -1}, 2},
		"an index beyond its row":          {"the index 3 beyond the dimensions [2 3]", []int64{2, 3}, []int64{1, 3}, 2},
		"more indices than values":         {"indices of the dimensions [2] for values of [1]", []int64{6}, []int64{0, 1}, 1},
		"dimensions that are not positive": {"the dimensions [0 3]", []int64{0, 3}, []int64{0}, 1},
		"more values than can be counted":  {"the dimensions [4294967296 8]", []int64{1 << 32, 8}, []int64{0}, 1},
	} {
		t.Run("a sparse Constant with "+name, func(t *testing.T) {
			positions := []int64{int64(len(tc.indices) / tc.rank), int64(tc.rank)}[:tc.rank]
			sparse := &protos.SparseTensorProto{Dims: tc.dims,
				Values:  &protos.TensorProto{DataType: int32(protos.TensorProto_FLOAT), Dims: []int64{1}, FloatData: []float32{2}},
				Indices: &protos.TensorProto{DataType: int32(protos.TensorProto_INT64), Dims: positions, Int64Data: tc.indices}}
			constant := &protos.AttributeProto{Name: "sparse_value", Type: protos.AttributeProto_SPARSE_TENSOR,
				SparseTensor: sparse}
			assertRefused(t, network(t, nil, node("Constant", "", "c", constant), node("Mul", "x c", "y")), tc.want)
		})
	}
	t.Run("an output of no type", func(t *testing.T) {
		assertRefused(t, changed(t, "mlp.onnx", func(file *protos.ModelProto) { file.Graph.Output[0].Type = nil }),
			"output logits is not a tensor")
	})
	t.Run("a weight of an unknown type", func(t *testing.T) {
		w := whole("w", 1)
		w.DataType = int32(protos.TensorProto_INT4)
		assertRefused(t, network(t, []*protos.TensorProto{w}, node("Add", "x w", "y")),
			"weight w is of type INT4, which is not supported")
	})
	t.Run("a stale shape", func(t *testing.T) {
		path := changed(t, "mlp.onnx", func(file *protos.ModelProto) {
			file.OpsetImport[0].Version = 11
			file.Graph.Initializer = []*protos.TensorProto{whole("s", -1, 3, 4)}
			file.Graph.Node = []*protos.NodeProto{node("Reshape", "x s", "r"), node("Tanh", "r", "h"),
				node("Softmax", "h", "y", axis(-2))}
			file.Graph.Output[0].Name = "y"
			h := proto.CloneOf(file.Graph.Input[0])
			h.Name = "h"
			file.Graph.ValueInfo = []*protos.ValueInfoProto{h}
		})
		assertRefused(t, path, "value h has shape (Float32)[2, 3, 4], but the file states 2 axes for it")
	})
	t.Run("a tensor that claims more than it has", func(t *testing.T) {
		w := whole("w", 1)
		w.Dims, w.Int64Data, w.RawData = []int64{1 << 40}, nil, []byte{1, 2, 3}
		assertRefused(t, network(t, []*protos.TensorProto{w}, node("Add", "x w", "y")),
			"takes 8796093022208 bytes, but comes with 3")
		constant := node("Constant", "", "c", &protos.AttributeProto{Name: "value", Type: protos.AttributeProto_TENSOR, T: w})
		assertRefused(t, network(t, nil, constant, node("Add", "x c", "y")), "operator Constant (the c): tensor w of shape")
	})
}

// TestMalformedNodes: faults in what the rewrites read are refused, and do not end the program.
func TestMalformedNodes(t *testing.T) {
	short, impossible, misplaced := whole("short", 1), whole("impossible", 1), whole("misplaced")
	short.Dims, impossible.Dims = []int64{3}, []int64{1, -1}
	misplaced.Dims, misplaced.Int32Data = []int64{1}, []int32{1}
	sliced := node("Slice", "x k k", "y")
	for _, tc := range []struct {
		name, want string
		nodes      []*protos.NodeProto
	}{
		{"a Gather of one input", "Gather (the g) lacks inputs",
			[]*protos.NodeProto{node("Gather", "x", "g"), node("Slice", "x g g", "y")}},
		{"a Gather of one input as a shape", "Gather (the g) lacks inputs", []*protos.NodeProto{node("Gather", "x", "g"),
			node("Reshape", "x g", "r"), node("Softmax", "r", "y", axis(-2))}},
		{"the size of the shape of nothing", "Shape (the s) lacks inputs",
			[]*protos.NodeProto{node("Shape", "", "s"), node("Size", "s", "k"), sliced}},
		{"a part of the shape of nothing", "Shape (the s) lacks inputs",
			[]*protos.NodeProto{node("Shape", "", "s"), node("Gather", "s zero", "k"), sliced}},
		{"a Cast of nothing", "Cast (the s) lacks inputs",
			[]*protos.NodeProto{node("Cast", "", "s"), node("Gather", "s zero", "k"), sliced}},
		{"a convolution without a kernel", "Conv (the c) lacks inputs",
			[]*protos.NodeProto{node("Conv", "x", "c"), node("Tanh", "c", "y")}},
		{"a list that is too short", "tensor short of shape [3] has 3 elements, but lists 1",
			[]*protos.NodeProto{node("Slice", "short zero three", "k"), sliced}},
		{"a list of another type", "tensor misplaced of shape [1] has 1 elements, but lists 0",
			[]*protos.NodeProto{node("Gather", "misplaced zero", "k"), sliced}},
		{"an impossible shape", "tensor impossible has the impossible shape [1 -1]",
			[]*protos.NodeProto{node("ScatterND", "x impossible x", "y")}},
		{"a BatchNormalization without an output", "BatchNormalization (the b) has no output",
			[]*protos.NodeProto{{OpType: "BatchNormalization", Name: "the b", Input: strings.Fields("x x x x x")}}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			weights := []*protos.TensorProto{whole("zero", 0), whole("three", 3)}
			for _, w := range []*protos.TensorProto{short, impossible, misplaced} {
				if strings.Contains(tc.want, "tensor "+w.Name) {
					weights = append(weights, w)
				}
			}
			assertRefused(t, network(t, weights, tc.nodes...), tc.want)
		})
	}
}

// What costs more than there is gets refused before it is tried, and what the importer trips over
// is an error.
func TestRefusedOnCheck(t *testing.T) {
	const limit = 1 << 30
	doubling := []*protos.NodeProto{node("Concat", "x x", "v0", axis(1))}
	for i := range 40 {
		doubling = append(doubling, node("Concat", fmt.Sprintf("v%d v%[1]d", i), fmt.Sprint("v", i+1), axis(1)))
	}
	doubling = append(doubling, node("Tanh", "v40", "y"))
	for _, tc := range []struct {
		name, want string
		weights    []*protos.TensorProto
		nodes      []*protos.NodeProto
	}{
		{"tile", "needs 106 TB for a value of shape (Float32)[1, 2, 1099511627776, 12] alone, and there are 1.07 GB",
			[]*protos.TensorProto{whole("n", 1, 1<<40)}, []*protos.NodeProto{node("Tile", "x n", "y")}},
		{"pad", "needs 8.8 TB", []*protos.TensorProto{whole("n", 0, 1<<40, 0, 0)},
			[]*protos.NodeProto{node("Pad", "x n", "y")}},
		{"expand", "needs 106 TB", []*protos.TensorProto{whole("n", 1<<40, 2, 12), whole("axes", 0)},
			[]*protos.NodeProto{node("Expand", "x n", "many"), node("ReduceMax", "many axes", "y", number("keepdims", 0))}},
		{"doubling", "GB for a value", nil, doubling},
		{"a constant that the importer would compute", "needs 8.8 TB",
			[]*protos.TensorProto{whole("n", 1<<40), whole("axes", 0)},
			[]*protos.NodeProto{
				node("ConstantOfShape", "n", "ones",
					&protos.AttributeProto{Name: "value", Type: protos.AttributeProto_TENSOR, T: whole("one", 1)}),
				node("ReduceMax", "ones axes", "most"), node("Expand", "x most", "y")}},
		{"attributes of another type", "Concat", nil, []*protos.NodeProto{node("Concat", "x x", "y",
			&protos.AttributeProto{Name: "axis", Type: protos.AttributeProto_STRING})}},
		{"an axis that is not there", "axis", nil, []*protos.NodeProto{node("Concat", "x x", "y", axis(1<<40))}},
		{"a negative size", "-5", []*protos.TensorProto{whole("n", 2, -5)}, []*protos.NodeProto{node("Reshape", "x n", "y")}},
		{"repeated less than never", "", []*protos.TensorProto{whole("n", 1, -3)},
			[]*protos.NodeProto{node("Tile", "x n", "y")}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			path := network(t, tc.weights, tc.nodes...)
			m := load(t, path)
			_, _, err := m.Check(gctest.GoBackend(t), m.ForwardAll, []shapes.Shape{shapes.Make(dtypes.Float32, 2, 12)}, limit)
			if err == nil || !strings.Contains(err.Error(), tc.want) || !strings.HasPrefix(err.Error(), path+": ") {
				t.Errorf("error %v; want %q", err, tc.want)
			}
		})
	}
}

// npy is an array file whose header says what it likes.
func npy(descr, shape string, data []byte) []byte {
	header := fmt.Sprintf("{'descr': '%s', 'fortran_order': False, 'shape': (%s), }\n", descr, shape)
	file := binary.LittleEndian.AppendUint16([]byte("\x93NUMPY\x01\x00"), uint16(len(header)))
	return append(append(file, header...), data...)
}

func TestRefusedArrayFiles(t *testing.T) {
	const limit = 1 << 20
	archive := func(files map[string][]byte) []byte {
		var b bytes.Buffer
		z := zip.NewWriter(&b)
		for name, data := range files {
			w, err := z.Create(name)
			if err == nil {
				_, err = w.Write(data)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		if err := z.Close(); err != nil {
			t.Fatal(err)
		}
		return b.Bytes()
	}
	two := npy("<f4", "2,", make([]byte, 8))
	bomb := npy("<f4", "1000000,", make([]byte, 4_000_000))
	corrupt := archive(map[string][]byte{"x.npy": npy("<f4", "200,", bytes.Repeat([]byte{1}, 800))})
	// The checksum in the member's description after its data.
	corrupt[bytes.Index(corrupt, []byte("PK\x07\x08"))+4] ^= 1
	corrupt[bytes.Index(corrupt, []byte("PK\x01\x02"))+16] ^= 1
	for name, tc := range map[string]struct {
		data []byte
		want string
	}{
		"huge.npy":     {npy("<f4", "1099511627776, 1", nil), "the array needs 4.4 TB, and the limit is 1.05 MB"},
		"overflow.npy": {npy("<f8", "9223372036854775807, 9223372036854775807", nil), "and the limit is 1.05 MB"},
		"short.npy":    {npy("<f4", "100,", make([]byte, 8)), "its header says 400 bytes, but there are only 8"},
		"negative.npy": {npy("<f4", "-2,", make([]byte, 8)), "impossible shape (-2,)"},
		"noshape.npy":  {[]byte("\x93NUMPY\x01\x00\x02\x00{}"), "names no shape"},
		"cut.npy":      {two[:20], "ends within its header"},
		"long.npy":     {[]byte("\x93NUMPY\x02\x00\xff\xff\xff\xff{}"), "4294967295 bytes long"},
		"empty.npy":    {nil, "not an array of NumPy's"},
		"big.npy":      {npy(">f4", "2,", make([]byte, 8)), "its numbers are big-endian: convert them with astype('<f4')"},
		"strings.npy":  {npy("<U4", "2,", make([]byte, 32)), "<U4"},
		"bomb.npz": {archive(map[string][]byte{"x.npy": bomb}),
			"array x: the array needs 4 MB, and the limit is 1.05 MB"},
		"longer.npz": {archive(map[string][]byte{"x.npy": append(slices.Clone(two), 1)}),
			"array x: there is more than its header says"},
		"corrupt.npz": {corrupt, "array x: zip: checksum error"},
		"none.npz":    {archive(nil), `no array "x" among these: `},
		"text.npz":    {[]byte("this is text"), "not a valid zip file"},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), name)
			writeFile(t, path, tc.data)
			_, err := ReadArray(path, "x", limit)
			if err == nil || !strings.Contains(err.Error(), tc.want) || !strings.HasPrefix(err.Error(), path+": ") {
				t.Errorf("error %v; want the path and %q", err, tc.want)
			}
		})
	}
	// Of several arrays only the one that was asked for is read.
	path := filepath.Join(t.TempDir(), "both.npz")
	writeFile(t, path, archive(map[string][]byte{"a.npy": bomb, "x.npy": two}))
	if x, err := ReadArray(path, "x", limit); err != nil || x.Shape().Size() != 2 {
		t.Errorf("array beside a large one: %v, %v", x, err)
	}
}

func TestLargestBatch(t *testing.T) {
	inputs, err := ReadArray(testdata("mlp_x.npy"), "x", 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	ds, err := NewArrays("a", []Column{{Values: inputs, DType: dtypes.Float32}}, nil, 0, math.MaxInt)
	if err != nil {
		t.Fatal(err)
	}
	batches := 0
	for batch, err := range ds.Iter() {
		batches++
		if err != nil || batch.Inputs[0].Shape().Dimensions[0] != 10 {
			t.Fatalf("batch %v, %v; want all 10 examples", batch.Inputs, err)
		}
	}
	if batches != 1 {
		t.Errorf("%d batches; want 1", batches)
	}
}
