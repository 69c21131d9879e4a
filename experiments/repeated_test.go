package experiments

import (
	"testing"

	"github.com/geometric-complexity/toolkit/experiments/experiment"
)

func TestRepeatedBy(t *testing.T) {
	three := []int64{0, 1, 2}
	changed := GCRegularizer.Config(experiment.Smoke)
	changed.Steps, changed.Coefficients, changed.Dataset, changed.ResNet.Width = 7, []float64{0, 1e-4, 2}, "mnist", 3
	type words struct {
		Names []string `json:"names"`
		Title string   `json:"title"`
	}
	named := &experiment.Definition[words]{About: experiment.Info{Number: "99", Name: "named"},
		Config: func(experiment.Scale) words { return words{} }, Seeds: Demo.Seeds}
	demo := Demo.Config(experiment.Laptop)
	demo.Width = 64
	for _, tc := range []struct {
		name  string
		e     experiment.Experiment
		asked experiment.Scale
		cfg   any
		seeds []int64
		scale experiment.Scale
		want  string
	}{
		{"as the scale has it", SimplicityBias, experiment.Nearest, SimplicityBias.DefaultConfig(experiment.Paper),
			SimplicityBias.DefaultSeeds(experiment.Paper), experiment.Paper, "gcml run simplicity-bias --scale paper"},
		{"changed", GCRegularizer, experiment.Nearest, &changed, []int64{4, 5}, experiment.Smoke,
			"gcml run gc-regularizer --scale smoke --seeds 4,5 --set dataset=mnist --set steps=7 --set coefficients=0,0.0001,2 --set resnet.width=3"},
		{"words", named, experiment.Nearest, &words{[]string{"a", "b c"}, "it's"}, three, experiment.Laptop,
			`gcml run named --scale laptop --set 'names="a","b c"' --set 'title=it'"'"'s'`},
		{"no number", Demo, experiment.Nearest, &demo, three, experiment.Laptop, "gcml demo --set width=64"},
		// However near it is to another scale, the one that was asked for says what it is worth.
		{"asked for", SimplicityBias, experiment.Smoke, SimplicityBias.DefaultConfig(experiment.Smoke),
			SimplicityBias.DefaultSeeds(experiment.Desk), experiment.Smoke, "gcml run simplicity-bias --scale smoke --seeds 0,1,2,3,4,5,6,7,8,9"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			scale, command, err := experiment.RepeatedBy(tc.e, tc.asked, tc.cfg, tc.seeds)
			if err != nil || scale != tc.scale || command != tc.want {
				t.Errorf("scale %s, command %s, error %v; want %s, %s", scale, command, err, tc.scale, tc.want)
			}
		})
	}
}
