package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/gomlx/compute"
	"github.com/spf13/cobra"

	"github.com/geometric-complexity/toolkit/datasets"
	"github.com/geometric-complexity/toolkit/experiments/runs"
	"github.com/geometric-complexity/toolkit/experiments/training"
	"github.com/geometric-complexity/toolkit/gcml"
	"github.com/geometric-complexity/toolkit/inspect"
	"github.com/geometric-complexity/toolkit/internal/pace"
)

// compareOptions are the flags of compare.
type compareOptions struct {
	measureOptions
	checkpoints string
	scores      []float64
}

func (a *app) compareCommand() *cobra.Command {
	var o compareOptions
	cmd := &cobra.Command{
		Use:   "compare NETWORK NETWORK...|--checkpoints DIR",
		Short: "Rank networks or checkpoints by their geometric complexity on the same examples",
		Long: "compare measures ONNX files, the networks of runs' folders, or all checkpoints of a run, on the\n" +
			"same examples, and ranks them by their geometric complexity. Each difference has a paired\n" +
			"interval, from the differences at each example. With --scores, one number for each network in\n" +
			"the order of the networks, compare gives their rank correlation with the geometric complexity.",
		Example: "  gcml compare small.onnx large.onnx --inputs x.npy\n" +
			"  gcml compare a.onnx b.onnx c.onnx --inputs x.npy --scores 0.91,0.88,0.93 --json\n" +
			"  gcml compare --checkpoints out/demo/runs/0123456789abcdef\n" +
			"  gcml compare --checkpoints out/demo",
		Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			o.given = cmd.Flags().Changed
			return a.compare(cmd.Context(), args, o)
		},
	}
	addExampleFlags(cmd, &o.measureOptions)
	f := cmd.Flags()
	f.StringVar(&o.checkpoints, "checkpoints", "",
		"`folder` of a run, OUT/runs/ADDRESS, to compare all its checkpoints, or OUT, to compare all its runs")
	f.Float64SliceVar(&o.scores, "scores", nil, "`numbers`, one for each network in their order, such as accuracies on another task")
	f.Lookup("scores").DefValue = "" // pflag would print "(default [])".
	f.BoolVar(&o.json, "json", false, "print as JSON")
	completeFolders(cmd, "checkpoints")
	return cmd
}

func (a *app) compare(ctx context.Context, paths []string, o compareOptions) error {
	if (len(paths) == 0) == (o.checkpoints == "") {
		return usagef("compare wants either networks, ONNX files or folders of runs, or --checkpoints DIR")
	}
	if len(paths) == 1 {
		return usagef("compare wants two networks or more, or --checkpoints DIR")
	}
	estimator, split, err := o.check()
	if err != nil {
		return err
	}
	if err := o.checkSeed(estimator); err != nil {
		return err
	}
	var networks []*openedNetwork
	if o.checkpoints != "" {
		networks, err = a.openCheckpoints(o.checkpoints, o.measureOptions, split)
	} else {
		networks, err = openNetworks(paths, o.measureOptions, split)
	}
	if err != nil {
		return err
	}
	if len(o.scores) > 0 && len(o.scores) != len(networks) {
		return usagef("--scores has %d numbers for %d networks, want one for each", len(o.scores), len(networks))
	}
	c, err := a.compareNetworks(ctx, networks, o, estimator)
	if ctx.Err() != nil {
		return interruption("interrupted; a comparison cannot be continued")
	}
	if err != nil {
		return err
	}
	if o.json {
		return a.printJSON(c)
	}
	_, err = fmt.Fprint(a.stdout, comparisonText(c))
	return err
}

func openNetworks(paths []string, o measureOptions, split datasets.Split) (all []*openedNetwork, err error) {
	for i, path := range paths {
		if slices.Contains(paths[:i], path) {
			return nil, usagef("%s is given twice", path)
		}
		n, err := openNetwork("compare", path, o, split, "")
		if err != nil {
			return nil, err
		}
		all = append(all, n)
	}
	return all, nil
}

// openCheckpoints opens all checkpoints of the run in a folder, or the newest of each run in the
// output folder of an experiment. It says which of these runs have none, and leaves them out.
func (a *app) openCheckpoints(dir string, o measureOptions, split datasets.Split) (all []*openedNetwork, err error) {
	if err := o.checkRunFlags(dir); err != nil {
		return nil, err
	}
	add := func(name string, t *training.Trained) error {
		s, err := runSubject(name, t, o, split)
		all = append(all, &openedNetwork{Subject: s, check: checkOf(t)})
		return err
	}
	entries, err := os.ReadDir(filepath.Join(dir, runs.RunsDir))
	if err == nil {
		for _, entry := range entries {
			path := filepath.Join(dir, runs.RunsDir, entry.Name())
			if !entry.IsDir() {
				continue
			}
			trained, err := training.OpenRun(path)
			if none := (*training.NoNetworkError)(nil); errors.As(err, &none) || errors.Is(err, runs.ErrNoCheckpoint) {
				fmt.Fprintf(a.stderr, "skipped: %v\n", err)
				continue
			}
			if err == nil {
				err = add(path, trained)
			}
			if err != nil {
				return nil, err
			}
		}
	} else {
		checkpoints, err := training.OpenCheckpoints(dir)
		if err != nil {
			return nil, err
		}
		for _, t := range checkpoints {
			if err := add(fmt.Sprintf("step %d", t.Step), t); err != nil {
				return nil, err
			}
		}
	}
	if len(all) < 2 {
		return nil, fmt.Errorf("%s has %d checkpoint(s), and compare wants two or more: a run that has ended keeps its last one, "+
			"unless it was done with --"+keepFlag+"; give several runs, or an output folder with runs", dir, len(all))
	}
	return all, nil
}

