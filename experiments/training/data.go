package training

import (
	"errors"
	"fmt"
	"sync"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/train"
	"github.com/gomlx/gomlx/ml/train/loss"

	"github.com/geometric-complexity/toolkit/datasets"
	"github.com/geometric-complexity/toolkit/experiments/runs"
	"github.com/geometric-complexity/toolkit/gcml"
)

// NameParabola names the 1-D regression set of the paper's Figure 1: evenly spaced points of y = x²
// on [-1, 1].
const NameParabola = "parabola"

// NameNoisySine names a 1-D regression set with more to fit: evenly spaced points of sin(πx) on
// [-1, 1] with normal noise of standard deviation 0.2, which is the same for all runs.
const NameNoisySine = "noisy-sine"

// curves draw the 1-D regression sets with a number of points.
var curves = map[string]func(n int) (datasets.Curve, error){
	NameParabola:  datasets.Parabola,
	NameNoisySine: func(n int) (datasets.Curve, error) { return datasets.NoisySine(n, 0.2, subsetSeed) },
}

// Data describes the data of a run. Pixels are divided by 255, so that GC of images is per unit of
// brightness. Subsets are drawn class by class with a fixed seed: unless DrawPerSeed is set, all
// seeds of a run see the same examples.
type Data struct {
	Name    string `json:"name"`    // NameParabola, NameNoisySine, datasets.NameGoDocs, or one of datasets.Names
	Train   int    `json:"train"`   // training examples; 0 for all
	Test    int    `json:"test"`    // test examples; 0 for all
	Measure int    `json:"measure"` // training examples on which loss and GC are measured; 0 for all
	// MeasureGC is the number of training examples, among those measured, and of test examples on
	// which GC is measured; 0 for all.
	MeasureGC int `json:"measure_gc,omitempty"`
	// Classes are the classes of images that the data is cut down to, in the order of the network's
	// outputs; empty for all. All other numbers then count images of these classes.
	Classes []int `json:"classes,omitempty"`
	// Validation is the number of training images that are held out: training examples are drawn
	// from the others. Each measurement then has their loss and accuracy. 0 for none.
	Validation int `json:"validation,omitempty"`
	// DrawPerSeed draws the training and validation images with the run's seed, so that seeds
	// differ in their examples, too.
	DrawPerSeed bool `json:"draw_per_seed,omitempty"`
	// LabelNoise is the fraction of training labels that are replaced by another class before
	// training; losses on training data use the replaced labels.
	LabelNoise float64 `json:"label_noise,omitempty"`
}

// subsetSeed draws the subsets of Data.
const subsetSeed = 20220927

// loaded is the data of a run, ready for training and measuring.
type loaded struct {
	outputs int // of the network
	trained int // training examples
	classes bool
	// sha256 of the content of the data set's files; empty for a curve.
	sha256 string
	lossFn train.LossFn
	// stream returns an endless stream of training batches from a step on. The batch of a step
	// depends only on the seed and the step.
	stream func(batchSize int, seed int64, step int64) (train.Dataset, error)
	// measured are the sets for evaluations: "train", "test" and, if images are held out,
	// "validation"; gc are the sets for GC, without "validation", nil if they are the same.
	measured, gc map[string]examples
	// images are those of measured and gc; nil for a curve and for texts.
	images struct{ measured, gc map[string]*datasets.Images }
	// inputNode is the alias of the node that GC is taken with respect to; empty for the inputs.
	inputNode string
	// trueLabels are those of all training texts, before label noise; nil for images and curves.
	trueLabels []uint8
	// grid is where a function of one variable is evaluated; nil otherwise.
	grid []float64
}

// differentiated are the options that choose what GC is taken with respect to.
func (l *loaded) differentiated() []gcml.Option {
	if l.inputNode == "" {
		return nil
	}
	return []gcml.Option{gcml.WithInputNode(l.inputNode)}
}

// differentiatedNode is the node that GC is taken with respect to, in a graph in which the network
// has been built for the inputs x.
func (l *loaded) differentiatedNode(x *graph.Node) *graph.Node {
	if l.inputNode == "" {
		return x
	}
	return x.Graph().GetNodeByAlias(l.inputNode)
}

// examples are all inputs and labels of a set, as tensors.
type examples struct {
	n              int
	inputs, labels *tensors.Tensor
}

// GridPoints is the number of points at which a function of one variable is drawn and its GC over
// the interval measured. They are the midpoints of equal cells, so the mean over them is the
// midpoint rule for the integral.
const GridPoints = 400

// FunctionGrid returns the GridPoints points of [-1, 1] at which a run records its function.
func FunctionGrid() []float64 {
	x := make([]float64, GridPoints)
	for i := range x {
		x[i] = -1 + 2*(float64(i)+0.5)/GridPoints
	}
	return x
}

