package nb

import (
	"fmt"

	"github.com/gomlx/compute"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/dataset"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/ml/train"
	"github.com/gomlx/gomlx/ml/train/loss"
	"github.com/gomlx/gomlx/ml/train/metric"
	"github.com/gomlx/gomlx/ml/train/optimizer"

	"github.com/geometric-complexity/toolkit/datasets"
	"github.com/geometric-complexity/toolkit/gcml"
)

// Training is a training of seconds on a few images of Fashion-MNIST, shaped [batch, 784], for a
// cell that shows the idea of its notebook. A zero value stands for the default of each field.
type Training struct {
	Loss       train.LossFn        // cross-entropy of logits
	Optimizer  optimizer.Interface // gradient descent at Rate
	Rate       float64             // 0.1
	Steps      int                 // 300
	Batch      int                 // 50
	Images     int                 // 500, as many to train as to test on
	LabelNoise float64             // fraction of wrong labels among the training images: none
}

// Trained is the result of a training. GC is measured on training images, and losses are
// without penalties.
type Trained struct{ GC, TrainLoss, TestLoss, TestAccuracy float64 }

// String returns a summary in one line.
func (t Trained) String() string {
	return fmt.Sprintf("GC %8.3g, training loss %.3f, test loss %.3f, test accuracy %.3f", t.GC, t.TrainLoss, t.TestLoss,
		t.TestAccuracy)
}

// Train trains a model on the pure Go backend, always from the same weights on the same images. It
// ends the cell on an error.
func Train[F train.ModelFnCompatible](modelFn F, t Training) Trained {
	trained, err := trainModel(modelFn, t)
	Check(err)
	return trained
}

// withDefaults fills in the fields that are zero.
func (t Training) withDefaults() Training {
	if t.Loss == nil {
		t.Loss = loss.SparseCategoricalCrossEntropyLogits
	}
	if t.Rate == 0 {
		t.Rate = 0.1
	}
	if t.Optimizer == nil {
		t.Optimizer = descent(t.Rate)
	}
	for _, field := range []struct {
		value     *int
		otherwise int
	}{{&t.Steps, 300}, {&t.Batch, 50}, {&t.Images, 500}} {
		if *field.value == 0 {
			*field.value = field.otherwise
		}
	}
	return t
}

// descent is plain gradient descent.
func descent(rate float64) optimizer.Interface {
	return optimizer.StochasticGradientDescent().WithLearningRate(rate).WithDecay(false).Done()
}

func trainModel[F train.ModelFnCompatible](modelFn F, t Training) (result Trained, err error) {
	t = t.withDefaults()
	training, err := firstImages(datasets.Train, t.Images)
	if err != nil {
		return result, err
	}
	if t.LabelNoise > 0 {
		if training, err = training.WithLabelNoise(t.LabelNoise, datasets.OtherClass, 1); err != nil {
			return result, err
		}
	}
	test, err := firstImages(datasets.Test, t.Images)
	if err != nil {
		return result, err
	}
	device, store := GoBackend(), Store()
	defer device.Finalize()
	return trainAndTest(device, store, modelFn, batchesOfImages(training), batchesOfImages(test), t)
}

// batchesOf begins a data set of some examples in batches.
type batchesOf func(batch int) *datasets.BatchesConfig

func batchesOfImages(images *datasets.Images) batchesOf {
	return func(batch int) *datasets.BatchesConfig { return flat(images, batch) }
}

// trainAndTest trains a model and measures it, its GC with the options.
func trainAndTest[F train.ModelFnCompatible](device compute.Backend, store *model.Store, modelFn F,
	training, test batchesOf, t Training, opts ...gcml.Option) (result Trained, err error) {
	trainer, err := trainOn(device, store, modelFn, training, t)
	if err != nil {
		return result, err
	}
	for _, part := range []struct {
		examples       batchesOf
		loss, accuracy *float64
	}{{training, &result.TrainLoss, new(float64)}, {test, &result.TestLoss, &result.TestAccuracy}} {
		once, err := part.examples(100).Done()
		if err != nil {
			return result, err
		}
		values, err := trainer.Eval(once)
		if err != nil {
			return result, err
		}
		*part.loss = float64(tensors.ToScalar[float32](values[0]))
		*part.accuracy = float64(tensors.ToScalar[float32](values[1]))
	}
	once, err := training(100).Done()
	if err != nil {
		return result, err
	}
	gc, err := gcml.Measure(Context(), device, store, modelFn, once, opts...)
	result.GC = float64(gc.GC)
	return result, err
}

