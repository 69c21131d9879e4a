package experiments

import (
	"reflect"
	"strings"
	"testing"
)

func TestRepeatedBy(t *testing.T) {
	three := firstSeeds(3)
	changed := GCRegularizer.Config(Smoke)
	changed.Steps, changed.Coefficients, changed.Dataset, changed.ResNet.Width = 7, []float64{0, 1e-4, 2}, "mnist", 3
	type words struct {
		Names []string `json:"names"`
		Title string   `json:"title"`
	}
	named := &Definition[words]{About: Info{Number: "99", Name: "named"}, Config: func(Scale) words { return words{} }, Seeds: Demo.Seeds}
	demo := Demo.Config(Laptop)
	demo.Width = 64
	for _, tc := range []struct {
		name  string
		e     Experiment
		cfg   any
		seeds []int64
		scale Scale
		want  string
	}{
		{"as the scale has it", SimplicityBias, SimplicityBias.DefaultConfig(Paper), SimplicityBias.DefaultSeeds(Paper), Paper, "gcml run simplicity-bias --scale paper"},
		{"changed", GCRegularizer, &changed, []int64{4, 5}, Smoke, "gcml run gc-regularizer --scale smoke --seeds 4,5 --set dataset=mnist --set steps=7 --set coefficients=0,0.0001,2 --set resnet.width=3"},
		{"words", named, &words{[]string{"a", "b c"}, "it's"}, three, Laptop, `gcml run named --scale laptop --set 'names="a","b c"' --set 'title=it'\''s'`},
		{"no number", Demo, &demo, three, Laptop, "gcml demo --set width=64"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			scale, command, err := repeatedBy(tc.e, tc.cfg, tc.seeds)
			if err != nil || scale != tc.scale || command != tc.want {
				t.Errorf("scale %s, command %s, error %v; want %s, %s", scale, command, err, tc.scale, tc.want)
			}
		})
	}
}

// The flags that make one scale of another do so, for every key of every
// experiment.
func TestDifferenceSetsEveryKey(t *testing.T) {
	for _, e := range append(All(), Demo) {
		t.Run(e.Info().Name, func(t *testing.T) {
			want, got := e.DefaultConfig(Paper), e.DefaultConfig(Smoke)
			flags, err := difference(got, want)
			if err != nil {
				t.Fatal(err)
			}
			for i := 1; i < len(flags); i += 2 {
				if err := Set(got, flags[i]); err != nil {
					t.Errorf("--set %s: %v", flags[i], err)
				}
			}
			if !reflect.DeepEqual(got, want) {
				t.Errorf("%s give\n%+v\nwant\n%+v", strings.Join(flags, " "), got, want)
			}
		})
	}
}
