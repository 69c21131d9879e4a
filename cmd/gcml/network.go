package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/ml/train"
	"github.com/spf13/cobra"

	"github.com/geometric-complexity/toolkit/backend"
	"github.com/geometric-complexity/toolkit/datasets"
	"github.com/geometric-complexity/toolkit/experiments/training"
	"github.com/geometric-complexity/toolkit/gcml"
	"github.com/geometric-complexity/toolkit/inspect"
	"github.com/geometric-complexity/toolkit/internal/onnxmodel"
)

// addExampleFlags adds the flags that say which examples a network is measured on, and how its
// inputs and outputs are read. measure, inspect and compare have them.
func addExampleFlags(cmd *cobra.Command, o *measureOptions) {
	f := cmd.Flags()
	f.StringArrayVar(&o.inputs, "inputs", nil,
		"`file` of examples for an ONNX network, of shape [examples, ...], .npy or .npz; with several inputs NAME=FILE for each")
	f.StringVar(&o.output, "output", "", "`node` of the ONNX network to measure (default: its first output)")
	f.StringVar(&o.wrt, "wrt", "",
		"`name` of the input or inner node of the ONNX network to take derivatives with respect to "+
			"(default: the only input of floats); the other inputs are held fixed")
	f.StringArrayVar(&o.batchAxes, "batch-axis", nil,
		"`axis` of the examples in the inputs and the output of the ONNX network, NAME=AXIS for one of them, "+
			"or NAME=none for an input that holds for all examples (default 0)")
	f.Float64Var(&o.arrayLimit, "array-limit", 4,
		"refuse arrays of --inputs and --labels of more than so many gigabytes (`GB`)")
	f.BoolVar(&o.softmax, "softmax", false, "measure the softmax of an output [batch, classes], the probabilities of a classifier")
	addProgress(cmd, &o.progress)
	f.StringVar(&o.dataset, "dataset", "", "`name` of the data set (default: the one that the run trained on)")
	o.split = datasets.Train.String()
	addChoice(cmd, f, &choice{"split", []string{datasets.Train.String(), datasets.Test.String()}, &o.split}, "split",
		"`part` of the data set: train or test")
	f.StringVar(&o.estimator, "estimator", "exact",
		"`estimator`: exact, projection:P, rademacher:N, gaussian:N or noise:SIGMA:N")
	f.IntVar(&o.examples, "examples", 0, "measure the first `n` examples only (default: all)")
	f.IntVar(&o.batch, "batch", training.DefaultBatchSize,
		"`number` of examples in a batch; without it fewer for an ONNX network that would not fit into memory")
	f.Int64Var(&o.seed, "seed", 0, "`seed` of the random estimators")
	complete(cmd, "dataset", completeDatasets)
	complete(cmd, "estimator", completeEstimator)
}

// check checks the flags of addExampleFlags, and parses two of them.
func (o measureOptions) check() (gcml.Estimator, datasets.Split, error) {
	estimator, err := gcml.ParseEstimator(o.estimator)
	if err != nil {
		return estimator, 0, usagef("--estimator: %w", err)
	}
	split, err := datasets.ParseSplit(o.split)
	if err != nil {
		return estimator, split, usageError{err}
	}
	if o.batch < 1 || o.examples < 0 {
		return estimator, split, usagef("--batch is %d and --examples is %d, want at least 1 and at least 0", o.batch,
			o.examples)
	}
	if !(o.arrayLimit > 0 && o.arrayLimit <= 1e9) {
		return estimator, split, usagef("--array-limit is %g, want a positive number of gigabytes", o.arrayLimit)
	}
	return estimator, split, nil
}

// checkSeed checks that a seed is used, for commands that draw numbers in the estimator alone: no
// network that they measure draws any.
func (o measureOptions) checkSeed(estimator gcml.Estimator) error {
	if o.given("seed") && estimator == gcml.Exact() {
		return usagef("--seed applies to random estimators only (--estimator), not to exact")
	}
	return nil
}

// checkONNXExamples checks that there is one source of examples for an ONNX network.
func (o measureOptions) checkONNXExamples(command string) error {
	if (len(o.inputs) == 0) == (o.dataset == "") {
		return usagef("%s wants either --inputs FILE (.npy or .npz) or --dataset NAME", command)
	}
	if o.labels != "" && len(o.inputs) == 0 {
		return usagef("--labels applies to --inputs only: a data set has labels of its own")
	}
	if o.given("split") && o.dataset == "" {
		return usagef("--split applies to --dataset only: arrays have no parts")
	}
	if o.given("array-limit") && len(o.inputs) == 0 {
		return usagef("--array-limit applies to --inputs only: a data set has no arrays of yours")
	}
	return nil
}

