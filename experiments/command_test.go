package experiments

import (
	"reflect"
	"strings"
	"testing"

	"github.com/geometric-complexity/toolkit/experiments/experiment"
	"github.com/geometric-complexity/toolkit/internal/settings"
)

// The flags that make one scale of another do so, for every key of every
// experiment.
func TestDifferenceSetsEveryKey(t *testing.T) {
	for _, e := range append(All(), Demo) {
		t.Run(e.Info().Name, func(t *testing.T) {
			want, got := e.DefaultConfig(experiment.Paper), e.DefaultConfig(experiment.Smoke)
			flags, err := settings.Difference(got, want)
			if err != nil {
				t.Fatal(err)
			}
			for i := 1; i < len(flags); i += 2 {
				if err := settings.Set(got, flags[i]); err != nil {
					t.Errorf("--set %s: %v", flags[i], err)
				}
			}
			if !reflect.DeepEqual(got, want) {
				t.Errorf("%s give\n%+v\nwant\n%+v", strings.Join(flags, " "), got, want)
			}
		})
	}
}
