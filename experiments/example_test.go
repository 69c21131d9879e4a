package experiments_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/gomlx/compute"

	"example.com/geometric-complexity/datasets"
	"example.com/geometric-complexity/experiments"
	"example.com/geometric-complexity/gcml"
)

// temporaryEnv runs on the pure Go backend, in a folder that the second result
// removes.
func temporaryEnv() (env experiments.Env, remove func()) {
	backend, err := compute.NewWithConfig("go")
	if err != nil {
		panic(err)
	}
	out, err := os.MkdirTemp("", "gcml-example")
	if err != nil {
		panic(err)
	}
	return experiments.Env{Backend: backend, BackendName: "go", Out: out}, func() { os.RemoveAll(out) }
}

// The notebook and the command do the same: a configuration, changed where
// needed, and a run.
func ExampleDefinition_Run() {
	env, remove := temporaryEnv()
	defer remove()
	cfg := experiments.SimplicityBias.Config(experiments.Smoke)
	cfg.Width = 16
	cfg.SweepTime = 1
	result, err := experiments.SimplicityBias.Run(context.Background(), env, cfg, []int64{0, 1, 2})
	if err != nil {
		panic(err)
	}
	for _, claim := range result.Claims[1:2] {
		fmt.Printf("%s: %s\n", claim.Text, claim.Verdict)
	}
	fmt.Println(len(result.Runs), "runs,", result.Figures[0])
	// Output:
	// GC rises while the network fits: holds
	// 9 runs, figures/simplicity-bias.png
}

func ExampleSet() {
	cfg := experiments.GCRegularizer.Config(experiments.Laptop)
	fmt.Println(experiments.Set(&cfg, "coefficients=0,0.01"), cfg.Coefficients)
	fmt.Println(experiments.Set(&cfg, "coeficients=0,1"))
	// Output:
	// <nil> [0 0.01]
	// unknown key "coeficients"; did you mean "coefficients"?
}

func ExampleFind() {
	e, err := experiments.Find("5")
	fmt.Println(e.Info().Number, e.Info().Name, err)
	_, err = experiments.Find("simplicity-bais")
	fmt.Println(err)
	// Output:
	// 05 gc-regularizer <nil>
	// unknown experiment "simplicity-bais"; did you mean "simplicity-bias"?
}

func ExampleAll() {
	first := experiments.All()[0].Info()
	fmt.Println(first.Number, first.Title)
	fmt.Println(first.Claims[0].Text)
	// Output:
	// 00 The measure: closed forms and bounds
	// the GC of a linear map is its squared Frobenius norm
}

func ExampleParseScale() {
	fmt.Println(experiments.ParseScale("laptop"))
	_, err := experiments.ParseScale("latop")
	fmt.Println(err)
	// Output:
	// laptop <nil>
	// unknown scale "latop"; did you mean "laptop"?
}

func ExampleKeys() {
	fmt.Println(experiments.Keys(&experiments.DemoConfig{}))
	// Output: [hidden_layers width learning_rate batch_size steps coefficient]
}

// small is a training of a few seconds on the embedded images.
func small() experiments.Run {
	return experiments.Run{Label: "small", Seed: 1, Task: &experiments.Train{
		Data:    experiments.Data{Name: datasets.NameFashionMNISTSubset, Train: 500, Test: 100, Measure: 100},
		Network: experiments.MLP(1, 16), LearningRate: 0.1, BatchSize: 50, Steps: 40, Measurements: 1}}
}

// A run's address is a hash of all that decides its numbers: not of its label.
func ExampleRun_Address() {
	run, same, other := small(), small(), small()
	same.Label = "another name"
	other.Seed = 2
	var addresses []string
	for _, r := range []experiments.Run{run, same, other} {
		address, err := r.Address("go")
		if err != nil {
			panic(err)
		}
		addresses = append(addresses, address)
	}
	fmt.Println(len(addresses[0]), addresses[0] == addresses[1], addresses[0] == addresses[2])
	// Output: 16 true false
}

// A single run, and the network it leaves, measured on all test images.
func ExampleOpenRun() {
	env, remove := temporaryEnv()
	defer remove()
	record, err := experiments.Execute(context.Background(), env, small())
	if err != nil {
		panic(err)
	}
	fmt.Println(record.Status, "at step", record.Final().Step)

	trained, err := experiments.OpenRun(filepath.Join(env.Out, "runs", record.Hash))
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

// A run that is complete is not done again: its record is read.
func ExampleExecute() {
	env, remove := temporaryEnv()
	defer remove()
	first, err := experiments.Execute(context.Background(), env, small())
	if err != nil {
		panic(err)
	}
	second, err := experiments.Execute(context.Background(), env, small())
	if err != nil {
		panic(err)
	}
	fmt.Println(second.Provenance.Starts, first.Weights == second.Weights, first.Provenance.Finished.Equal(second.Provenance.Finished))
	fmt.Printf("GC on test data from %.2f to %.2f\n", first.Points[0].Value("test_gc"), first.FinalValue("test_gc"))
	// Output:
	// 1 true true
	// GC on test data from 5.37 to 11.75
}

// An interrupted run goes on from its checkpoint, and comes to the same weights.
func ExampleInterruptedError() {
	env, remove := temporaryEnv()
	defer remove()
	ctx, cancel := context.WithCancel(context.Background())
	stopping := env
	stopping.Progress = cancelOnAdd{cancel}
	_, err := experiments.Execute(ctx, stopping, small())
	fmt.Println(err)
	resumed, err := experiments.Execute(context.Background(), env, small())
	if err != nil {
		panic(err)
	}

	whole, remove := temporaryEnv()
	defer remove()
	uninterrupted, err := experiments.Execute(context.Background(), whole, small())
	if err != nil {
		panic(err)
	}
	fmt.Println(resumed.Provenance.Starts, "starts, the same weights:", resumed.Weights == uninterrupted.Weights)
	// Output:
	// interrupted at step 1 of 40 (small, seed 1); what was done is saved
	// 2 starts, the same weights: true
}

// cancelOnAdd is a progress display that interrupts the work at its first step.
type cancelOnAdd struct{ cancel func() }

func (cancelOnAdd) Start(int64, string) {}
func (cancelOnAdd) Describe(string)     {}
func (cancelOnAdd) Left(time.Duration)  {}
func (cancelOnAdd) Finish()             {}
func (c cancelOnAdd) Add(int64)         { c.cancel() }

func ExampleClaimsText() {
	fmt.Print(experiments.ClaimsText([]experiments.Claim{{Text: "GC rises while the network fits",
		Evidence: "rank correlation 0.98 with the step", Criterion: "interval above 0", Verdict: experiments.Holds}}))
	// Output:
	// HOLDS          GC rises while the network fits
	//                rank correlation 0.98 with the step
	//                holds if: interval above 0
}
