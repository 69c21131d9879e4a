package training

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/gomlx/compute"
	"github.com/gomlx/gomlx/ml/model"
	"gonum.org/v1/gonum/floats"

	"github.com/geometric-complexity/toolkit/datasets"
	"github.com/geometric-complexity/toolkit/experiments/runs"
	"github.com/geometric-complexity/toolkit/gcml"
	"github.com/geometric-complexity/toolkit/internal/stats"
	"github.com/geometric-complexity/toolkit/representation"
)

// Collapse describes the measurement of neural collapse and transfer in the embedding, the
// activations of the last hidden layer.
//
// On the measured training examples, whose classes are those of the source (Data.Classes, which it
// needs), a point gets "embedding_gc", the GC of the embedding; "cdnv", its class-distance
// normalized variance; "geometric_collapse", the same with the GC of each class in the place of the
// variance; and "nearest_mean_accuracy". See package representation. GC is of the examples on which
// all GC is measured.
//
// On examples of the target, which are classes that the network is not trained on, it gets
// "target_cdnv" and, for each number of shots n, "few_shot_accuracy_<n>", the accuracy of the
// nearest-mean classifier from n examples of each class. All runs share the draws of the examples.
//
// "input_variance" is the largest eigenvalue λ of the covariance of the inputs of a class, over the
// classes of the source. "bound_ratio" is CDNV / (λ · geometric collapse). If the inputs of every
// class satisfy the Poincaré inequality with a constant ρ, then CDNV ≤ ρ · geometric collapse. That
// constant cannot be computed from data: it is λ for normal inputs, and at least λ for all others.
// So the ratio is at most 1 if the bound holds with the constant of normal inputs, and a ratio
// above 1 does not contradict the theorem.
type Collapse struct {
	Target   []int `json:"target"`   // classes of the data set
	Examples int   `json:"examples"` // of the target, from the training split; 0 for all
	Shots    []int `json:"shots"`
	Episodes int   `json:"episodes"` // draws of the examples for each number of shots
	// Estimator of the embedding's GC; empty for exact.
	Estimator string `json:"estimator,omitempty"`
}

// FewShotName returns the name of the accuracy from n examples of each class.
func FewShotName(n int) string { return fmt.Sprintf("few_shot_accuracy_%d", n) }

func (c *Collapse) validate(source Data) error {
	if len(source.Classes) < 2 || len(c.Target) < 2 {
		return fmt.Errorf("collapse: %d classes of the source and %d of the target: want two or more of each",
			len(source.Classes), len(c.Target))
	}
	for _, class := range c.Target {
		if slices.Contains(source.Classes, class) {
			return fmt.Errorf("collapse: class %d is in the source and in the target", class)
		}
	}
	if len(c.Shots) == 0 || slices.Min(c.Shots) < 1 || c.Episodes < 1 {
		return fmt.Errorf("collapse: shots %v and %d episodes: want at least 1 of each", c.Shots, c.Episodes)
	}
	if perClass := c.Examples / len(c.Target); c.Examples != 0 && slices.Max(c.Shots) >= perClass {
		return fmt.Errorf("collapse: %d examples of each target class: want more than the %d shots", perClass,
			slices.Max(c.Shots))
	}
	_, err := c.estimator()
	return err
}

func (c *Collapse) estimator() (gcml.Estimator, error) {
	if c.Estimator == "" {
		return gcml.Exact(), nil
	}
	return gcml.ParseEstimator(c.Estimator)
}

// collapse measures what Collapse describes.
type collapse struct {
	*Collapse
	network            *representation.Evaluator // Its second output is the embedding.
	complexity         *gcml.Measurer            // Of the embedding.
	source, gc, target *datasets.Batches
	inputVariance      float64
}

func newCollapse(backend compute.Backend, store *model.Store, t *Train, data *loaded) (*collapse, error) {
	if !data.classes {
		return nil, errors.New("collapse: the data set has no classes; leave it out")
	}
	target, err := t.Data.draw(datasets.Train, t.Collapse.Target, t.Collapse.Examples)
	if err != nil {
		return nil, err
	}
	d := &collapse{Collapse: t.Collapse, inputVariance: largestClassVariance(data.images.measured["train"])}
	format := t.Network.format()
	if d.source, err = inOrder(data.images.measured["train"], format); err != nil {
		return nil, err
	}
	if d.gc, err = inOrder(data.images.gc["train"], format); err != nil {
		return nil, err
	}
	if d.target, err = inOrder(target, format); err != nil {
		return nil, err
	}
	fn, err := t.Network.withEmbedding(data.outputs)
	if err != nil {
		return nil, err
	}
	estimator, err := t.Collapse.estimator()
	if err != nil {
		return nil, err
	}
	d.complexity, err = gcml.NewMeasurer(backend, store, fn, gcml.WithOutput(1), gcml.WithPerClass(),
		gcml.WithEstimator(estimator))
	if err != nil {
		return nil, err
	}
	d.network = representation.NewEvaluator(backend, store, fn)
	return d, nil
}

