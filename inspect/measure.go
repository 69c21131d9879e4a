package inspect

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/gomlx/compute"
	"github.com/pkg/errors"
	"gonum.org/v1/gonum/floats"
	"gonum.org/v1/gonum/stat"

	"github.com/geometric-complexity/toolkit/gcml"
	"github.com/geometric-complexity/toolkit/representation"
)

// Options say how a network is inspected. The zero value is right for most networks.
type Options struct {
	// Estimator is how the GC of the outputs is computed. The zero value is gcml.Exact.
	Estimator gcml.Estimator
	// Seed is the seed of all random numbers.
	Seed int64
	// Noise has the standard deviations σ of the noise that is drawn on the inputs. nil takes 0.01,
	// 0.03, 0.1, 0.3 and 1 times the standard deviation of all input values; an empty slice none.
	Noise []float64
	// Shown is the number of the most, and of the least, sensitive examples that are shown. 0 is 6.
	Shown int
	// Image has the dimensions of an example's input as an image: [height, width],
	// [channels, height, width] or [height, width, channels] with 1 or 3 channels. nil recognizes
	// inputs of the last two forms.
	Image []int
	// WithoutLayers leaves out the GC by layer.
	WithoutLayers bool
	// Announce is called with the cost before the work begins; its error stops it.
	Announce func(Cost) error
	// Progress is called with what is at work and the units of Cost.Units that were done.
	Progress func(stage string, units int64)
}

// How much is drawn where an estimate is enough. The noise of the draws averages out over the
// examples.
const (
	layerDirections    = 4
	noiseDraws         = 4
	exactFeatures      = 64 // More features are projected,
	featuresDirections = 32 // on so many directions.
	defaultShown       = 6
)

// relativeNoise are the default σ in units of the standard deviation of the input values.
var relativeNoise = []float64{0.01, 0.03, 0.1, 0.3, 1}

// inspection is the state of one call of Measure.
type inspection struct {
	ctx     context.Context
	backend compute.Backend
	subject *Subject
	options Options
	found   structure
	report  *Report

	evaluator *representation.Evaluator
	outputs   *representation.Evaluation
	decisions []int64   // nil if it is no classifier.
	margins   []float64 // Of the decisions.
	labels    []int64   // nil without labels that are indices of outputs.
}

// Measure inspects a network on its examples. Nothing of the subject changes. Cancelling ctx stops
// between two batches and returns its error.
//
// It returns the errors of gcml.Measure and representation.Evaluator, and one for options that do
// not fit the network.
func Measure(ctx context.Context, backend compute.Backend, subject Subject, o Options) (*Report, error) {
	start := time.Now()
	found, err := subject.look(backend)
	if err != nil {
		return nil, err
	}
	in := &inspection{ctx: ctx, backend: backend, subject: &subject, options: o, found: found,
		report: &Report{Name: subject.Name, Dataset: subject.Data.Name(), Backend: backend.Name()}}
	if found.unordered {
		in.note("The features %s are not values of each example that depend on its input: the outputs take their place.",
			subject.layerName(subject.Features))
		subject.Features, in.found.features = "", found.outputs
	}
	if err := in.checkOptions(); err != nil {
		return nil, err
	}
	if o.Announce != nil {
		if err := o.Announce(in.cost()); err != nil {
			return nil, err
		}
	}
	in.evaluator = representation.NewEvaluator(backend, subject.Store, subject.outputsAndFeatures)
	defer in.evaluator.Finalize()
	for _, step := range []func() error{in.evaluate, in.complexity, in.margin, in.layers, in.collapse, in.noise,
		in.examples} {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if err := step(); err != nil {
			return nil, err
		}
	}
	in.report.Readings = readings(in.report)
	in.report.Seconds = time.Since(start).Seconds()
	return in.report, nil
}