// content identifies the data set's content; it is nil for a curve.
func (d Data) content() (*runs.DataContent, error) {
	if curves[d.Name] != nil {
		return nil, nil
	}
	if d.Name == datasets.NameGoDocs {
		texts, err := datasets.GoDocs(datasets.Train)
		if err != nil {
			return nil, err
		}
		return &runs.DataContent{Name: d.Name, SHA256: texts.SHA256, Content: "the embedded texts"}, nil
	}
	c, err := datasets.Identify(d.Name)
	if missing := (*datasets.NotFoundError)(nil); errors.As(err, &missing) {
		// Results must be readable on a machine without the data.
		c, err = datasets.PublishedContent(d.Name)
	}
	if err != nil {
		return nil, err
	}
	return &runs.DataContent{Name: d.Name, SHA256: c.SHA256, Content: c.String()}, nil
}

// load reads the data for the run with a seed, as a network takes it.
func (d Data) load(n Network, seed int64) (*loaded, error) {
	if err := n.checkInputs(d.Name); err != nil {
		return nil, err
	}
	if curve := curves[d.Name]; curve != nil {
		if len(d.Classes) > 0 {
			return nil, fmt.Errorf("classes: %s has no classes; leave it out", d.Name)
		}
		if d.Validation != 0 || d.DrawPerSeed {
			return nil, fmt.Errorf("validation, draw_per_seed: they apply to images and texts, and %s is a curve; leave them out",
				d.Name)
		}
		return d.loadCurve(curve)
	}
	if d.Name == datasets.NameGoDocs {
		return d.loadTexts(n, seed)
	}
	return d.loadImages(n.format(), seed)
}

func (d Data) loadCurve(draw func(n int) (datasets.Curve, error)) (*loaded, error) {
	curve, err := draw(d.Train)
	if err != nil {
		return nil, err
	}
	x, y, err := curve.Tensors(dtypes.Float32)
	if err != nil {
		return nil, err
	}
	out := &loaded{outputs: 1, trained: len(curve.X), lossFn: loss.MeanSquaredError,
		measured: map[string]examples{"train": {len(curve.X), x, y}}}
	out.grid = FunctionGrid()
	out.stream = func(batchSize int, _, _ int64) (train.Dataset, error) {
		if batchSize != len(curve.X) {
			return nil, fmt.Errorf("batch size %d: the curve is trained on all its %d points at once (batch size 0)", batchSize,
				len(curve.X))
		}
		return curve.Dataset(dtypes.Float32, true)
	}
	return out, nil
}

func (d Data) loadImages(format datasets.Format, seed int64) (*loaded, error) {
	trainImages, err := d.draw(datasets.Train, d.Classes, 0)
	if missing := (*datasets.NotFoundError)(nil); errors.As(err, &missing) {
		return nil, fmt.Errorf("%w; or take the embedded images: --set dataset=%s", err, datasets.NameFashionMNISTSubset)
	}
	if err != nil {
		return nil, err
	}
	testImages, err := d.draw(datasets.Test, d.Classes, 0)
	if err != nil {
		return nil, err
	}
	if trainImages.SHA256 != testImages.SHA256 {
		return nil, fmt.Errorf("data set %s was changed while it was read; start again", d.Name)
	}
	sets, err := drawSets(d, seed, trainImages, testImages)
	if err != nil {
		return nil, err
	}
	out := &loaded{outputs: len(sets.train.Classes), trained: sets.train.N, classes: true, sha256: sets.train.SHA256,
		lossFn: loss.SparseCategoricalCrossEntropyLogits}
	out.images.measured, out.images.gc = sets.measured, sets.gc
	err = addTensors(out, sets, func(images *datasets.Images) (x, y *tensors.Tensor, err error) {
		return images.Tensors(format)
	})
	if err != nil {
		return nil, err
	}
	out.stream = func(batchSize int, seed, step int64) (train.Dataset, error) {
		return endless(datasets.NewBatches(sets.train, batchSize).Format(format), seed, step)
	}
	return out, nil
}

// images keeps the sets that were read: an experiment's runs share them.
var images struct {
	sync.Mutex
	sets map[string]*datasets.Images
}

// subset reads a split and draws n of its images.
func subset(name string, split datasets.Split, n int) (*datasets.Images, error) {
	images.Lock()
	defer images.Unlock()
	content, err := datasets.Identify(name)
	if err != nil {
		return nil, err
	}
	key := fmt.Sprint(name, split)
	all := images.sets[key]
	if all == nil || all.SHA256 != content.SHA256 {
		if all, err = datasets.Load(name, split); err != nil {
			return nil, err
		}
		if images.sets == nil {
			images.sets = make(map[string]*datasets.Images)
		}
		images.sets[key] = all
	}
	return balanced(all, all.Name, n, subsetSeed)
}

// draw reads the images of some classes of a split, all if none are named, and draws n of them; 0
// for all.
func (d Data) draw(split datasets.Split, classes []int, n int) (*datasets.Images, error) {
	if len(classes) == 0 {
		return subset(d.Name, split, n)
	}
	all, err := subset(d.Name, split, 0)
	if err != nil {
		return nil, err
	}
	if all, err = all.OfClasses(classes...); err != nil {
		return nil, err
	}
	return balanced(all, all.Name, n, subsetSeed)
}