// inOrder yields images in their order.
func inOrder(images *datasets.Images, format datasets.Format) (*datasets.Batches, error) {
	return datasets.NewBatches(images, evalBatchSize(images.N)).Format(format).Done()
}

func (d *collapse) finalize() {
	d.network.Finalize()
	d.complexity.Finalize()
}

func (d *collapse) measure(ctx context.Context, p *runs.Point) error {
	if !stats.Finite(p.Value("train_loss")) {
		return nil // A network that has diverged has no features.
	}
	if err := d.measureSource(ctx, p); err != nil {
		return fmt.Errorf("measuring the classes of the source: %w", err)
	}
	if err := d.measureTarget(ctx, p); err != nil {
		return fmt.Errorf("measuring the classes of the target: %w", err)
	}
	return nil
}

func (d *collapse) measureSource(ctx context.Context, p *runs.Point) error {
	evaluation, err := d.network.Evaluate(ctx, d.source)
	if err != nil {
		return err
	}
	classes, err := representation.NewClasses(evaluation.Outputs[1].Values, evaluation.Labels)
	if err != nil {
		return err
	}
	gc, err := d.complexity.Measure(ctx, d.gc)
	if err != nil {
		return err
	}
	var perClass []float64
	for _, class := range gc.PerClass { // Ascending, as those of the features.
		perClass = append(perClass, class.GC)
	}
	collapse, err := classes.GeometricCollapse(perClass)
	if err != nil {
		return err
	}
	cdnv := classes.CDNV()
	p.Values["embedding_gc"], p.Values["geometric_collapse"] = runs.Number(gc.GC), runs.Number(collapse)
	p.Values["cdnv"], p.Values["nearest_mean_accuracy"] = runs.Number(cdnv), runs.Number(classes.NearestMeanAccuracy())
	p.Values["input_variance"] = runs.Number(d.inputVariance)
	p.Values["bound_ratio"] = runs.Number(cdnv / (d.inputVariance * collapse))
	return nil
}

func (d *collapse) measureTarget(ctx context.Context, p *runs.Point) error {
	evaluation, err := d.network.Evaluate(ctx, d.target)
	if err != nil {
		return err
	}
	features, labels := evaluation.Outputs[1].Values, evaluation.Labels
	classes, err := representation.NewClasses(features, labels)
	if err != nil {
		return err
	}
	p.Values["target_cdnv"] = runs.Number(classes.CDNV())
	for _, shots := range d.Shots {
		accuracy, err := representation.FewShotAccuracy(features, labels, shots, d.Episodes, subsetSeed)
		if err != nil {
			return err
		}
		p.Values[FewShotName(shots)] = runs.Number(accuracy)
	}
	return nil
}

// largestClassVariance returns the largest variance of the images of a class along a direction:
// the largest eigenvalue of their covariance, with the divisor n. Pixels are divided by 255.
func largestClassVariance(images *datasets.Images) (largest float64) {
	rows := make([][][]float64, len(images.Classes))
	for i, row := range pixelRows(images) {
		label := images.Labels[i]
		rows[label] = append(rows[label], row)
	}
	for _, class := range rows {
		if len(class) > 0 {
			largest = max(largest, largestVariance(class))
		}
	}
	return largest
}

// pixelRows returns a row of pixels for each image, divided by 255.
func pixelRows(images *datasets.Images) [][]float64 {
	rows := make([][]float64, images.N)
	for i := range rows {
		rows[i] = make([]float64, images.Size())
		for k, pixel := range images.Image(i) {
			rows[i][k] = float64(pixel) / 255
		}
	}
	return rows
}

// largestVariance returns the largest eigenvalue of the covariance of the rows, with the divisor n,
// by power iteration, which approaches it from below. It subtracts the mean from the rows in place.
func largestVariance(rows [][]float64) float64 {
	dims := len(rows[0])
	mean := make([]float64, dims)
	for _, row := range rows {
		floats.AddScaled(mean, 1/float64(len(rows)), row)
	}
	random := rand.New(rand.NewPCG(subsetSeed, 0))
	direction := make([]float64, dims)
	for k := range direction {
		direction[k] = random.NormFloat64()
	}
	for _, row := range rows {
		floats.Sub(row, mean)
	}
	// The change of a step bounds neither the error nor the number of steps, but 1e-9 leaves four
	// digits even where the first two eigenvalues differ by a hundredth.
	const steps, change = 2000, 1e-9
	variance := 0.0
	for range steps {
		floats.Scale(1/floats.Norm(direction, 2), direction)
		next := make([]float64, dims)
		for _, row := range rows {
			floats.AddScaled(next, floats.Dot(row, direction)/float64(len(rows)), row)
		}
		before := variance
		variance, direction = floats.Dot(direction, next), next
		if variance <= 0 || math.Abs(variance-before) <= change*variance {
			break
		}
	}
	return variance
}