func (in *inspection) checkOptions() error {
	for _, sigma := range in.options.Noise {
		if !(sigma > 0) || math.IsInf(sigma, 0) {
			return errors.Errorf("inspect: noise of σ = %g: want positive numbers", sigma)
		}
	}
	if len(in.options.Noise) > 0 && in.subject.InputNode != "" {
		return errors.Errorf("inspect: noise is drawn on inputs, not on the inner node %q", in.subject.InputNode)
	}
	if in.options.Shown < 0 {
		return errors.Errorf("inspect: %d examples to show: want 1 or more, or 0 for %d", in.options.Shown, defaultShown)
	}
	if strings.HasPrefix(in.options.Estimator.String(), "noise") {
		return errors.Errorf("inspect: the estimator %s has no derivatives, which the maps of the inputs need",
			in.options.Estimator)
	}
	if in.options.Image != nil && in.subject.InputNode != "" {
		return errors.New("inspect: images are drawn of inputs, and the derivatives are by an inner node: " +
			"give no size of images")
	}
	if in.options.Image != nil {
		_, err := newLayout(in.options.Image, in.found.inputs())
		return err
	}
	return nil
}

// progress returns the option that reports a measurement whose examples are worth so many units.
func (in *inspection) progress(stage string, units int64) []gcml.Option {
	if in.options.Progress == nil {
		return nil
	}
	in.options.Progress(stage, 0) // Compilation comes first.
	last := 0
	return []gcml.Option{gcml.WithProgress(func(done int) {
		in.options.Progress(stage, int64(done-last)*units)
		last = done
	})}
}

// evaluate runs the network once: its outputs, its features and the labels.
func (in *inspection) evaluate() (err error) {
	in.advance("outputs", 0)
	if in.outputs, err = in.evaluator.Evaluate(in.ctx, in.subject.Data); err != nil {
		return err
	}
	in.advance("outputs", int64(in.outputs.Examples))
	outputs := in.outputs.Outputs[0]
	if !in.found.classifier {
		return nil
	}
	if in.decisions, err = representation.Decisions(outputs.Values, outputs.Size); err != nil {
		return err
	}
	if in.margins, err = representation.DecisionMargins(outputs.Values, outputs.Size); err != nil {
		return err
	}
	isIndex := func(label int64) bool { return label >= 0 && label < int64(outputs.Size) }
	switch {
	case in.outputs.Labels == nil:
	case slices.ContainsFunc(in.outputs.Labels, func(label int64) bool { return !isIndex(label) }):
		in.note("The labels are not all numbers of outputs, 0 to %d: margins are those of the decisions.", outputs.Size-1)
	default:
		in.labels = in.outputs.Labels
	}
	return nil
}

// complexity measures GC with the singular values.
func (in *inspection) complexity() (err error) {
	opts := []gcml.Option{in.subject.pick(), gcml.WithEstimator(in.options.Estimator), gcml.WithSeed(in.options.Seed),
		gcml.WithPerExample(), gcml.WithSpectralNorm()}
	if in.outputs.Labels != nil {
		opts = append(opts, gcml.WithPerClass())
	}
	opts = append(opts, in.progress("GC and singular values", in.complexityProducts())...)
	r, err := gcml.Measure(in.ctx, in.backend, in.subject.Store, in.subject.output, in.subject.Data, opts...)
	if err != nil {
		return err
	}
	in.report.GC = r
	in.report.TopTenth = topTenth(r.PerExample)
	return nil
}

// topTenth returns the share of the sum that the largest tenth of the values has.
func topTenth(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	slices.Reverse(sorted)
	sum := floats.Sum(sorted)
	if !(sum > 0) {
		return 0
	}
	return floats.Sum(sorted[:tenth(len(sorted))]) / sum
}

// tenth returns a tenth of n, rounded up.
func tenth(n int) int { return (n + 9) / 10 }

func (in *inspection) margin() error {
	if in.decisions == nil {
		in.note("The outputs are not those of a classifier, [examples, two classes or more]: margins and decisions are left out.")
		return nil
	}
	outputs := in.outputs.Outputs[0]
	margins, m := in.margins, &Margin{Accuracy: Number(math.NaN())}
	if in.labels != nil {
		var err error
		if margins, err = representation.Margins(outputs.Values, outputs.Size, in.labels); err != nil {
			return err
		}
		m.Labelled, m.Accuracy = true, Number(agreement(in.labels, in.decisions))
	}
	m.Mean, m.Quantiles = stat.Mean(margins, nil), gcml.NewQuantiles(margins)
	m.GCOverMargin, m.RootGCOverMargin = Number(math.NaN()), Number(math.NaN())
	if m.Mean > 0 {
		m.GCOverMargin = Number(in.report.GC.GC / m.Mean)
		m.RootGCOverMargin = Number(math.Sqrt(in.report.GC.GC) / m.Mean)
	}
	var distances []float64
	for i, norm := range in.report.GC.Spectrum.PerExample {
		if norm > 0 { // Without a derivative no distance is far enough.
			distances = append(distances, in.margins[i]/(math.Sqrt2*norm))
		}
	}
	if len(distances) > 0 {
		m.Distance = gcml.NewQuantiles(distances)
	}
	in.report.Margin = m
	return nil
}