// checkRunFlags checks that no flag is given that applies to ONNX files only, for the runs of a
// folder.
func (o measureOptions) checkRunFlags(folder string) error {
	for _, name := range []string{"inputs", "labels", "output", "wrt", "batch-axis", "array-limit"} {
		if o.given(name) {
			return usagef("--%s applies to ONNX files only, not to runs (%s)", name, folder)
		}
	}
	return nil
}

// runDataset returns the examples for the network of a run.
func (o measureOptions) runDataset(t *training.Trained, split datasets.Split) (train.Dataset, error) {
	batch := 0
	if o.given("batch") {
		batch = o.batch
	}
	ds, err := t.Dataset(o.dataset, split, o.examples, batch)
	return ds, asUsage(err)
}

// onnxNetwork is an ONNX network with its examples.
type onnxNetwork struct {
	*onnxmodel.Model
	file    string
	axes    batchAxes
	ds      *memoryLimited
	arrange layout
	batch   int // the only batch size that it takes, or 0
	// mayFit allows to divide the batches: the network takes any, and no size was asked for.
	mayFit bool
}

// openONNX loads an ONNX network, o.onnx, and the examples for it.
func openONNX(o measureOptions, split datasets.Split) (*onnxNetwork, error) {
	network, err := onnxmodel.Load(o.onnx)
	if err != nil {
		return nil, err
	}
	if o.output != "" {
		if err := network.SetOutput(o.output); err != nil {
			return nil, usageError{err}
		}
	}
	if err := network.SetWithRespectTo(o.wrt); err != nil {
		return nil, usageError{fmt.Errorf("%w (--wrt)", err)}
	}
	n := &onnxNetwork{Model: network, file: o.onnx}
	if n.axes, err = parseBatchAxes(network, o.batchAxes); err != nil {
		return nil, err
	}
	ds, arrange, err := openExamples(network, &o, split, n.axes)
	if err != nil {
		return nil, err
	}
	n.ds, n.arrange = &memoryLimited{examples: ds}, arrange
	n.batch, err = network.BatchSize(n.axes.of)
	n.mayFit = n.batch == 0 && !o.given("batch")
	return n, err
}

// forward builds the output, and inner values by their names.
func (n *onnxNetwork) forward(scope *model.Scope, inputs []*graph.Node, inner ...string) []*graph.Node {
	values := n.ForwardValues(scope, n.axes.asNetworkHas(n.Model, n.arrange(inputs)), inner...)
	values[0] = n.axes.outputBatchFirst(values[0])
	return values
}

// check builds the network for the first batch, so that an operator that is not supported is an
// error before the work begins. Its note says if it divides the batches so that they fit into
// memory.
func (n *onnxNetwork) check(b compute.Backend) (found checked, err error) {
	forward := func(scope *model.Scope, inputs []*graph.Node) *graph.Node { return n.forward(scope, inputs)[0] }
	for batch, err := range n.ds.Iter() {
		if err != nil {
			return found, err
		}
		defer batch.Finalize()
		var inputs []shapes.Shape
		for _, in := range batch.Inputs {
			inputs = append(inputs, in.Shape())
		}
		outputs, bytes, err := n.Check(b, forward, inputs, memoryLimit())
		examples := inputs[0].Dimensions[0]
		found.outputs, found.bytes = outputs, bytes/float64(examples)
		if err == nil {
			err = n.CheckIndependence(b, forward, batch.Inputs, n.batch)
		}
		if axis := (*onnxmodel.AxisError)(nil); errors.As(err, &axis) {
			err = fmt.Errorf("%w (--batch-axis)", err)
		}
		if err == nil && n.mayFit {
			found.note = n.ds.fit(b, bytes, examples, memoryLimit())
		}
		return found, err
	}
	return found, fmt.Errorf("%s: no examples", n.ds.Name())
}

// maxLayers is the number of layers of an ONNX network that are measured.
const maxLayers = 16

// subject returns the network for package inspect, with its layers and its features, which the
// value of that name has; "" selects what the last dense layer takes.
func (n *onnxNetwork) subject(softmax bool, features string) (inspect.Subject, error) {
	layers, isDefault := thinned(n.Layers(), maxLayers), features == ""
	if features == "" && n.axes.isDefault() {
		features = n.Features()
	} else if features != "" {
		value, err := n.Value(features)
		if err != nil {
			return inspect.Subject{}, usageError{fmt.Errorf("%w (--features)", err)}
		}
		features = value
	}
	s := inspect.Subject{Name: n.file, Store: n.Store, Data: n.ds, BatchSize: n.batch, LayerNames: make(map[string]string),
		FeaturesOrOutputs: isDefault}
	s.Input, s.InputNode = n.WithRespectTo()
	var values, aliases []string
	for i, l := range layers {
		values, aliases = append(values, l.Value), append(aliases, fmt.Sprintf("layer%d", i))
		s.LayerNames[aliases[i]] = l.Name
		if l.Value == features {
			s.Features = aliases[i]
		}
	}
	if features != "" && s.Features == "" {
		s.Features = "features"
		values, aliases = append(values, features), append(aliases, s.Features)
		s.LayerNames[s.Features] = "features (" + features + ")"
	}
	s.Model = func(scope *model.Scope, _ any, inputs []*graph.Node) []*graph.Node {
		all := n.forward(scope, inputs, values...)
		for i, alias := range aliases {
			all[1+i].WithAlias(alias)
		}
		if softmax {
			return []*graph.Node{probabilities(all[0])}
		}
		return all[:1]
	}
	return s, nil
}