// compareNetworks opens the backend, prints how much work it is, and compares.
func (a *app) compareNetworks(ctx context.Context, networks []*openedNetwork, o compareOptions,
	estimator gcml.Estimator) (*inspect.Comparison, error) {
	progress, err := a.newProgress(o.progress)
	if err != nil {
		return nil, err
	}
	b, info, err := a.openBackendFor(networks...)
	if err != nil {
		return nil, err
	}
	defer b.Finalize()
	var subjects []inspect.Subject
	for _, n := range networks {
		if first := networks[0].Data.Name(); n.Data.Name() != first {
			return nil, fmt.Errorf("%s is measured on %s, but %s on %s: choose one --dataset for all", n.Name, n.Data.Name(),
				networks[0].Name, first)
		}
		subjects = append(subjects, n.Subject)
	}
	options := inspect.CompareOptions{Estimator: estimator, Seed: o.seed, Scores: o.scores}
	if ds, ok := subjects[0].Data.(examples); ok {
		if err := a.announceComparison(ctx, b, networks, ds.NumExamples(), options); err != nil {
			return nil, err
		}
		if progress != nil {
			progress.Start(int64(ds.NumExamples())*int64(len(subjects)), "comparing")
			defer progress.Finish()
			options.Progress = func(name string, n int) { progress.Describe(filepath.Base(name)); progress.Add(int64(n)) }
		}
	}
	c, err := inspect.Compare(ctx, b, subjects, options)
	if err == nil {
		c.Backend = info.ResultName()
	}
	return c, err
}

// announceComparison prints how much work a comparison is, and how long it takes if that is long.
// It returns an error if it is too much.
func (a *app) announceComparison(ctx context.Context, b compute.Backend, networks []*openedNetwork, examples int,
	o inspect.CompareOptions) error {
	fmt.Fprintf(a.stderr, "cost: %d networks x %d examples, estimator %s\n", len(networks), examples, o.Estimator)
	outputs := 0
	for _, n := range networks {
		outputs = max(outputs, n.found.outputs)
	}
	if note := differentOutputs(networks); note != "" {
		fmt.Fprintln(a.stderr, "note:", note)
	}
	if o.Estimator.String() == "exact" && outputs > manyOutputs {
		fmt.Fprintln(a.stderr, "note: --estimator projection:64 estimates GC without bias by 64 products instead of", outputs)
	}
	var all time.Duration
	size := 0
	for _, n := range networks {
		_, products, err := cost(o.Estimator, examples, n.found.outputs)
		if err != nil {
			return err
		}
		s := n.measured(examples)
		opts := append(s.options, gcml.WithEstimator(o.Estimator), gcml.WithSeed(o.Seed))
		left, used, err := a.timeOfWork(ctx, b, s, n.Model, opts, products, products)
		if err != nil {
			return err
		}
		all, size = all+left, max(size, used)
	}
	if size > 0 {
		fmt.Fprintf(a.stderr, "estimate: about %s after compiling, from the time of %d examples\n", pace.Text(all), size)
	}
	return nil
}

// differentOutputs is a note on networks with different numbers of outputs, or "".
func differentOutputs(networks []*openedNetwork) string {
	first := networks[0]
	for _, n := range networks[1:] {
		if n.found.outputs != first.found.outputs {
			return fmt.Sprintf("%s has %d outputs and %s has %d: GC is a sum over the outputs, "+
				"so the network with more of them may have the higher GC for this reason alone", first.Name, first.found.outputs,
				n.Name, n.found.outputs)
		}
	}
	return ""
}

// comparisonText writes a comparison as a table.
func comparisonText(c *inspect.Comparison) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d networks on %d examples of %s, the lowest geometric complexity (GC) first; intervals are of 95 %%\n\n",
		len(c.Ranked), c.Examples, c.Dataset)
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	header := "\tnetwork\tGC\tinterval\tabove the one before"
	if c.Scores != nil {
		header += "\tscore"
	}
	fmt.Fprintln(w, header)
	unclear := 0
	for i, r := range c.Ranked {
		interval, above := "unknown", ""
		if r.Low.IsFinite() {
			interval = fmt.Sprintf("%.4g to %.4g", float64(r.Low), float64(r.High))
		}
		if d := r.AboveBefore; d != nil {
			above = fmt.Sprintf("%.4g", d.Mean)
			if d.Low.IsFinite() {
				above = fmt.Sprintf("%.4g, %.4g to %.4g", d.Mean, float64(d.Low), float64(d.High))
			}
			if !d.IsClear() {
				above += " (not clear)"
				unclear++
			}
		}
		fmt.Fprintf(w, "%d\t%s\t%.6g\t%s\t%s", i+1, r.Name, r.GC, interval, above)
		if r.Score != nil {
			fmt.Fprintf(w, "\t%g", *r.Score)
		}
		fmt.Fprintln(w)
	}
	if err := w.Flush(); err != nil {
		return err.Error() // A strings.Builder has none.
	}
	if unclear > 0 {
		b.WriteString("\nnot clear: the paired interval holds 0, so these examples do not decide which of the two is lower\n")
	}
	if s := c.Scores; s != nil {
		fmt.Fprintf(&b, "\n%s\n", correlationText(*s, len(c.Ranked)))
	}
	return b.String()
}

func correlationText(c inspect.Correlation, n int) string {
	if !c.Rho.IsFinite() {
		return "GC and scores have no rank correlation: all of one of them are equal"
	}
	text := fmt.Sprintf("rank correlation of GC with the scores: %.3g (p %.2g by permutation)", float64(c.Rho), float64(c.P))
	const enough = 6
	if n < enough {
		text += fmt.Sprintf("; %d networks are too few to trust it", n)
	}
	return text
}
