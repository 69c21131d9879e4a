package main

import (
	"context"
	"fmt"
	"path/filepath"
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
	labels, output, wrt                         string // only with --onnx
	inputs, batchAxes                           []string
	progress                                    string
	examples, batch                             int
	seed                                        int64
	arrayLimit                                  float64 // in gigabytes
	softmax, perClass, spectralNorm, json       bool
	// given reports whether a flag is on the command line.
	given func(flag string) bool
}

func (a *app) measureCommand() *cobra.Command {
	var o measureOptions
	cmd := &cobra.Command{
		Use:   "measure --checkpoint DIR|--onnx FILE",
		Short: "Measure the geometric complexity of a trained network or an ONNX file",
		Long: "measure prints the geometric complexity of a network that a run trained, or of a network\n" +
			"in an ONNX file: the mean over examples of the squared Frobenius norm of the Jacobian of the\n" +
			"outputs, with its standard error.\n\n" +
			"An ONNX file is measured on the arrays of --inputs, without any preparation, or on the images\n" +
			"of --dataset with pixels in [0, 1]. If the network expects other pixels, prepare the images in\n" +
			"Python, save them with numpy.save, and give the file to --inputs. External weights of the\n" +
			"network are read from its folder only.",
		Example: "  gcml measure --checkpoint out/demo/runs/0123456789abcdef --split test\n" +
			"  gcml measure --checkpoint DIR --dataset fashion-mnist --estimator projection:3 --json\n" +
			"  gcml measure --onnx model.onnx --inputs x.npy --labels y.npy --per-class\n" +
			"  gcml measure --onnx model.onnx --dataset fashion-mnist --split test --examples 500 --softmax\n" +
			"  gcml measure --onnx bert.onnx --inputs ids=ids.npy --inputs mask=mask.npy --wrt embeddings",
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			o.given = cmd.Flags().Changed
			return a.measure(cmd.Context(), o)
		},
	}
	addExampleFlags(cmd, &o)
	f := cmd.Flags()
	f.StringVar(&o.checkpoint, "checkpoint", "", "`folder` of a run: OUT/runs/ADDRESS")
	f.StringVar(&o.onnx, "onnx", "", "ONNX `file` of a network")
	f.StringVar(&o.labels, "labels", "", "`file` with the class of each example of --inputs, whole numbers, .npy or .npz")
	f.BoolVar(&o.perClass, "per-class", false, "measure each class as well")
	f.BoolVar(&o.spectralNorm, "spectral-norm", false,
		"measure the largest singular value and the stable rank of the Jacobians as well")
	f.BoolVar(&o.json, "json", false, "print as JSON")
	completeFolders(cmd, "checkpoint")
	return cmd
}

// completeEstimator completes the kind of an estimator, whose numbers follow a colon.
func completeEstimator(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	return []string{"exact", "projection:", "rademacher:", "gaussian:", "noise:"},
		cobra.ShellCompDirectiveNoSpace | cobra.ShellCompDirectiveNoFileComp
}

// subject is a network with the examples to measure it on.
type subject struct {
	name  string // of the network, for messages and the progress display
	store *model.Store
	model func(scope *model.Scope, inputs []*graph.Node) *graph.Node
	ds    train.Dataset
	// options select the input that derivatives are taken with respect to.
	options []gcml.Option
	// examples is the number of examples of ds, 0 if it is unknown.
	examples int
	// batch is the only size of a batch that the network takes, 0 if it takes any.
	batch int
	// check looks at the network before the measurement.
	check func(compute.Backend) (checked, error)
	// bytes is checked.bytes, once the network was looked at.
	bytes float64
}

// checked is what is known of a network before it is measured.
type checked struct {
	outputs int
	bytes   float64 // of all values of the network for one example, 0 if unknown
	note    string  // for the user, or ""
}

func (a *app) measure(ctx context.Context, o measureOptions) error {
	if (o.checkpoint == "") == (o.onnx == "") {
		return usagef("measure wants either --checkpoint DIR, the folder of a run, or --onnx FILE")
	}
	estimator, split, err := o.check()
	if err != nil {
		return err
	}
	if err := o.checkSeed(estimator); err != nil {
		return err
	}
	if o.onnx != "" {
		return a.measureONNX(ctx, o, estimator, split)
	}
	return a.measureCheckpoint(ctx, o, estimator, split)
}

