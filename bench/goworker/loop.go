package main

import (
	"fmt"
	"math"

	"github.com/gomlx/compute"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/ml/train"
	"github.com/gomlx/gomlx/ml/train/loss"
	"github.com/gomlx/gomlx/ml/train/optimizer"

	"github.com/geometric-complexity/toolkit/datasets"
	"github.com/geometric-complexity/toolkit/gcml"
)

// loop trains as the experiments do: GoMLX's trainer and loop, with gcml.StopAtNonFinite, on
// batches that datasets.Batches makes from images in bytes.
type loop struct {
	trainer *train.Trainer
	loop    *train.Loop
	batches train.Dataset
}

// newLoop returns a loop over the fixture's examples. Every batch has all of them, in a new order.
func newLoop(b compute.Backend, store *model.Store, f *fixture, learningRate float64) (*loop, error) {
	images, err := f.images()
	if err != nil {
		return nil, err
	}
	stream, err := datasets.NewBatches(images, images.N).Shuffle(1).DropLast().Infinite().Done()
	if err != nil {
		return nil, err
	}
	network := func(scope *model.Scope, _ any, inputs []*Node) []*Node { return []*Node{f.build(scope, inputs[0])} }
	descent := optimizer.StochasticGradientDescent().WithLearningRate(learningRate).WithDecay(false).Done()
	l := &loop{trainer: train.NewTrainer(b, store, network, loss.SparseCategoricalCrossEntropyLogits, descent, nil, nil)}
	l.loop = train.NewLoop(l.trainer)
	l.batches, err = gcml.StopAtNonFinite(l.loop, stream)
	return l, err
}

// step takes one step, and returns its loss.
func (l *loop) step() (float64, error) {
	metrics, err := l.loop.RunSteps(l.batches, 1)
	if err != nil {
		return 0, err
	}
	return float64(tensors.ToScalar[float32](metrics[0])), nil
}

// images returns the fixture's examples as a data set holds them.
func (f *fixture) images() (*datasets.Images, error) {
	dims := f.x.Shape().Dimensions
	if len(dims) != 4 {
		return nil, fmt.Errorf("a loop needs images, got inputs %s", f.x.Shape())
	}
	images := &datasets.Images{N: dims[0], H: dims[1], W: dims[2], C: dims[3],
		Name: "bench", Classes: make([]string, f.Outputs)}
	for _, pixel := range tensors.MustCopyFlatData[float32](f.x) {
		value := math.Round(float64(pixel) * 255)
		if float32(value)/255 != pixel {
			return nil, fmt.Errorf("input %g of the fixture is not a byte divided by 255", pixel)
		}
		images.Pixels = append(images.Pixels, uint8(value))
	}
	for _, label := range tensors.MustCopyFlatData[int32](f.y) {
		images.Labels = append(images.Labels, uint8(label))
	}
	for i := range images.Classes {
		images.Classes[i] = fmt.Sprint(i)
	}
	return images, nil
}
