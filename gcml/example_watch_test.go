package gcml_test

import (
	"fmt"
	"log"
	"os"
	"path/filepath"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/dataset"
	"github.com/gomlx/gomlx/ml/layers"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/ml/train"
	"github.com/gomlx/gomlx/ml/train/loss"
	"github.com/gomlx/gomlx/ml/train/optimizer"

	"github.com/geometric-complexity/toolkit/gcml"
)

// The GC on a fixed set during training, also written to a file of JSON lines.
func ExampleWatch() {
	network := func(scope *model.Scope, x *Node) *Node {
		return layers.Dense(scope.In("output"), Tanh(layers.Dense(scope.In("hidden"), x, true, 8)), true, 1)
	}
	backend := openBackend()
	store := model.NewStore()
	if err := store.SetRNGStateFromSeed(1); err != nil {
		log.Fatal(err)
	}
	points, err := dataset.InMemoryFromData(backend, "points", []any{[][]float64{{-1}, {0}, {1}}},
		[]any{[][]float64{{1}, {0}, {1}}})
	if err != nil {
		log.Fatal(err)
	}
	fixed, err := dataset.InMemoryFromData(backend, "fixed", []any{[][]float64{{-0.5}, {0.5}, {0.75}}}, nil)
	if err != nil {
		log.Fatal(err)
	}
	folder, err := os.MkdirTemp("", "watch")
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = os.RemoveAll(folder) }()
	path := filepath.Join(folder, "gc.jsonl")

	trainer := train.NewTrainer(backend, store, network, loss.MeanSquaredError,
		optimizer.StochasticGradientDescent().WithDecay(false).WithLearningRate(0.1), nil, nil)
	loop := train.NewLoop(trainer)
	watcher, err := gcml.Watch(loop, gcml.EveryNSteps(100), network, fixed.BatchSize(3, false), gcml.WithJSONLines(path))
	if err != nil {
		log.Fatal(err)
	}
	defer watcher.Finalize()
	if _, err := loop.RunSteps(points.BatchSize(3, false).Infinite(true), 300); err != nil {
		log.Fatal(err)
	}
	for _, r := range watcher.Results() {
		fmt.Printf("step %d: GC %.3f ± %.3f\n", r.Step, r.GC, float64(r.StdErr))
	}
	// Output:
	// step 100: GC 1.290 ± 0.490
	// step 200: GC 1.350 ± 0.512
	// step 300: GC 1.350 ± 0.512
}
