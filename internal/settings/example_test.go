package settings_test

import (
	"fmt"

	"github.com/geometric-complexity/toolkit/experiments"
	"github.com/geometric-complexity/toolkit/experiments/experiment"
	"github.com/geometric-complexity/toolkit/internal/settings"
)

func ExampleSet() {
	cfg := experiments.GCRegularizer.Config(experiment.Laptop)
	fmt.Println(settings.Set(&cfg, "coefficients=0,0.01"), cfg.Coefficients)
	fmt.Println(settings.Set(&cfg, "coeficients=0,1"))
	// Output:
	// <nil> [0 0.01]
	// unknown key "coeficients"; did you mean "coefficients"?
}

func ExampleKeys() {
	fmt.Println(settings.Keys(&experiments.DemoConfig{}))
	// Output: [train label_noise hidden_layers width learning_rate batch_size steps coefficient]
}
