package main

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"

	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/core/tensors/numpy"

	"example.com/geometric-complexity/bench/proto"
)

// fixtureSeed makes weights and data; every fixture starts from it anew.
const fixtureSeed = 20221112

// problem is a network with its data, made once and read by every worker.
type problem struct {
	Model   string // "mlp" or "resnet18".
	Inputs  int    // mlp: number of inputs; resnet18: height and width of the 3-channel images.
	Hidden  int    // mlp: hidden layers.
	Width   int    // mlp: units of a hidden layer; resnet18: channels of the first stage.
	Outputs int
	Batch   int
	Norm    string // resnet18: "" or "batch".
}

// projections is how many random directions per example the projection tasks take.
const projections = 1

// Batch norm as the paper's ResNet18 has it (the values are PyTorch's defaults too).
const (
	normEpsilon  = 1e-5
	normMomentum = 0.9
)

// folder is the fixture's name: a hash of everything that shapes it, so that no stale fixture is ever read.
func (p problem) folder(cache string) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "v1 seed=%d p=%d eps=%g %+v", fixtureSeed, projections, normEpsilon, p))
	return filepath.Join(cache, fmt.Sprintf("%s-%s", p.Model, hex.EncodeToString(sum[:6])))
}

// write makes the fixture unless it is there, and returns its folder.
func (p problem) write(cache string) (string, error) {
	folder := p.folder(cache)
	if _, err := os.Stat(filepath.Join(folder, "manifest.json")); err == nil {
		return folder, nil
	}
	if err := os.MkdirAll(cache, 0o755); err != nil {
		return "", err
	}
	temp, err := os.MkdirTemp(cache, "new-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(temp)
	if err := p.writeTo(temp); err != nil {
		return "", fmt.Errorf("fixture %s: %w", folder, err)
	}
	if err := os.RemoveAll(folder); err != nil {
		return "", err
	}
	return folder, os.Rename(temp, folder)
}

func (p problem) writeTo(folder string) error {
	w := &fixtureWriter{folder: folder, rng: rand.New(rand.NewPCG(fixtureSeed, 0))}
	w.manifest = proto.Manifest{Model: p.Model, Outputs: p.Outputs, Batch: p.Batch, Width: p.Width, Norm: p.Norm,
		Projections: projections}
	inputs := []int{p.Batch, p.Inputs}
	if p.Model == "resnet18" {
		inputs = []int{p.Batch, p.Inputs, p.Inputs, 3}
	}
	w.save("x", inputs, w.normal(1))
	labels := make([]int32, p.Batch)
	for i := range labels {
		labels[i] = int32(w.rng.IntN(p.Outputs))
	}
	w.saveTensor("y", tensors.FromFlatDataAndDimensions(labels, p.Batch))
	w.save("directions", []int{p.Batch, projections, p.Outputs}, w.directions(projections, p.Outputs))
	if p.Model == "resnet18" {
		w.resnet18(p)
	} else {
		w.mlp(p)
	}
	if w.err != nil {
		return w.err
	}
	data, err := json.MarshalIndent(w.manifest, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(folder, "manifest.json"), data, 0o644)
}

// fixtureWriter draws arrays and saves them; the first error stays in err.
type fixtureWriter struct {
	folder   string
	rng      *rand.Rand
	manifest proto.Manifest
	err      error
}

// normal draws with mean 0 and the given standard deviation.
func (w *fixtureWriter) normal(deviation float64) func(i int) float32 {
	return func(int) float32 { return float32(deviation * w.rng.NormFloat64()) }
}

// around draws uniformly from center-radius to center+radius.
func (w *fixtureWriter) around(center, radius float64) func(i int) float32 {
	return func(int) float32 { return float32(center + radius*(2*w.rng.Float64()-1)) }
}

// directions draws, for each example, orthonormal rows of length n by Gram-Schmidt.
func (w *fixtureWriter) directions(rows, n int) func(i int) float32 {
	var block [][]float64
	return func(i int) float32 {
		if i%(rows*n) == 0 {
			block = orthonormal(w.rng, rows, n)
		}
		return float32(block[i%(rows*n)/n][i%n])
	}
}

func orthonormal(rng *rand.Rand, rows, n int) [][]float64 {
	block := make([][]float64, rows)
	for r := range block {
		v := make([]float64, n)
		for i := range v {
			v[i] = rng.NormFloat64()
		}
		for _, u := range block[:r] {
			dot := 0.0
			for i := range v {
				dot += u[i] * v[i]
			}
			for i := range v {
				v[i] -= dot * u[i]
			}
		}
		norm := 0.0
		for _, x := range v {
			norm += x * x
		}
		for i := range v {
			v[i] /= math.Sqrt(norm)
		}
		block[r] = v
	}
	return block
}

func (w *fixtureWriter) save(name string, shape []int, draw func(i int) float32) {
	size := 1
	for _, d := range shape {
		size *= d
	}
	flat := make([]float32, size)
	for i := range flat {
		flat[i] = draw(i)
	}
	w.saveTensor(name, tensors.FromFlatDataAndDimensions(flat, shape...))
}

func (w *fixtureWriter) saveTensor(name string, t *tensors.Tensor) {
	if w.err != nil {
		return
	}
	w.err = numpy.ToNpyFile(t, filepath.Join(w.folder, strings.ReplaceAll(name, "/", ".")+".npy"))
}

func (w *fixtureWriter) parameter(name string, trainable bool, draw func(i int) float32, shape ...int) {
	w.save(name, shape, draw)
	w.manifest.Parameters = append(w.manifest.Parameters, proto.Parameter{Name: name, Shape: shape, Trainable: trainable})
}

// mlp has He-normal weights and small random biases, so that no bias is a mere zero.
func (w *fixtureWriter) mlp(p problem) {
	w.manifest.Layers = p.Hidden + 1
	in := p.Inputs
	for i := range p.Hidden + 1 {
		out := p.Width
		if i == p.Hidden {
			out = p.Outputs
		}
		w.parameter(fmt.Sprintf("layer%d/weights", i), true, w.normal(math.Sqrt(2/float64(in))), in, out)
		w.parameter(fmt.Sprintf("layer%d/biases", i), true, w.normal(0.1), out)
		in = out
	}
}

// resnet18 has He-normal kernels, the second of a block halved so that the sums of the residual blocks do not grow
// out of hand without batch norm.
func (w *fixtureWriter) resnet18(p problem) {
	if p.Norm != "" {
		w.manifest.Epsilon, w.manifest.Momentum = normEpsilon, normMomentum
	}
	in := 3
	conv := func(name string, size, out int, scale float64) {
		deviation := scale * math.Sqrt(2/float64(size*size*in))
		w.parameter(name+"/weights", true, w.normal(deviation), size, size, in, out)
	}
	norm := func(name string, channels int) {
		if p.Norm == "" {
			return
		}
		w.parameter(name+"/scale", true, w.around(1, 0.2), channels)
		w.parameter(name+"/offset", true, w.around(0, 0.2), channels)
		w.parameter(name+"/mean", false, w.around(0, 0.2), channels)
		w.parameter(name+"/variance", false, w.around(1.5, 0.5), channels)
	}
	conv("stem/conv", 3, p.Width, 1)
	norm("stem/norm", p.Width)
	in = p.Width
	for stage := range 4 {
		out := p.Width << stage
		for block := range 2 {
			name := fmt.Sprintf("stage%d/block%d", stage, block)
			blockIn := in
			conv(name+"/conv1", 3, out, 1)
			norm(name+"/norm1", out)
			in = out
			conv(name+"/conv2", 3, out, 0.5)
			norm(name+"/norm2", out)
			if blockIn != out {
				in = blockIn
				conv(name+"/shortcut", 1, out, 0.7)
				norm(name+"/shortcut_norm", out)
				in = out
			}
		}
	}
	w.parameter("head/weights", true, w.normal(math.Sqrt(1/float64(in))), in, p.Outputs)
	w.parameter("head/biases", true, w.normal(0.1), p.Outputs)
}
