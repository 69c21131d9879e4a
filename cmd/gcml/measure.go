package main

import (
	"context"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/gomlx/compute"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/ml/train"
	"github.com/spf13/cobra"

	"github.com/geometric-complexity/toolkit/backend"
	"github.com/geometric-complexity/toolkit/datasets"
	"github.com/geometric-complexity/toolkit/experiments/training"
	"github.com/geometric-complexity/toolkit/gcml"
)

// measureOptions are the flags of measure.
type measureOptions struct {
	checkpoint, onnx, dataset, split, estimator string
	labels, output, wrt                         string // With onnx alone.
	inputs, batchAxes                           []string
	progress                                    string
	examples, batch                             int
	seed                                        int64
	arrayLimit                                  float64 // GB
	softmax, perClass, spectralNorm, json       bool
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
			"so with numpy.save and give them by --inputs. Weights that the network keeps in files of\n" +
			"their own are read from its folder, and from nowhere else.",
		Example: "  gcml measure --checkpoint out/demo/runs/0123456789abcdef --split test\n" +
			"  gcml measure --checkpoint DIR --dataset fashion-mnist --estimator projection:3 --json\n" +
			"  gcml measure --onnx model.onnx --inputs x.npy --labels y.npy --per-class\n" +
			"  gcml measure --onnx model.onnx --dataset fashion-mnist --split test --examples 500 --softmax\n" +
			"  gcml measure --onnx bert.onnx --inputs ids=ids.npy --inputs mask=mask.npy --wrt embeddings",
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.measure(cmd.Context(), o) },
	}
	f := cmd.Flags()
	f.StringVar(&o.checkpoint, "checkpoint", "", "`folder` of a run, OUT/runs/ADDRESS")
	f.StringVar(&o.onnx, "onnx", "", "`file` of a network in the ONNX format")
	f.StringArrayVar(&o.inputs, "inputs", nil,
		"`file` of examples for --onnx, [examples, ...], .npy or .npz; NAME=FILE for each input if there are several")
	f.StringVar(&o.labels, "labels", "", "`file` of whole numbers, the classes of the examples of --inputs, .npy or .npz")
	f.StringVar(&o.output, "output", "", "`node` of --onnx to take as the output (default: the network's first output)")
	f.StringVar(&o.wrt, "wrt", "",
		"`name` of the input or inner node of --onnx with respect to which derivatives are taken "+
			"(default: the only input of floats); all else is held fixed")
	f.StringArrayVar(&o.batchAxes, "batch-axis", nil,
		"`axis` of the examples in the inputs and the output of --onnx, or NAME=AXIS for one of them (default 0)")
	f.Float64Var(&o.arrayLimit, "array-limit", 4, "refuse arrays of --inputs and --labels of more than `GB` gigabytes")
	f.BoolVar(&o.softmax, "softmax", false, "measure the softmax of the output, the probabilities of a classifier")
	addProgress(cmd, &o.progress)
	f.StringVar(&o.dataset, "dataset", "", "`name` of the data set (default: the one that the network was trained on)")
	o.split = datasets.Train.String()
	addChoice(cmd, f, &choice{"split", []string{datasets.Train.String(), datasets.Test.String()}, &o.split}, "split",
		"`part` of the data set: train or test")
	f.StringVar(&o.estimator, "estimator", "exact",
		"`estimator`: exact, projection:P, rademacher:N, gaussian:N or noise:SIGMA:N")
	f.IntVar(&o.examples, "examples", 0, "measure on the first `n` examples only (default: all)")
	f.IntVar(&o.batch, "batch", 500, "`n` examples at once")
	f.Int64Var(&o.seed, "seed", 0, "`seed` of a random estimator")
	f.BoolVar(&o.perClass, "per-class", false, "also for the examples of each class")
	f.BoolVar(&o.spectralNorm, "spectral-norm", false,
		"also the largest singular value of the Jacobians and their stable rank")
	f.BoolVar(&o.json, "json", false, "print as JSON")
	completeFolders(cmd, "checkpoint")
	complete(cmd, "dataset", completeDatasets)
	complete(cmd, "estimator", completeEstimator)
	return cmd
}

// completeEstimator completes the kind of an estimator, whose numbers follow a colon.
func completeEstimator(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	return []string{"exact", "projection:", "rademacher:", "gaussian:", "noise:"},
		cobra.ShellCompDirectiveNoSpace | cobra.ShellCompDirectiveNoFileComp
}

