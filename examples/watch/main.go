// Measures the geometric complexity (GC) of a network on fixed images while it is trained with
// noisy labels: in each step another random fifth of the labels is wrong. It prints a line for each
// measurement, and writes all results to gc.jsonl in the folder for temporary files:
//
//	step 100: GC 10.6 ± 0.1
//	step 200: GC 12.0 ± 0.1
//	step 300: GC 13.5 ± 0.1
//	step 400: GC 14.3 ± 0.2
package main

import (
	"fmt"
	"os"
	"path/filepath"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/ml/train"
	"github.com/gomlx/gomlx/ml/train/loss"
	"github.com/gomlx/gomlx/ml/train/optimizer"
	"github.com/janpfeifer/must"

	"github.com/geometric-complexity/toolkit/backend"
	"github.com/geometric-complexity/toolkit/datasets"
	"github.com/geometric-complexity/toolkit/gcml"
	"github.com/geometric-complexity/toolkit/layers"
)

// network maps images, shaped [batch, 784], to logits, shaped [batch, 10].
func network(scope *model.Scope, x *Node) *Node {
	return layers.MLP(scope, x).Hidden(1, 64).Outputs(10).Done()
}

func report(r gcml.StepResult) error {
	fmt.Printf("step %d: GC %.1f ± %.1f\n", r.Step, r.GC, float64(r.StdErr))
	return nil
}

func main() {
	device, _ := must.M2(backend.Open())
	images := must.M1(datasets.Load(datasets.NameFashionMNISTSubset, datasets.Train))
	flat := datasets.Format{Flat: true}
	noisy := must.M1(datasets.NewBatches(images, 100).Format(flat).Shuffle(1).Infinite().
		FreshLabelNoise(0.2, datasets.OtherClass, 1).Done())
	fixed := must.M1(datasets.NewBatches(must.M1(images.Balanced(20, 1)), 200).Format(flat).Done())

	store := model.NewStore()
	must.M(store.SetRNGStateFromSeed(1))
	trainer := train.NewTrainer(device, store, network, loss.SparseCategoricalCrossEntropyLogits,
		optimizer.StochasticGradientDescent().WithDecay(false).WithLearningRate(0.1).Done(), nil, nil)
	loop := train.NewLoop(trainer)
	watcher := must.M1(gcml.Watch(loop, gcml.EveryNSteps(100), network, fixed,
		gcml.WithReport(report), gcml.WithJSONLines(filepath.Join(os.TempDir(), "gc.jsonl"))))
	defer watcher.Finalize()
	must.M1(loop.RunSteps(noisy, 400))
}