// trainOn trains a model. The trainer reports the loss and the accuracy in evaluations.
func trainOn[F train.ModelFnCompatible](device compute.Backend, store *model.Store, modelFn F,
	examples batchesOf, t Training) (*train.Trainer, error) {
	batches, err := examples(t.Batch).Shuffle(1).Infinite().Done()
	if err != nil {
		return nil, err
	}
	accuracy := metric.NewSparseCategoricalAccuracy("accuracy", "acc")
	trainer := train.NewTrainer(device, store, modelFn, t.Loss, t.Optimizer, nil, []metric.Interface{accuracy})
	_, err = train.NewLoop(trainer).RunSteps(batches, t.Steps)
	return trainer, err
}

func firstImages(split datasets.Split, n int) (*datasets.Images, error) {
	all, err := datasets.Load(datasets.NameFashionMNISTSubset, split)
	if err != nil {
		return nil, err
	}
	return all.First(n)
}

func flat(images *datasets.Images, batch int) *datasets.BatchesConfig {
	return datasets.NewBatches(images, batch).Format(datasets.Format{Flat: true})
}

// Images are the first test images of Fashion-MNIST, to measure on: a batch [n, 784], once.
func Images(n int) *datasets.Batches {
	images, err := firstImages(datasets.Test, n)
	Check(err)
	batches, err := flat(images, n).Done()
	Check(err)
	return batches
}

// Store returns a store for a model's weights, always with the same random numbers.
func Store() *model.Store {
	store := model.NewStore()
	Check(store.SetRNGStateFromSeed(1))
	return store
}

// Fitted is the state of a fit after some steps: its squared error at the points, and its GC over
// [-1, 1].
type Fitted struct {
	Step     int
	Loss, GC float64
}

// Fit trains a model of one input and one output on all points of a curve by gradient descent. It
// measures after each of the given numbers of steps, which must increase.
func Fit[F train.ModelFnCompatible](modelFn F, curve datasets.Curve, rate float64, steps ...int) []Fitted {
	device, store := GoBackend(), Store()
	defer device.Finalize()
	points, err := dataset.InMemoryFromData(device, "points", []any{column(curve.X)}, []any{column(curve.Y)})
	Check(err)
	points.BatchSize(len(curve.X), true)
	trainer := train.NewTrainer(device, store, modelFn, loss.MeanSquaredError, descent(rate), nil, nil)
	loop := train.NewLoop(trainer)
	var fitted []Fitted
	for _, step := range steps {
		if missing := step - loop.LoopStep; missing > 0 {
			_, err := loop.RunSteps(points.Infinite(true), missing)
			Check(err)
		}
		values, err := trainer.Eval(points.Infinite(false))
		Check(err)
		fitted = append(fitted, Fitted{step, tensors.ToScalar[float64](values[0]), intervalGC(device, store, modelFn)})
	}
	return fitted
}

// intervalGC measures a model of one input over [-1, 1].
func intervalGC[F train.ModelFnCompatible](device compute.Backend, store *model.Store, modelFn F) float64 {
	const cells = 400
	x := make([]float64, cells)
	for i := range x {
		x[i] = -1 + 2*(float64(i)+0.5)/cells
	}
	everywhere, err := dataset.InMemoryFromData(device, "interval", []any{column(x)}, nil)
	Check(err)
	gc, err := gcml.Measure(Context(), device, store, modelFn, everywhere.BatchSize(cells, false))
	Check(err)
	return float64(gc.GC)
}

// column is a batch of single numbers, [len(values), 1].
func column(values []float64) *tensors.Tensor {
	return tensors.FromFlatDataAndDimensions(values, len(values), 1)
}