// subject is a network and the examples that it is measured on.
type subject struct {
	name  string // for messages and the progress display
	store *model.Store
	model func(scope *model.Scope, inputs []*graph.Node) *graph.Node
	ds    train.Dataset
	// options say which input derivatives are taken with respect to.
	options []gcml.Option
	// examples is how many ds has, 0 if it does not say.
	examples int
	// countOutputs is asked before the work begins.
	countOutputs func(compute.Backend) (int, error)
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
		return usageError{err}
	}
	if o.batch < 1 || o.examples < 0 {
		return usagef("--batch must be at least 1 and --examples at least 0")
	}
	if !(o.arrayLimit > 0 && o.arrayLimit <= 1e9) {
		return usagef("--array-limit %g is not a number of gigabytes", o.arrayLimit)
	}
	if o.onnx != "" {
		return a.measureONNX(ctx, o, estimator, split)
	}
	return a.measureCheckpoint(ctx, o, estimator, split)
}

// measureSubject opens the backend, says what the work is, and does it.
func (a *app) measureSubject(ctx context.Context, o measureOptions, estimator gcml.Estimator,
	s subject) (gcml.Result, error) {
	progress, err := a.newProgress(o.progress)
	if err != nil {
		return gcml.Result{}, err
	}
	b, info, err := backend.Open()
	if err != nil {
		return gcml.Result{}, err
	}
	defer b.Finalize()
	fmt.Fprintln(a.stderr, info.Why)
	outputs, err := s.countOutputs(b)
	if err != nil {
		return gcml.Result{}, err
	}
	opts := append([]gcml.Option{gcml.WithEstimator(estimator), gcml.WithSeed(o.seed)}, s.options...)
	if o.perClass {
		opts = append(opts, gcml.WithPerClass())
	}
	if o.spectralNorm {
		opts = append(opts, gcml.WithSpectralNorm())
	}
	if o.softmax {
		opts = append(opts, gcml.WithTransform(func(logits *graph.Node) *graph.Node { return graph.Softmax(logits) }))
	}
	if s.examples > 0 {
		work, err := cost(estimator, s.examples, outputs)
		if err != nil {
			return gcml.Result{}, err
		}
		fmt.Fprintln(a.stderr, work)
		if estimator.String() == "exact" && outputs > manyOutputs {
			fmt.Fprintf(a.stderr, "note: --estimator projection:64 takes %.2g of this work, and estimates the same without bias\n",
				64/float64(outputs))
		}
	}
	if progress != nil && s.examples > 0 {
		progress.Start(int64(s.examples), "measuring")
		progress.Describe(filepath.Base(s.name))
		defer progress.Finish()
		last := 0
		opts = append(opts, gcml.WithProgress(func(done int) { progress.Add(int64(done - last)); last = done }))
	}
	fn := func(scope *model.Scope, _ any, inputs []*graph.Node) []*graph.Node {
		return []*graph.Node{s.model(scope, inputs)}
	}
	result, err := gcml.Measure(ctx, b, s.store, fn, s.ds, opts...)
	if ctx.Err() != nil {
		return gcml.Result{}, interruption("interrupted; nothing is kept of a measurement")
	}
	if err != nil {
		return gcml.Result{}, fmt.Errorf("%s: %w", s.name, err)
	}
	result.Backend = info.ResultName()
	return result, nil
}

// manyOutputs is from where on a projection is suggested: the exact value takes a product for each.
const manyOutputs = 1000

// A measurement of more than these is a slip of the pen: it would take years, and with that many
// directions the graph alone more memory than there is.
const (
	maxProducts   = 1e13
	maxDirections = 1e6
)

// cost says how much work a measurement is, or that it is too much.
func cost(e gcml.Estimator, examples, outputs int) (string, error) {
	kind, count, _ := strings.Cut(e.String(), ":")
	each, what, unit := outputs, "outputs", "vector-Jacobian products"
	if kind == "noise" {
		_, count, _ = strings.Cut(count, ":")
	}
	if kind != "exact" {
		each, _ = strconv.Atoi(count) // String writes a number.
		what = "directions"
	}
	if kind == "noise" {
		what, unit = "samples", "evaluations"
	}
	if kind != "exact" && float64(each) > maxDirections {
		return "", usagef("--estimator %s: at most %.0f %s are supported", e, maxDirections, what)
	}
	if kind == "noise" {
		each, what = each+1, fmt.Sprintf("(1 + %d samples)", each)
	} else {
		what = fmt.Sprintf("%d %s", each, what)
	}
	total := float64(examples) * float64(each)
	if total > maxProducts {
		return "", fmt.Errorf("needs %.2g %s (%d examples x %s): "+
			"choose fewer --examples, another --output, or an estimator with fewer directions",
			total, unit, examples, what)
	}
	return fmt.Sprintf("cost: %.0f %s (%d examples x %s)", total, unit, examples, what), nil
}