// probabilities returns the softmax over the classes of logits, [batch, classes]. It panics for
// another shape, whose classes may be on any axis, and for one class, whose probability is 1.
func probabilities(logits *graph.Node) *graph.Node {
	if dims := logits.Shape().Dimensions; len(dims) != 2 || dims[1] < 2 {
		panic(usagef("--softmax: the output has shape %v, want [batch, classes] with two classes or more: "+
			"for another one, export the network with its softmax", dims))
	}
	return graph.Softmax(logits, 1)
}

// thinned returns at most n elements, evenly spaced, with the first and the last among them.
func thinned[E any](all []E, n int) []E {
	if len(all) <= n {
		return all
	}
	kept := make([]E, n)
	for i := range kept {
		kept[i] = all[i*(len(all)-1)/(n-1)]
	}
	return kept
}

// runSubject returns the network of a run for package inspect.
func runSubject(name string, t *training.Trained, o measureOptions, split datasets.Split) (inspect.Subject, error) {
	ds, err := o.runDataset(t, split)
	if err != nil {
		return inspect.Subject{}, err
	}
	s := inspect.NewSubject(name, t.Store, func(scope *model.Scope, x *graph.Node) *graph.Node {
		if o.softmax {
			return probabilities(t.Model(scope, x))
		}
		return t.Model(scope, x)
	}, ds)
	s.InputNode = t.InputNode
	return s, nil
}

// openedNetwork is a network that a command line names.
type openedNetwork struct {
	inspect.Subject
	// check is called with the backend before the work. It refuses operators that are not
	// supported. What it returned is in found.
	check func(compute.Backend) (checked, error)
	found checked
	notes []string
}

// measured returns the network as a subject of GC alone, with the options that select its input.
func (n *openedNetwork) measured(examples int) subject {
	input := gcml.WithInput(n.Input)
	if n.InputNode != "" {
		input = gcml.WithInputNode(n.InputNode)
	}
	return subject{name: n.Name, store: n.Store, ds: n.Data, options: []gcml.Option{input}, examples: examples,
		batch: n.BatchSize, bytes: n.found.bytes}
}

// openNetwork opens the network at a path: an ONNX file, or the folder of a run at its newest
// checkpoint.
func openNetwork(command, path string, o measureOptions, split datasets.Split,
	features string) (*openedNetwork, error) {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, usagef("%s: no such file or folder: %s wants an ONNX file or the folder of a run, OUT/runs/ADDRESS",
			path, command)
	}
	if err != nil {
		return nil, err
	}
	if info.IsDir() {
		if features != "" {
			return nil, usagef("--features applies to ONNX files only")
		}
		if err := o.checkRunFlags(path); err != nil {
			return nil, err
		}
		trained, err := training.OpenRun(path)
		if err != nil {
			return nil, err
		}
		s, err := runSubject(path, trained, o, split)
		return &openedNetwork{Subject: s, check: checkOf(trained)}, err
	}
	if err := o.checkONNXExamples(command); err != nil {
		return nil, err
	}
	o.onnx = path
	network, err := openONNX(o, split)
	if err != nil {
		return nil, err
	}
	s, err := network.subject(o.softmax, features)
	return &openedNetwork{Subject: s, notes: network.Notes(), check: network.check}, err
}

// checkOf is for the network of a run: nothing of it is refused.
func checkOf(t *training.Trained) func(compute.Backend) (checked, error) {
	return func(compute.Backend) (checked, error) { return checked{outputs: t.Outputs}, nil }
}

// openBackendFor opens the backend, prints which it is and the notes on the networks, and checks
// that it can run them. The caller finalizes it.
func (a *app) openBackendFor(networks ...*openedNetwork) (compute.Backend, backend.Info, error) {
	b, info, err := backend.Open()
	if err != nil {
		return nil, info, err
	}
	fmt.Fprintln(a.stderr, info.Why)
	for _, n := range networks {
		show := func(note string) {
			if len(networks) > 1 {
				note = n.Name + ": " + note
			}
			fmt.Fprintln(a.stderr, "note:", note)
		}
		for _, note := range n.notes {
			show(note)
		}
		if n.found, err = n.check(b); err != nil {
			b.Finalize()
			return nil, info, err
		}
		if n.found.note != "" {
			show(n.found.note)
		}
	}
	return b, info, nil
}
