package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"example.com/geometric-complexity/datasets"
	"example.com/geometric-complexity/experiments"
	"example.com/geometric-complexity/gcml"
	"example.com/geometric-complexity/internal/backend"
)

// measureOptions are the flags of measure.
type measureOptions struct {
	checkpoint, onnx, dataset, split, estimator string
	inputs, labels, output, progress            string // With onnx alone.
	softmax                                     bool   // With onnx alone.
	examples, batch                             int
	seed                                        int64
	perClass, json                              bool
}

func (a *app) measureCommand() *cobra.Command {
	var o measureOptions
	cmd := &cobra.Command{
		Use:   "measure --checkpoint DIR|--onnx FILE",
		Short: "Measure the geometric complexity of a trained network or an ONNX file",
		Long: "measure gives the geometric complexity of the network that a run left, or of any network\n" +
			"in an ONNX file: the mean over examples of the squared Frobenius norm of the outputs'\n" +
			"Jacobian, with its standard error.\n\n" +
			"An ONNX file is measured on the arrays of --inputs, taken as they are, or on the images of\n" +
			"--dataset with pixels in [0, 1]. If the network wants them prepared in another way, save them\n" +
			"so with numpy.save and give them by --inputs.",
		Example: "  gcml measure --checkpoint out/demo/runs/0123456789abcdef --split test\n" +
			"  gcml measure --checkpoint DIR --dataset fashion-mnist --estimator projection:3 --json\n" +
			"  gcml measure --onnx model.onnx --inputs x.npy --labels y.npy --per-class\n" +
			"  gcml measure --onnx model.onnx --dataset fashion-mnist --split test --examples 500 --softmax",
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.measure(cmd.Context(), o) },
	}
	f := cmd.Flags()
	f.StringVar(&o.checkpoint, "checkpoint", "", "`folder` of a run, OUT/runs/ADDRESS")
	f.StringVar(&o.onnx, "onnx", "", "`file` of a network in the ONNX format")
	f.StringVar(&o.inputs, "inputs", "", "`file` of examples for --onnx, [examples, ...], .npy or .npz")
	f.StringVar(&o.labels, "labels", "", "`file` of whole numbers, the classes of the examples of --inputs, .npy or .npz")
	f.StringVar(&o.output, "output", "", "`node` of --onnx to take as the output (default: the network's first output)")
	f.BoolVar(&o.softmax, "softmax", false, "measure the softmax of the output of --onnx")
	f.StringVar(&o.progress, "progress", "auto", "`how` to show progress with --onnx: auto, bar, lines or none")
	f.StringVar(&o.dataset, "dataset", "", "`name` of the data set (default: the one that the network was trained on)")
	f.StringVar(&o.split, "split", "train", "`part` of the data set: train or test")
	f.StringVar(&o.estimator, "estimator", "exact", "`estimator`: exact, projection:P, rademacher:N, gaussian:N or noise:SIGMA:N")
	f.IntVar(&o.examples, "examples", 0, "measure on the first `n` examples only (default: all)")
	f.IntVar(&o.batch, "batch", 500, "`n` examples at once")
	f.Int64Var(&o.seed, "seed", 0, "`seed` of a random estimator")
	f.BoolVar(&o.perClass, "per-class", false, "also for the examples of each class")
	f.BoolVar(&o.json, "json", false, "print as JSON")
	return cmd
}

// measurement is what measure prints.
type measurement struct {
	Checkpoint string `json:"checkpoint"`
	Step       int64  `json:"step"`
	Dataset    string `json:"dataset"`
	gcml.Result
}

func (a *app) measure(ctx context.Context, o measureOptions) error {
	if (o.checkpoint == "") == (o.onnx == "") {
		return usagef("measure wants --checkpoint DIR, the folder of a run, or --onnx FILE")
	}
	estimator, err := gcml.ParseEstimator(o.estimator)
	if err != nil {
		return usagef("--estimator: %w", err)
	}
	split, err := datasets.ParseSplit(o.split)
	if err != nil {
		return unknownWord("split", o.split, []string{"train", "test"})
	}
	if o.batch < 1 || o.examples < 0 {
		return usagef("--batch must be at least 1 and --examples at least 0")
	}
	if o.onnx != "" {
		return a.measureONNX(ctx, o, estimator, split)
	}
	if o.inputs != "" || o.labels != "" || o.output != "" || o.softmax {
		return usagef("--inputs, --labels, --output and --softmax go with --onnx, not with --checkpoint")
	}
	trained, err := experiments.OpenRun(o.checkpoint)
	if err != nil {
		return err
	}
	ds, err := trained.Dataset(o.dataset, split, o.examples, o.batch)
	if err != nil {
		return asUsage(err)
	}
	b, info, err := backend.Open()
	if err != nil {
		return err
	}
	defer b.Finalize()
	fmt.Fprintln(a.stderr, info.Why)
	opts := []gcml.Option{gcml.WithEstimator(estimator), gcml.WithSeed(o.seed)}
	if o.perClass {
		opts = append(opts, gcml.WithPerClass())
	}
	result, err := gcml.Measure(ctx, b, trained.Store, trained.Model, ds, opts...)
	if err != nil {
		return err
	}
	m := measurement{Checkpoint: o.checkpoint, Step: trained.Step, Dataset: ds.Name(), Result: result}
	m.Backend = info.ResultName()
	if o.json {
		return a.printJSON(m)
	}
	_, err = fmt.Fprint(a.stdout, m.text())
	return err
}

func (m measurement) text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "GC %.6g ± %.2g (standard error) over %d examples of %s\n", m.GC, m.StdErr, m.Examples, m.Dataset)
	fmt.Fprintf(&b, "estimator %s, backend %s, step %d, Jacobian %d x %d\n", m.Estimator, m.Backend, m.Step, m.Outputs, m.Inputs)
	writeClasses(&b, m.PerClass)
	return b.String()
}

func writeClasses(b *strings.Builder, classes []gcml.ClassResult) {
	for _, c := range classes {
		fmt.Fprintf(b, "class %d: GC %.6g ± %.2g over %d examples\n", c.Class, c.GC, c.StdErr, c.Examples)
	}
}