// agreement returns the fraction of equal elements.
func agreement(a, b []int64) float64 {
	same := 0
	for i := range a {
		if a[i] == b[i] {
			same++
		}
	}
	return float64(same) / float64(len(a))
}

func (in *inspection) layers() error {
	if in.options.WithoutLayers {
		return nil
	}
	if len(in.found.layers) == 0 {
		in.note("The network has no named inner node between input and output, so that there is no GC by layer: " +
			"name nodes with Node.WithAlias.")
		return nil
	}
	estimator := gcml.Hutchinson(layerDirections, gcml.Rademacher)
	opts := append([]gcml.Option{in.subject.pick(), gcml.WithEstimator(estimator), gcml.WithSeed(in.options.Seed),
		gcml.WithLayers()},
		in.progress("layers", in.layersProducts())...)
	r, err := gcml.Measure(in.ctx, in.backend, in.subject.Store, in.subject.output, in.subject.Data, opts...)
	if err != nil {
		return err
	}
	in.report.LayersEstimator = r.Estimator
	for _, l := range r.Layers {
		in.report.Layers = append(in.report.Layers,
			Layer{Name: in.subject.layerName(l.Name), GC: l.GC, StdErr: l.StdErr, Size: l.Size})
	}
	return nil
}

func (in *inspection) collapse() error {
	if in.outputs.Labels == nil {
		in.note("Without labels there are no classes: GC by class, accuracy and neural collapse are left out.")
		return nil
	}
	features := in.outputs.Outputs[len(in.outputs.Outputs)-1]
	classes, err := representation.NewClasses(features.Values, in.outputs.Labels)
	if err != nil {
		in.note("Neural collapse is left out: %s.", strings.TrimPrefix(err.Error(), "representation: "))
		return nil
	}
	gc, err := in.featuresComplexity()
	if err != nil {
		return err
	}
	var perClass []float64
	for _, c := range gc.PerClass { // Both have the classes in ascending order.
		perClass = append(perClass, c.GC)
	}
	geometric, err := classes.GeometricCollapse(perClass)
	if err != nil {
		return err
	}
	name := "outputs"
	if in.subject.Features != "" {
		name = in.subject.layerName(in.subject.Features)
	}
	in.report.Collapse = &Collapse{Features: name, Size: features.Size, Classes: len(perClass),
		GC: gc.GC, StdErr: gc.StdErr, Estimator: gc.Estimator,
		CDNV: Number(classes.CDNV()), GeometricCollapse: Number(geometric), NC1: Number(classes.NC1()),
		NormVariation: Number(classes.NormVariation()), AngleDeviation: Number(classes.AngleDeviation()),
		NearestMeanAccuracy: Number(classes.NearestMeanAccuracy())}
	return nil
}

// featuresComplexity measures the GC of the features by class.
func (in *inspection) featuresComplexity() (gcml.Result, error) {
	if in.subject.Features == "" {
		return in.report.GC, nil
	}
	opts := append([]gcml.Option{in.subject.pick(), gcml.WithOutputNode(in.subject.Features),
		gcml.WithSeed(in.options.Seed),
		gcml.WithPerClass(), gcml.WithEstimator(in.featuresEstimator())}, in.progress("features", in.featuresProducts())...)
	return gcml.Measure(in.ctx, in.backend, in.subject.Store, in.subject.output, in.subject.Data, opts...)
}

func (in *inspection) featuresEstimator() gcml.Estimator {
	if in.found.features <= exactFeatures {
		return gcml.Exact()
	}
	return gcml.Projection(featuresDirections)
}

// note adds a note to the report.
func (in *inspection) note(format string, args ...any) {
	in.report.Notes = append(in.report.Notes, fmt.Sprintf(format, args...))
}

// advance reports progress outside of measurements of GC.
func (in *inspection) advance(stage string, units int64) {
	if in.options.Progress != nil {
		in.options.Progress(stage, units)
	}
}
