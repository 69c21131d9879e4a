package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/gomlx/compute"
	"github.com/spf13/cobra"

	"github.com/geometric-complexity/toolkit/gcml"
	"github.com/geometric-complexity/toolkit/inspect"
	"github.com/geometric-complexity/toolkit/internal/atomicfile"
)

// inspectOptions are the flags of inspect.
type inspectOptions struct {
	measureOptions
	features, image, out string
	noise                []float64
	shown                int
	noLayers             bool
}

func (a *app) inspectCommand() *cobra.Command {
	var o inspectOptions
	cmd := &cobra.Command{
		Use:   "inspect NETWORK",
		Short: "Write a page that says what the geometric complexity of a network means",
		Long: "inspect measures an ONNX file, or the network of a run's folder, and writes one HTML page and\n" +
			"the same as JSON: geometric complexity by class, layer and example, with the most and the\n" +
			"least sensitive examples; local Lipschitz constants and stable rank; margins and neural\n" +
			"collapse; and what noise on the inputs does. One sentence says what to make of each number.",
		Example: "  gcml inspect model.onnx --inputs x.npy --labels y.npy\n" +
			"  gcml inspect model.onnx --dataset fashion-mnist --split test --examples 500 --out page.html\n" +
			"  gcml inspect model.onnx --inputs x.npy --image 28x28 --noise 0.01,0.1\n" +
			"  gcml inspect out/demo/runs/0123456789abcdef",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usagef("inspect wants one network: an ONNX file or the folder of a run")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			o.given = cmd.Flags().Changed
			return a.inspect(cmd.Context(), args[0], o)
		},
	}
	addExampleFlags(cmd, &o.measureOptions)
	f := cmd.Flags()
	f.StringVar(&o.labels, "labels", "", "`file` with the class of each example of --inputs, whole numbers, .npy or .npz")
	f.StringVar(&o.features, "features", "",
		"`node` of the ONNX network with the features (default: what the last dense layer takes)")
	f.StringVar(&o.image, "image", "", "`size` of inputs that are flat images: HxW, CxHxW or HxWxC with 1 or 3 channels")
	f.Float64SliceVar(&o.noise, "noise", nil,
		"`σ` of the noise on the inputs, several separated by commas (default: 0.01 to 1 standard deviation of the inputs)")
	f.Lookup("noise").DefValue = "" // pflag would print "(default [])".
	f.IntVar(&o.shown, "shown", 6, "show `n` of the most, and of the least, sensitive examples")
	f.BoolVar(&o.noLayers, "no-layers", false, "leave out the layers")
	f.StringVar(&o.out, "out", "",
		"`file` for the page, beside which the JSON is written (default: out/inspect-NAME.html)")
	return cmd
}

func (a *app) inspect(ctx context.Context, path string, o inspectOptions) error {
	estimator, split, err := o.check()
	if err != nil {
		return err
	}
	options := inspect.Options{Estimator: estimator, Seed: o.seed, Noise: o.noise, Shown: o.shown,
		WithoutLayers: o.noLayers}
	if options.Image, err = parseImage(o.image); err != nil {
		return err
	}
	if o.shown < 1 {
		return usagef("--shown is %d, want at least 1", o.shown)
	}
	page, numbers, err := inspectFiles(path, o.out)
	if err != nil {
		return err
	}
	network, err := openNetwork("inspect", path, o.measureOptions, split, o.features)
	if err != nil {
		return err
	}
	report, err := a.inspectNetwork(ctx, network, options, o.progress)
	if ctx.Err() != nil {
		return interruption("interrupted; no page was written")
	}
	if err != nil {
		return err
	}
	return a.writeReport(report, page, numbers)
}

// inspectFiles returns where the page and the JSON go, in a folder that exists.
func inspectFiles(path, out string) (page, numbers string, err error) {
	if out == "" {
		name := strings.TrimSuffix(filepath.Base(filepath.Clean(path)), ".onnx")
		out = filepath.Join("out", "inspect-"+name+".html")
	}
	if ext := filepath.Ext(out); ext != ".html" && ext != ".htm" {
		return "", "", usagef("--out %s: the page's name has to end in .html", out)
	}
	if info, err := os.Stat(out); err == nil && info.IsDir() {
		return "", "", usagef("--out %s is a folder, want a file", out)
	}
	return out, strings.TrimSuffix(out, filepath.Ext(out)) + ".json", atomicfile.MkdirAll(filepath.Dir(out))
}

