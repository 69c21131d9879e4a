package training_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/gomlx/compute"

	"github.com/geometric-complexity/toolkit/datasets"
	"github.com/geometric-complexity/toolkit/experiments/runs"
	"github.com/geometric-complexity/toolkit/experiments/runs/runstest"
	"github.com/geometric-complexity/toolkit/experiments/training"
	"github.com/geometric-complexity/toolkit/gcml"
)

// temporaryEnv returns an Env with the pure Go backend and a temporary folder, which remove
// deletes.
func temporaryEnv() (env runs.Env, remove func()) {
	backend, err := compute.NewWithConfig("go")
	if err != nil {
		panic(err)
	}
	out, err := os.MkdirTemp("", "gcml-example")
	if err != nil {
		panic(err)
	}
	return runs.Env{Backend: backend, BackendName: "go", Out: out}, func() { os.RemoveAll(out) }
}

// A single run, and a measurement of its trained network on all test images.
func ExampleOpenRun() {
	env, remove := temporaryEnv()
	defer remove()
	run := runs.Run{Label: "small", Seed: 1, Task: &training.Train{
		Data:    training.Data{Name: datasets.NameFashionMNISTSubset, Train: 500, Test: 100, Measure: 100},
		Network: training.MLP(1, 16), LearningRate: 0.1, BatchSize: 50, Steps: 40, Measurements: 1}}
	record, err := runstest.Do(context.Background(), env, run)
	if err != nil {
		panic(err)
	}
	fmt.Println(record.Status, "at step", record.Final().Step)

	trained, err := training.OpenRun(filepath.Join(env.Out, "runs", record.Hash))
	if err != nil {
		panic(err)
	}
	ds, err := trained.Dataset("", datasets.Test, 0, 250)
	if err != nil {
		panic(err)
	}
	result, err := gcml.Measure(context.Background(), env.Backend, trained.Store, trained.Model, ds)
	if err != nil {
		panic(err)
	}
	fmt.Printf("GC %.2f ± %.2f over %d examples\n", result.GC, result.StdErr, result.Examples)
	// Output:
	// complete at step 40
	// GC 11.57 ± 0.04 over 1000 examples
}