// measureSubject opens the backend, prints how much work the measurement is, and measures.
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
	opts := append([]gcml.Option{gcml.WithEstimator(estimator), gcml.WithSeed(o.seed)}, s.options...)
	if o.perClass {
		opts = append(opts, gcml.WithPerClass())
	}
	if o.spectralNorm {
		opts = append(opts, gcml.WithSpectralNorm())
	}
	if o.softmax {
		opts = append(opts, gcml.WithTransform(probabilities))
	}
	fn := func(scope *model.Scope, _ any, inputs []*graph.Node) []*graph.Node {
		return []*graph.Node{s.model(scope, inputs)}
	}
	if err := a.announce(ctx, b, s, estimator, fn, opts); err != nil {
		return gcml.Result{}, err
	}
	if progress != nil && s.examples > 0 {
		progress.Start(int64(s.examples), "measuring")
		// The first batch is done once its graph is compiled, which takes most of the time of small
		// measurements.
		progress.Describe("compiling " + filepath.Base(s.name))
		defer progress.Finish()
		last := 0
		opts = append(opts, gcml.WithProgress(func(done int) {
			if last == 0 {
				progress.Describe(filepath.Base(s.name))
			}
			progress.Add(int64(done - last))
			last = done
		}))
	}
	result, err := gcml.Measure(ctx, b, s.store, fn, s.ds, opts...)
	if ctx.Err() != nil {
		return gcml.Result{}, interruption("interrupted; a measurement cannot be continued")
	}
	if err != nil {
		return gcml.Result{}, fmt.Errorf("%s: %w", s.name, err)
	}
	result.Backend = info.ResultName()
	return result, nil
}

// announce prints how much work a measurement is, and how long it takes if that is long. It returns
// an error if it is too much.
func (a *app) announce(ctx context.Context, b compute.Backend, s subject, e gcml.Estimator, fn modelFn,
	opts []gcml.Option) error {
	found, err := s.check(b)
	if found.note != "" {
		fmt.Fprintln(a.stderr, "note:", found.note)
	}
	if err != nil || s.examples == 0 {
		return err
	}
	s.bytes = found.bytes
	work, products, err := cost(e, s.examples, found.outputs)
	if err != nil {
		return err
	}
	fmt.Fprintln(a.stderr, work)
	if e.String() == "exact" && found.outputs > manyOutputs {
		fmt.Fprintf(a.stderr, "note: --estimator projection:64 is unbiased, and takes a fraction of %.2g of this work\n",
			64/float64(found.outputs))
	}
	return a.estimateTime(ctx, b, s, fn, opts, products, products)
}

// manyOutputs is the number of outputs above which a projection is suggested, because the exact
// estimator takes a product for each output.
const manyOutputs = 1000

// Larger measurements are refused, because their numbers are typing errors: so many products take
// years, and the graph of so many directions does not fit into memory.
const (
	maxProducts   = 1e13
	maxDirections = 1e6
)

// cost describes how much work a measurement is, and returns the number of products or evaluations.
// It returns an error if it is too much.
func cost(e gcml.Estimator, examples, outputs int) (text string, products float64, err error) {
	kind, _, _ := strings.Cut(e.String(), ":")
	each, what, unit := outputs, "outputs", "vector-Jacobian products"
	if kind != "exact" {
		each, what = e.Samples(), "directions"
	}
	if kind == "noise" {
		what, unit = "samples", "evaluations"
	}
	if kind != "exact" && float64(each) > maxDirections {
		return "", 0, usagef("--estimator %s: at most %.0f %s are supported", e, maxDirections, what)
	}
	if kind == "noise" {
		each, what = each+1, fmt.Sprintf("(1 + %d samples)", each)
	} else {
		what = fmt.Sprintf("%d %s", each, what)
	}
	total := float64(examples) * float64(each)
	if total > maxProducts {
		return "", 0, fmt.Errorf("the measurement needs %.2g %s (%d examples x %s): "+
			"choose fewer --examples, another --output, or an estimator with fewer directions",
			total, unit, examples, what)
	}
	return fmt.Sprintf("cost: %.0f %s (%d examples x %s)", total, unit, examples, what), total, nil
}

// checkpointMeasurement is the measurement of a run's network, as --json prints it.
type checkpointMeasurement struct {
	Checkpoint string `json:"checkpoint"`
	Step       int64  `json:"step"`
	Softmax    bool   `json:"softmax,omitempty"`
	Dataset    string `json:"dataset"`
	gcml.Result
}

func (a *app) measureCheckpoint(ctx context.Context, o measureOptions, estimator gcml.Estimator,
	split datasets.Split) error {
	if err := o.checkRunFlags(o.checkpoint); err != nil {
		return err
	}
	trained, err := training.OpenRun(o.checkpoint)
	if err != nil {
		return err
	}
	ds, err := o.runDataset(trained, split)
	if err != nil {
		return err
	}
	network := func(scope *model.Scope, inputs []*graph.Node) *graph.Node { return trained.Model(scope, inputs[0]) }
	s := subject{name: o.checkpoint, store: trained.Store, model: network, ds: ds,
		check: func(compute.Backend) (checked, error) { return checked{outputs: trained.Outputs}, nil }}
	if trained.InputNode != "" {
		s.options = append(s.options, gcml.WithInputNode(trained.InputNode))
	}
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

// writeMeasurement writes a result as text. what describes the network, and ends in a comma and a
// space.
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
		fmt.Fprintf(&b, "largest singular value: mean %s, maximum %.6g (Lipschitz constant on these examples)\n",
			plusMinus(s.Norm, s.NormStdErr), s.Largest)
		fmt.Fprintf(&b, "stable rank: mean %s\n", plusMinus(s.StableRank, s.StableRankStdErr))
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

// plusMinus formats a mean with its standard error, which is "unknown" for one example.
func plusMinus(mean float64, stdErr gcml.StandardError) string {
	return fmt.Sprintf("%.6g ± %s", mean, stdErr)
}
