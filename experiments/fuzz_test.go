package experiments

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"github.com/geometric-complexity/toolkit/experiments/experiment"
	"github.com/geometric-complexity/toolkit/internal/settings"
)

func assertOneLine(t *testing.T, err error) {
	t.Helper()
	if text := err.Error(); text == "" || strings.Contains(text, "\n") {
		t.Errorf("want an error of one line, got %q", text)
	}
}

// FuzzSet: an assignment is refused in one line and leaves the configuration as it was, or the
// flags that tell the new configuration from the default make it again.
func FuzzSet(f *testing.F) {
	all := All()
	for i, e := range all {
		values := []string{"1", "0.5", "a", "1,2", "[]", "null", `"x"`, "true", "1e999", "-1"}
		for k, key := range settings.Keys(e.DefaultConfig(experiment.Smoke)) {
			f.Add(uint8(i), key+"="+values[(i+k)%len(values)])
		}
	}
	f.Add(uint8(0), "")
	f.Add(uint8(0), "=")
	f.Add(uint8(1), "nothing=1")
	f.Fuzz(func(t *testing.T, which uint8, assignment string) {
		e := all[int(which)%len(all)]
		before, cfg := e.DefaultConfig(experiment.Smoke), e.DefaultConfig(experiment.Smoke)
		if err := settings.Set(cfg, assignment); err != nil {
			assertOneLine(t, err)
			if !reflect.DeepEqual(cfg, before) {
				t.Errorf("%q was refused, but changed the configuration", assignment)
			}
			return
		}
		flags, err := settings.Difference(before, cfg)
		if err != nil {
			t.Fatalf("%q was accepted, but cannot be written: %v", assignment, err)
		}
		again := e.DefaultConfig(experiment.Smoke)
		for i := 1; i < len(flags); i += 2 {
			if err := settings.Set(again, flags[i]); err != nil {
				t.Fatalf("%q is told by the flag %q, which is refused: %v", assignment, flags[i], err)
			}
		}
		want, _ := json.Marshal(cfg)
		if got, err := json.Marshal(again); err != nil || string(got) != string(want) {
			t.Errorf("%q is told by %q, which make %s (%v), want %s", assignment, flags, got, err, want)
		}
	})
}