// parseImage reads the size of an image, such as 3x32x32.
func parseImage(text string) (dims []int, err error) {
	if text == "" {
		return nil, nil
	}
	for part := range strings.SplitSeq(text, "x") {
		d, err := strconv.Atoi(part)
		if err != nil || d < 1 {
			return nil, usagef("--image %s: want HxW, CxHxW or HxWxC, such as 28x28", text)
		}
		dims = append(dims, d)
	}
	return dims, nil
}

// inspectNetwork opens the backend, prints how much work it is, and inspects.
func (a *app) inspectNetwork(ctx context.Context, network *openedNetwork, o inspect.Options,
	kind string) (*inspect.Report, error) {
	progress, err := a.newProgress(kind)
	if err != nil {
		return nil, err
	}
	b, info, err := a.openBackendFor(network)
	if err != nil {
		return nil, err
	}
	defer b.Finalize()
	isStarted := false
	o.Announce = func(c inspect.Cost) error {
		fmt.Fprintln(a.stderr, c)
		if o.Estimator == gcml.Exact() && c.Outputs > manyOutputs {
			fmt.Fprintln(a.stderr, "note: --estimator projection:64 estimates GC without bias by 64 products instead of",
				c.Outputs)
		}
		if float64(c.Units()) > maxProducts {
			return fmt.Errorf("the work is %.2g products and evaluations: choose fewer --examples, another --output, "+
				"or an estimator with fewer directions", float64(c.Units()))
		}
		if err := a.estimateInspection(ctx, b, network, o, c); err != nil {
			return err
		}
		if progress != nil && c.Units() > 0 {
			progress.Start(c.Units(), "inspecting")
			isStarted = true
		}
		return nil
	}
	o.Progress = func(stage string, units int64) {
		if isStarted {
			progress.Describe(stage)
			progress.Add(units)
		}
	}
	defer func() {
		if isStarted {
			progress.Finish()
		}
	}()
	report, err := inspect.Measure(ctx, b, network.Subject, o)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", network.Name, err)
	}
	report.Backend, report.GC.Backend = info.ResultName(), info.ResultName()
	return report, nil
}

// estimateInspection prints how long an inspection takes, if it is long, from the time to measure
// GC alone on a small batch.
func (a *app) estimateInspection(ctx context.Context, b compute.Backend, network *openedNetwork, o inspect.Options,
	c inspect.Cost) error {
	if c.Examples == 0 {
		return nil
	}
	_, products, err := cost(o.Estimator, c.Examples, c.Outputs)
	if err != nil {
		return err
	}
	s := network.measured(c.Examples)
	opts := append(s.options, gcml.WithEstimator(o.Estimator), gcml.WithSeed(o.Seed))
	return a.estimateTime(ctx, b, s, network.Model, opts, float64(c.Units()), products)
}

// writeReport writes the page and the JSON, and prints the readings.
func (a *app) writeReport(r *inspect.Report, page, numbers string) error {
	var pageText, numbersText bytes.Buffer
	if err := r.Page(&pageText); err != nil {
		return err
	}
	if err := r.JSON(&numbersText); err != nil {
		return err
	}
	// Both or none, so that they never tell of two networks.
	if err := atomicfile.ReplaceAll(atomicfile.File{Path: numbers, Data: numbersText.Bytes()},
		atomicfile.File{Path: page, Data: pageText.Bytes()}); err != nil {
		return err
	}
	var b strings.Builder
	for _, reading := range r.Readings {
		fmt.Fprintf(&b, "%s: %s\n  %s\n", reading.Name, reading.Value, reading.Meaning)
	}
	for _, note := range r.Notes {
		fmt.Fprintf(&b, "note: %s\n", note)
	}
	fmt.Fprintf(&b, "page: %s\nnumbers: %s\n", page, numbers)
	_, err := fmt.Fprint(a.stdout, b.String())
	return err
}
