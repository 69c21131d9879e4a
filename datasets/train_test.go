package datasets

import (
	"slices"
	"testing"

	"github.com/gomlx/compute"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/layers"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/ml/train"
	"github.com/gomlx/gomlx/ml/train/loss"
	"github.com/gomlx/gomlx/ml/train/optimizer"

	"github.com/geometric-complexity/toolkit/internal/gctest"
)

// linearTrainer trains a linear classifier by plain SGD.
func linearTrainer(t *testing.T, backend compute.Backend, store *model.Store) *train.Trainer {
	t.Helper()
	if err := store.SetRNGStateFromSeed(1); err != nil {
		t.Fatal(err)
	}
	logits := func(scope *model.Scope, x *graph.Node) *graph.Node {
		return layers.Dense(scope.In("linear"), x, true, 10)
	}
	sgd := optimizer.StochasticGradientDescent().WithDecay(false).WithLearningRate(0.1).Done()
	return train.NewTrainer(backend, store, logits, loss.SparseCategoricalCrossEntropyLogits, sgd, nil, nil)
}

// The datasets work with GoMLX's trainer and loop: a linear classifier learns, evaluation includes
// a short last batch, and an interrupted run ends with exactly the weights of an uninterrupted one.
func TestTrainWithLoop(t *testing.T) {
	images, err := Load(NameFashionMNISTSubset, Train)
	if err != nil {
		t.Fatal(err)
	}
	if images, err = images.Balanced(20, 1); err != nil { // 200 images, so that batches of 64 cross epochs.
		t.Fatal(err)
	}
	gctest.ForEachBackend(t, func(t *testing.T, backend compute.Backend) {
		run := func(cuts ...int) (weights []float32, before, after float32) {
			store := model.NewStore()
			trainer := linearTrainer(t, backend, store)
			held := done(t, NewBatches(images, 64).Format(Format{Flat: true}))
			evaluate := func() float32 {
				metrics, err := trainer.Eval(held)
				if err != nil {
					t.Fatal(err)
				}
				return tensors.ToScalar[float32](metrics[0])
			}
			before = evaluate()
			loop := train.NewLoop(trainer)
			ds := done(t, NewBatches(images, 64).Format(Format{Flat: true}).Shuffle(7).Infinite().DropLast())
			for _, end := range cuts {
				rest, err := ds.StartingAt(loop.LoopStep)
				if err != nil {
					t.Fatal(err)
				}
				if _, err := loop.RunSteps(rest, end-loop.LoopStep); err != nil {
					t.Fatal(err)
				}
			}
			weights, err := tensors.CopyFlatData[float32](store.GetVariable("/linear/dense/weights").MustValue())
			if err != nil {
				t.Fatal(err)
			}
			return weights, before, evaluate()
		}
		whole, before, after := run(20)
		if !(after < 0.7*before) {
			t.Errorf("20 steps reduced the loss only from %g to %g", before, after)
		}
		if cut, _, _ := run(4, 11, 20); !slices.Equal(cut, whole) {
			t.Error("the run that was interrupted at steps 4 and 11 ended with other weights")
		}
	})
}
