package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/ml/train"

	"github.com/geometric-complexity/toolkit/datasets"
	"github.com/geometric-complexity/toolkit/gcml"
	"github.com/geometric-complexity/toolkit/internal/machine"
	"github.com/geometric-complexity/toolkit/internal/onnxmodel"
)

// onnxMeasurement is the measurement of an ONNX file, as --json prints it.
type onnxMeasurement struct {
	File    string `json:"onnx"`
	Node    string `json:"node"`
	Softmax bool   `json:"softmax,omitempty"`
	Dataset string `json:"dataset"`
	gcml.Result
}

// examples is a data set of known size.
type examples interface {
	train.Dataset
	NumExamples() int
}

// layout rearranges the values of examples for a network. That leaves the GC as it is.
type layout = func(inputs []*graph.Node) []*graph.Node

func (a *app) measureONNX(ctx context.Context, o measureOptions, estimator gcml.Estimator, split datasets.Split) error {
	if err := o.checkONNXExamples("measure --onnx"); err != nil {
		return err
	}
	if o.perClass && len(o.inputs) > 0 && o.labels == "" {
		return usagef("--per-class with --inputs needs --labels FILE, the class of each example")
	}
	if o.labels != "" && !o.perClass {
		return usagef("--labels needs --per-class")
	}
	network, err := openONNX(o, split)
	if err != nil {
		return err
	}
	for _, note := range network.Notes() {
		fmt.Fprintln(a.stderr, "note:", note)
	}
	input, alias := network.WithRespectTo()
	options := []gcml.Option{gcml.WithInput(input)}
	if alias != "" {
		options = []gcml.Option{gcml.WithInputNode(alias)}
	}
	result, err := a.measureSubject(ctx, o, estimator, subject{
		name: o.onnx, store: network.Store, ds: network.ds, examples: network.ds.NumExamples(), options: options,
		batch: network.batch,
		model: func(scope *model.Scope, inputs []*graph.Node) *graph.Node { return network.forward(scope, inputs)[0] },
		check: network.check})
	if err != nil {
		return err
	}
	m := onnxMeasurement{File: o.onnx, Node: network.OutputName(), Softmax: o.softmax, Dataset: network.ds.Name(),
		Result: result}
	if o.json {
		return a.printJSON(m)
	}
	_, err = fmt.Fprint(a.stdout, m.text())
	return err
}

// openExamples reads the examples for a network. If the network was exported for one batch size,
// the batches have it.
func openExamples(network *onnxmodel.Model, o *measureOptions, split datasets.Split,
	axes batchAxes) (ds examples, arrange layout, err error) {
	fixed, err := network.BatchSize(axes.of)
	if err != nil {
		return nil, nil, err
	}
	if fixed > 0 {
		if o.given("batch") && o.batch != fixed {
			return nil, nil, usagef("--batch is %d, but %s was exported for batches of exactly %d: leave --batch out", o.batch, o.onnx, fixed)
		}
		o.batch = fixed
	}
	if len(o.inputs) > 0 {
		ds, err = openArrays(network, *o, axes)
		arrange = func(inputs []*graph.Node) []*graph.Node { return inputs }
	} else {
		ds, arrange, err = openImages(network, *o, split)
	}
	if err != nil {
		return nil, nil, err
	}
	if fixed > 0 && ds.NumExamples()%fixed != 0 {
		return nil, nil, fmt.Errorf("%s: the network was exported for batches of exactly %d, and there are %d examples: "+
			"give a multiple of %d, or export it with a dynamic batch axis", o.onnx, fixed, ds.NumExamples(), fixed)
	}
	return ds, arrange, nil
}

// openArrays reads an array for each input, and moves the axis of its examples to the front.
func openArrays(network *onnxmodel.Model, o measureOptions, axes batchAxes) (examples, error) {
	paths, err := inputFiles(network, o.inputs)
	if err != nil {
		return nil, err
	}
	var columns []onnxmodel.Column
	read := onnxmodel.ReadArray
	if len(o.inputs) == 1 && len(paths) > 1 { // One archive with an array of each input.
		read = onnxmodel.ReadMember
	}
	for _, path := range paths {
		in := network.Inputs()[len(columns)]
		values, err := readArray(read, path, in.Name, o)
		if err != nil {
			return nil, err
		}
		scalar := values.Shape().Rank() == 0 && in.Shape.Rank() == 0 && in.Name != network.InputName()
		if scalar || axes.of(in.Name) == noAxis {
			if err := setConstant(network, len(columns), values, path, o); err != nil {
				return nil, err
			}
			continue
		}
		column, err := openColumn(network, len(columns), values, path, axes, o)
		if err != nil {
			return nil, err
		}
		columns = append(columns, column)
	}
	var labels *tensors.Tensor
	if o.labels != "" {
		if labels, err = readArray(onnxmodel.ReadArray, o.labels, "labels", o); err != nil {
			return nil, err
		}
	}
	return onnxmodel.NewArrays(strings.Join(o.inputs, ", "), columns, labels, o.examples, o.batch)
}

// setConstant gives an input one array for all examples.
func setConstant(network *onnxmodel.Model, i int, values *tensors.Tensor, path string, o measureOptions) error {
	in := network.Inputs()[i]
	if dims := values.Shape().Dimensions; !in.Unshaped && !fits(dims, in.Shape.Dimensions, noAxis) {
		return fmt.Errorf("%s: the array has shape %v, but input %s of %s takes %s", path, dims, in.Name, o.onnx,
			dimensions(in.Shape.Dimensions, noAxis))
	}
	return network.SetConstant(i, values)
}

