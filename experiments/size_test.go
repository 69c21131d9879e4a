package experiments

import (
	"strings"
	"testing"

	"github.com/geometric-complexity/toolkit/experiments/experiment"
	"github.com/geometric-complexity/toolkit/internal/settings"
)

func TestCheckSize(t *testing.T) {
	for _, e := range All() {
		for _, scale := range experiment.Scales() {
			if err := settings.CheckSize(e.DefaultConfig(scale)); err != nil {
				t.Errorf("%s at scale %s: %v", e.Info().Name, scale, err)
			}
		}
	}
	for _, tc := range []struct{ name, assignment, want string }{
		{"the-measure", "points=100000000000", "needs at least 4 TB of memory, and this machine has "},
		{"the-measure", "width=9223372036854775807", " EB of memory"},
		{"the-measure", "functions=100000000000", "functions is 100000000000, want at most 100000"},
		{"gc-regularizer", "resnet.width=9223372036854775807", "resnet: needs "},
		{"gc-regularizer", "resnet.pool=-1", "resnet.pool is -1, want 0 or more"},
		{"gc-regularizer", "steps=9223372036854775807", "steps is 9223372036854775807, want at most"},
		{"double-descent", "widths=8,9223372036854775807", "needs "},
	} {
		e, err := Find(tc.name)
		if err != nil {
			t.Fatal(err)
		}
		cfg := e.DefaultConfig(experiment.Smoke)
		if err := settings.Set(cfg, tc.assignment); err != nil {
			t.Fatal(err)
		}
		if _, err := e.Plan(cfg, []int64{0}); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: error %v; want %q", tc.assignment, err, tc.want)
		}
	}
}
