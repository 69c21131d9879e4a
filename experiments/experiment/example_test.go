package experiment_test

import (
	"context"
	"fmt"
	"os"

	"github.com/gomlx/compute"

	"github.com/geometric-complexity/toolkit/experiments"
	"github.com/geometric-complexity/toolkit/experiments/experiment"
	"github.com/geometric-complexity/toolkit/experiments/runs"
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

// Notebooks and the command do the same: they change a configuration and run it. The smoke scale is
// too small to decide a claim.
func ExampleDefinition_Run() {
	env, remove := temporaryEnv()
	defer remove()
	cfg := experiments.SimplicityBias.Config(experiment.Smoke)
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
	// GC rises while the network fits: no verdict
	// 9 runs, figures/simplicity-bias.png
}

func ExampleParseScale() {
	fmt.Println(experiment.ParseScale("laptop"))
	_, err := experiment.ParseScale("latop")
	fmt.Println(err)
	// Output:
	// laptop <nil>
	// unknown scale "latop"; did you mean "laptop"?
}