// openColumn checks the array of an input, and moves the axis of its examples to the front.
func openColumn(network *onnxmodel.Model, i int, values *tensors.Tensor, path string, axes batchAxes,
	o measureOptions) (onnxmodel.Column, error) {
	in := network.Inputs()[i]
	axis, dims := axes.of(in.Name), values.Shape().Dimensions
	switch {
	case in.Unshaped:
		if err := network.SetRank(i, len(dims)); err != nil {
			return onnxmodel.Column{}, err
		}
	case !fits(dims, in.Shape.Dimensions, axis):
		return onnxmodel.Column{}, fmt.Errorf("%s: the array has shape %v, but input %s of %s takes %s",
			path, dims, in.Name, o.onnx, dimensions(in.Shape.Dimensions, axis))
	}
	if err := network.CheckIndices(i, values); err != nil {
		return onnxmodel.Column{}, fmt.Errorf("%s: %w", path, err)
	}
	first, err := onnxmodel.BatchFirst(values, axis)
	if err != nil {
		return onnxmodel.Column{}, fmt.Errorf("%s: %w", path, err)
	}
	return onnxmodel.Column{Values: first, DType: in.Shape.DType}, nil
}

// readArray reads an array. If it is larger than the limit, the error says how to raise that.
func readArray(read func(path, name string, limit int64) (*tensors.Tensor, error), path, name string,
	o measureOptions) (*tensors.Tensor, error) {
	array, err := read(path, name, int64(o.arrayLimit*1e9))
	var tooLarge *onnxmodel.LimitError
	if errors.As(err, &tooLarge) {
		return nil, fmt.Errorf("%w: --array-limit GB raises it", err)
	}
	return array, err
}

// openImages reads a data set of images.
func openImages(network *onnxmodel.Model, o measureOptions, split datasets.Split) (examples, layout, error) {
	if !slices.Contains(datasets.Names(), o.dataset) {
		return nil, nil, unknownWord("data set", o.dataset, datasets.Names())
	}
	images, err := datasets.Load(o.dataset, split)
	if err != nil {
		return nil, nil, err
	}
	if o.examples > 0 {
		if images, err = images.First(o.examples); err != nil {
			return nil, nil, err
		}
	}
	if inputs := network.Inputs(); len(inputs) != 1 || inputs[0].Unshaped {
		return nil, nil, fmt.Errorf("%s has several inputs, or one of unknown shape: give --inputs instead of --dataset",
			o.onnx)
	}
	want := network.InputShape().Dimensions
	arrange := arrangeImages(images.H, images.W, images.C, want)
	if arrange == nil {
		return nil, nil, fmt.Errorf("%s: input %s takes %s, but the images of %s are [%d %d %d] (channels, height, width): "+
			"give --inputs instead", o.onnx, network.InputName(), dimensions(want, 0), o.dataset, images.C, images.H, images.W)
	}
	ds, err := datasets.NewBatches(images, o.batch).Format(datasets.Format{DType: network.InputShape().DType}).Done()
	return ds, func(inputs []*graph.Node) []*graph.Node { return []*graph.Node{arrange(inputs[0])} }, err
}

// arrangeImages returns a function that rearranges images [batch, h, w, c] to the dimensions want:
// with channels first, as in PyTorch, which it prefers where several fit; with channels last;
// without the axis of a single channel; or flat, with channels first. If none of these fits, it
// returns nil.
func arrangeImages(h, w, c int, want []int) func(x *graph.Node) *graph.Node {
	channelsFirst := func(x *graph.Node) *graph.Node { return graph.TransposeAllAxes(x, 0, 3, 1, 2) }
	switch {
	case fits([]int{-1, c, h, w}, want, 0):
		return channelsFirst
	case fits([]int{-1, h, w, c}, want, 0):
		return func(x *graph.Node) *graph.Node { return x }
	case fits([]int{-1, h, w}, want, 0) && c == 1:
		return func(x *graph.Node) *graph.Node { return graph.Reshape(x, -1, h, w) }
	case fits([]int{-1, h * w * c}, want, 0):
		return func(x *graph.Node) *graph.Node { return graph.Reshape(channelsFirst(x), -1, h*w*c) }
	}
	return nil
}

// fits reports whether an input of dimensions want takes an array of dimensions got. The axis of
// the examples, and an axis of -1, may have any size.
func fits(got, want []int, axis int) bool {
	if len(got) != len(want) {
		return false
	}
	for i := range got {
		if i != axis && want[i] >= 0 && got[i] != want[i] {
			return false
		}
	}
	return true
}

// dimensions formats the shape of an input, such as [any 3 32 32].
func dimensions(dims []int, axis int) string {
	words := make([]string, len(dims))
	for i, d := range dims {
		words[i] = strconv.Itoa(d)
		if d < 0 || i == axis {
			words[i] = "any"
		}
	}
	return "[" + strings.Join(words, " ") + "]"
}

// memoryLimit returns the memory of the machine, in bytes: no value of a network may be larger.
func memoryLimit() int64 {
	if memory, ok := machine.Memory(); ok {
		return memory
	}
	return 1 << 40 // Larger than the memory of any machine whose size is unknown.
}

func (m onnxMeasurement) text() string {
	of := m.Node
	if m.Softmax {
		of = "softmax of " + of
	}
	return writeMeasurement(m.Result, m.Dataset, fmt.Sprintf("network %s, output %s, ", m.File, of))
}
