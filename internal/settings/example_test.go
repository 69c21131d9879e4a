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
	fmt.Println(settings.Set(&cfg, "coefficients=0,null,1"))
	fmt.Println(settings.Set(&cfg, "steps=null"))
	// Output:
	// <nil> [0 0.01]
	// unknown key "coeficients"; did you mean "coefficients"?
	// key "coefficients": "0,null,1" is not a list of numbers
	// key "steps": "null" is not a whole number
}

func ExampleSetAll() {
	cfg := experiments.GCRegularizer.Config(experiment.Laptop)
	fmt.Println(settings.SetAll(&cfg, []string{"steps=5", "width=7"}), cfg.Steps, cfg.Width)
	fmt.Println(settings.SetAll(&cfg, []string{"steps=5", "steps=6"}))
	// Output:
	// <nil> 5 7
	// key "steps" is set twice, by "steps=5" and "steps=6": give one of them
}

func ExampleKeys() {
	fmt.Println(settings.Keys(&experiments.DemoConfig{}))
	// Output: [train label_noise hidden_layers width learning_rate batch_size steps coefficient]
}
