package runs_test

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/gomlx/compute"

	"github.com/geometric-complexity/toolkit/datasets"
	"github.com/geometric-complexity/toolkit/experiments/runs"
	"github.com/geometric-complexity/toolkit/experiments/runs/runstest"
	"github.com/geometric-complexity/toolkit/experiments/training"
)

// temporaryEnv returns an environment on the pure-Go backend with a temporary output folder, and a
// function that removes the folder.
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

// small returns a training of a few seconds on the embedded images.
func small() runs.Run {
	return runs.Run{Label: "small", Seed: 1, Task: &training.Train{
		Data:    training.Data{Name: datasets.NameFashionMNISTSubset, Train: 500, Test: 100, Measure: 100},
		Network: training.MLP(1, 16), LearningRate: 0.1, BatchSize: 50, Steps: 40, Measurements: 1}}
}

// A run's address is a hash of everything that decides its numbers; its label does not.
func ExampleRun_Address() {
	run, same, other := small(), small(), small()
	same.Label = "another name"
	other.Seed = 2
	var addresses []string
	for _, r := range []runs.Run{run, same, other} {
		address, err := r.Address("go")
		if err != nil {
			panic(err)
		}
		addresses = append(addresses, address)
	}
	fmt.Println(len(addresses[0]), addresses[0] == addresses[1], addresses[0] == addresses[2])
	// Output: 16 true false
}

// A schedule does the runs that are not complete yet: the second time there are none.
func ExampleSchedule_Run() {
	env, remove := temporaryEnv()
	defer remove()
	part := &runs.Part{Runs: []runs.Run{small()}, Out: env.Out}
	schedule := runs.Schedule{Items: runs.Items(part), BackendName: env.BackendName}
	for range 2 {
		reused, err := schedule.Run(context.Background(), runs.NewWorker(env))
		if err != nil {
			panic(err)
		}
		fmt.Println(reused[part], "of", len(part.Runs), "runs was complete already")
	}
	record, err := runs.Lookup(env.Out, env.BackendName, small())
	if err != nil {
		panic(err)
	}
	fmt.Printf("GC on test data from %.2f to %.2f\n", record.Points[0].Value("test_gc"), record.FinalValue("test_gc"))
	// Output:
	// 0 of 1 runs was complete already
	// 1 of 1 runs was complete already
	// GC on test data from 5.37 to 11.75
}

// An interrupted run resumes from its checkpoint and ends with the same weights.
func ExampleInterruptedError() {
	env, remove := temporaryEnv()
	defer remove()
	ctx, cancel := context.WithCancel(context.Background())
	stopping := env
	stopping.Progress = cancelOnAdd{cancel}
	_, err := runstest.Do(ctx, stopping, small())
	fmt.Println(err)
	resumed, err := runstest.Do(context.Background(), env, small())
	if err != nil {
		panic(err)
	}

	whole, remove := temporaryEnv()
	defer remove()
	uninterrupted, err := runstest.Do(context.Background(), whole, small())
	if err != nil {
		panic(err)
	}
	fmt.Println(resumed.Provenance.Starts, "starts, the same weights:", resumed.Weights == uninterrupted.Weights)
	// Output:
	// interrupted at step 1 of 40 (small, seed 1); what was done is saved
	// 2 starts, the same weights: true
}

// cancelOnAdd is a progress display that cancels the context after the first step.
type cancelOnAdd struct{ cancel func() }

func (cancelOnAdd) Start(int64, string) {}
func (cancelOnAdd) Describe(string)     {}
func (cancelOnAdd) Left(time.Duration)  {}
func (cancelOnAdd) Finish()             {}
func (c cancelOnAdd) Add(int64)         { c.cancel() }
