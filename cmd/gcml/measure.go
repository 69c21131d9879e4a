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
	checkpoint, dataset, split, estimator string
	examples, batch                       int
	seed                                  int64
	perClass, json                        bool
}

func (a *app) measureCommand() *cobra.Command {
	var o measureOptions
	cmd := &cobra.Command{
		Use:   "measure --checkpoint DIR",
		Short: "Measure the geometric complexity of a trained network",
		Long: "measure gives the geometric complexity of the network that a run left: the mean over\n" +
			"examples of the squared Frobenius norm of the logits' Jacobian, with its standard error.",
		Example: "  gcml measure --checkpoint out/demo/runs/0123456789abcdef --split test\n" +
			"  gcml measure --checkpoint DIR --dataset fashion-mnist --estimator projection:3 --json",
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.measure(cmd.Context(), o) },
	}
	f := cmd.Flags()
	f.StringVar(&o.checkpoint, "checkpoint", "", "`folder` of a run, OUT/runs/ADDRESS")
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
	if o.checkpoint == "" {
		return usagef("measure wants --checkpoint DIR, the folder of a run")
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
	m.Backend = backendName(info)
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
	for _, c := range m.PerClass {
		fmt.Fprintf(&b, "class %d: GC %.6g ± %.2g over %d examples\n", c.Class, c.GC, c.StdErr, c.Examples)
	}
	return b.String()
}