// checkpointMeasurement is what measure prints of a run's network.
type checkpointMeasurement struct {
	Checkpoint string `json:"checkpoint"`
	Step       int64  `json:"step"`
	Softmax    bool   `json:"softmax,omitempty"`
	Dataset    string `json:"dataset"`
	gcml.Result
}

func (a *app) measureCheckpoint(ctx context.Context, o measureOptions, estimator gcml.Estimator,
	split datasets.Split) error {
	if len(o.inputs) > 0 || o.labels != "" || o.output != "" || o.wrt != "" || len(o.batchAxes) > 0 {
		return usagef("--inputs, --labels, --output, --wrt and --batch-axis go with --onnx, not with --checkpoint")
	}
	trained, err := training.OpenRun(o.checkpoint)
	if err != nil {
		return err
	}
	ds, err := trained.Dataset(o.dataset, split, o.examples, o.batch)
	if err != nil {
		return asUsage(err)
	}
	network := func(scope *model.Scope, inputs []*graph.Node) *graph.Node { return trained.Model(scope, inputs[0]) }
	s := subject{name: o.checkpoint, store: trained.Store, model: network, ds: ds,
		countOutputs: func(compute.Backend) (int, error) { return trained.Outputs, nil }}
	if sized, ok := ds.(interface{ NumExamples() int }); ok {
		s.examples = sized.NumExamples()
	}
	result, err := a.measureSubject(ctx, o, estimator, s)
	if err != nil {
		return err
	}
	m := checkpointMeasurement{Checkpoint: o.checkpoint, Step: trained.Step, Softmax: o.softmax, Dataset: ds.Name(),
		Result: result}
	if o.json {
		return a.printJSON(m)
	}
	_, err = fmt.Fprint(a.stdout, m.text())
	return err
}

func (m checkpointMeasurement) text() string {
	of := ""
	if m.Softmax {
		of = "softmax of the logits, "
	}
	return writeMeasurement(m.Result, m.Dataset, fmt.Sprintf("step %d, %s", m.Step, of))
}

// writeMeasurement is a result for people; what says what was measured, and ends in a comma.
func writeMeasurement(r gcml.Result, dataset, what string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "GC %s (standard error) over %d examples of %s\n", plusMinus(r.GC, r.StdErr), r.Examples, dataset)
	if low, high := r.Interval(intervalLevel); r.StdErr.IsKnown() {
		fmt.Fprintf(&b, "%g %% interval %.4g to %.4g (Student's t)\n", 100*intervalLevel, low, high)
	}
	q := r.Quantiles
	fmt.Fprintf(&b, "squared norms of the examples: median %.4g, 90 %% of them from %.4g to %.4g, largest %.4g\n",
		q.Median, q.P5, q.P95, q.Max)
	fmt.Fprintf(&b, "%sestimator %s, backend %s, Jacobian %d x %d\n", what, r.Estimator, r.Backend, r.Outputs, r.Inputs)
	if s := r.Spectrum; s != nil {
		fmt.Fprintf(&b, "largest singular value %s, the largest of them (Lipschitz constant) %.6g\n",
			plusMinus(s.Norm, s.NormStdErr), s.Largest)
		fmt.Fprintf(&b, "stable rank %s\n", plusMinus(s.StableRank, s.StableRankStdErr))
		if s.LanczosSteps > 0 {
			fmt.Fprintf(&b, "singular values are lower bounds: %d Lanczos steps, relative residual up to %.2g\n", s.LanczosSteps,
				s.Residual)
		}
	}
	for _, c := range r.PerClass {
		fmt.Fprintf(&b, "class %d: GC %s over %d examples\n", c.Class, plusMinus(c.GC, c.StdErr), c.Examples)
	}
	return b.String()
}

// intervalLevel is the confidence level of the interval that measure prints.
const intervalLevel = 0.95

// plusMinus writes a mean with its standard error, which is "unknown" for one example.
func plusMinus(mean float64, stdErr gcml.StandardError) string {
	return fmt.Sprintf("%.6g ± %s", mean, stdErr)
}
