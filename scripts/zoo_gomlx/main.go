//go:build onnx

// Command zoo_gomlx writes networks of GoMLX's and this toolkit's layers by GoMLX's own ONNX
// exporter, and compares the GC of the files with that of the networks themselves:
//
//	go run -tags onnx ./scripts/zoo_gomlx DIR [TABLE]
//
// ONNXRUNTIME_SHARED_LIBRARY_PATH names the library of ONNX Runtime, which the exporter needs.
package main

import (
	"context"
	"fmt"
	"iter"
	"log"
	"math"
	"os"
	"path/filepath"

	"github.com/gomlx/compute"
	onnxbackend "github.com/gomlx/compute-onnx"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	gomlxlayers "github.com/gomlx/gomlx/ml/layers"
	"github.com/gomlx/gomlx/ml/layers/activation"
	"github.com/gomlx/gomlx/ml/layers/attention"
	"github.com/gomlx/gomlx/ml/layers/norm"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/ml/model/onnx"
	"github.com/gomlx/gomlx/ml/train"

	"github.com/geometric-complexity/toolkit/backend"
	"github.com/geometric-complexity/toolkit/gcml"
	"github.com/geometric-complexity/toolkit/internal/onnxmodel"
	"github.com/geometric-complexity/toolkit/layers"
)

// network is a model function with the dimensions of an example's input.
type network struct {
	name  string
	input []int
	model func(scope *model.Scope, x *graph.Node) *graph.Node
}

const examples = 3

var networks = []network{
	{"MLP of this toolkit", []int{12}, func(scope *model.Scope, x *graph.Node) *graph.Node {
		return layers.MLP(scope, x).Hidden(2, 16).Activation(activation.TypeTanh).Outputs(4).Done()
	}},
	{"ResNet18 of this toolkit, width 4", []int{16, 16, 3}, func(scope *model.Scope, x *graph.Node) *graph.Node {
		return layers.ResNet18(scope, x).Width(4).Outputs(5).Done()
	}},
	{"VGG13 of this toolkit, width 4", []int{32, 32, 3}, func(scope *model.Scope, x *graph.Node) *graph.Node {
		return layers.VGG13(scope, x).Width(4).Outputs(5).Done()
	}},
	{"GoMLX's convolutions and pools", []int{12, 12, 3}, func(scope *model.Scope, x *graph.Node) *graph.Node {
		x = gomlxlayers.Convolution(scope.In("first"), x).Channels(6).KernelSize(3).PadSame().Done()
		x = graph.MaxPool(activation.Gelu(x)).Window(2).Done()
		x = gomlxlayers.Convolution(scope.In("second"), x).Channels(8).KernelSize(3).Strides(2).Done()
		x = graph.MeanPool(activation.Swish(x)).Window(2).Done()
		return gomlxlayers.Dense(scope.In("readout"), graph.Reshape(x, x.Shape().Dim(0), -1), true, 5)
	}},
	{"GoMLX's attention and layer norm", []int{6, 8}, func(scope *model.Scope, x *graph.Node) *graph.Node {
		y := attention.SelfAttention(scope.In("attention"), x, 2, 4).Done()
		y = norm.LayerNorm(scope.In("norm"), graph.Add(x, y), -1).Done()
		return gomlxlayers.Dense(scope.In("readout"), graph.ReduceMean(y, 1), true, 3)
	}},
}

// once is a data set of one batch.
type once struct{ x *tensors.Tensor }

func (once) Name() string { return "random inputs" }

func (o once) Iter() iter.Seq2[train.Batch, error] {
	return func(yield func(train.Batch, error) bool) {
		x, err := o.x.Clone()
		yield(train.Batch{Inputs: []*tensors.Tensor{x}}, err)
	}
}

// inputs are numbers that look random, the same each time.
func inputs(dims []int) *tensors.Tensor {
	shape := shapes.Make(dtypes.Float32, append([]int{examples}, dims...)...)
	values := make([]float32, shape.Size())
	for i := range values {
		values[i] = float32(1.5 * math.Sin(float64(i*i+7*i)))
	}
	return tensors.FromFlatDataAndDimensions(values, shape.Dimensions...)
}

// row measures a network as it is and by its file.
func row(b compute.Backend, n network, folder string) (string, error) {
	store := model.NewStore()
	if err := store.SetRNGStateFromSeed(1); err != nil {
		return "", err
	}
	x := inputs(n.input)
	want, err := gcml.Measure(context.Background(), b, store, n.model, once{x})
	if err != nil {
		return "", err
	}
	path := filepath.Join(folder, "gomlx.onnx")
	cell := func(text string) string { return fmt.Sprintf("| %s | %.6g | %s |", n.name, want.GC, text) }
	if err := export(n, store, x.Shape(), path); err != nil {
		return "", err
	}
	m, err := onnxmodel.Load(path)
	if err != nil {
		return cell(err.Error() + " | "), nil
	}
	got, err := gcml.Measure(context.Background(), b, m.Store, m.Forward, once{x})
	if err != nil {
		return cell(err.Error() + " | "), nil
	}
	return cell(fmt.Sprintf("%.6g | %.0e", got.GC, math.Abs(got.GC/want.GC-1))), nil
}

// export writes the file of a network with the weights of a store.
func export(n network, store *model.Store, shape shapes.Shape, path string) error {
	b, err := onnxbackend.New("cpu")
	if err != nil {
		return err
	}
	defer b.Finalize()
	exec, err := model.NewExec(b, store, n.model)
	if err != nil {
		return err
	}
	defer exec.Finalize()
	return onnx.SaveToFile(b, exec, path, []shapes.Shape{shape}, []string{"x"}, []string{"y"})
}

const head = `# Networks that GoMLX exported to ONNX

For those who exchange networks between GoMLX and other frameworks: small networks with random weights, on three inputs. GC is
measured exactly in float32 on %s, of the network in GoMLX, and of the file that GoMLX's own exporter (package
ml/model/onnx, tag onnx) writes of it. Made by ` + "`make zoo-gomlx`" + `; do not edit.

| network | GC in GoMLX | GC of the file | difference |
|---|---|---|---|
`

func run(folder, table string) error {
	b, info, err := backend.Open()
	if err != nil {
		return err
	}
	defer b.Finalize()
	page := fmt.Sprintf(head, info.ResultName())
	for _, n := range networks {
		line, err := row(b, n, folder)
		if err != nil {
			return fmt.Errorf("%s: %w", n.name, err)
		}
		fmt.Println(line)
		page += line + "\n"
	}
	if table == "" {
		return nil
	}
	return os.WriteFile(table, []byte(page), 0o644)
}

func main() {
	if len(os.Args) < 2 || len(os.Args) > 3 {
		log.Fatal("usage: zoo_gomlx DIR [TABLE]")
	}
	table := ""
	if len(os.Args) == 3 {
		table = os.Args[2]
	}
	if err := run(os.Args[1], table); err != nil {
		log.Fatal(err)
	}
}
