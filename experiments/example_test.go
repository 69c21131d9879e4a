package experiments_test

import (
	"context"
	"fmt"
	"os"

	"github.com/gomlx/compute"

	"example.com/geometric-complexity/experiments"
)

// The notebook and the command do the same: a configuration, changed where
// needed, and a run.
func ExampleDefinition_Run() {
	backend, err := compute.NewWithConfig("go")
	if err != nil {
		panic(err)
	}
	out, err := os.MkdirTemp("", "gcml-example")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(out)

	cfg := experiments.SimplicityBias.Config(experiments.Smoke)
	cfg.Width = 16
	cfg.SweepTime = 1
	env := experiments.Env{Backend: backend, BackendName: "go", Out: out}
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
