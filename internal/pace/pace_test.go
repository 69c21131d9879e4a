package pace

import (
	"testing"
	"testing/synctest"
	"time"
)

func TestLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // The clock stands still, however busy the machine is.
		ago := func(d time.Duration) time.Time { return time.Now().Add(-d) }
		for _, tc := range []struct {
			name string
			pace Pace
			want string
		}{
			{"not started", Pace{Total: 10}, ""},
			{"before the compiler is done", Pace{Total: 10, Done: 1, begin: ago(time.Second)}, ""},
			{"a quarter done in a minute", Pace{Total: 40, Done: 10, begin: ago(time.Minute)}, "about 3m0s left"},
			{"too few of many", Pace{Total: 4000, Done: 19, begin: ago(time.Minute)}, ""},
			{"enough of many", Pace{Total: 4000, Done: 20, begin: ago(time.Minute)}, "about 3h19m left"},
			{"everything done", Pace{Total: 10, Done: 10, begin: ago(time.Minute)}, "about 0s left"},
			{"an estimate, half a minute old",
				Pace{Total: 40, Done: 10, begin: ago(time.Minute), left: time.Minute, estimated: ago(30 * time.Second)},
				"about 30s left"},
			{"an estimate that has passed",
				Pace{Total: 40, Done: 10, begin: ago(time.Hour), left: time.Minute, estimated: ago(time.Hour)}, "about 0s left"},
			{"no estimate yet", Pace{Total: 40, Done: 10, begin: ago(time.Minute), left: -1, estimated: ago(0)}, ""},
		} {
			if got := tc.pace.LeftText(); got != tc.want {
				t.Errorf("%s: %q, want %q", tc.name, got, tc.want)
			}
		}
	})
}

func TestPercent(t *testing.T) {
	var p Pace
	p.Start(300)
	p.Add(100)
	p.Add(99)
	if got := p.Percent(); got != 66 {
		t.Errorf("199 of 300 units are %d %%, want 66 %%", got)
	}
	p.Start(0)
	if got := p.Percent(); got != 0 {
		t.Errorf("0 of 0 units are %d %%, want 0 %%", got)
	}
}

func TestText(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0:                              "0s",
		200*time.Second + 400e6:        "3m20s",
		2*time.Hour + 5*time.Minute:    "2h5m",
		time.Hour - time.Millisecond:   "1h0m0s",
		26*time.Hour + 29*time.Second:  "26h0m",
		time.Hour + 31*time.Second + 1: "1h1m",
	} {
		if got := Text(d); got != want {
			t.Errorf("%d ns is %q, want %q", d, got, want)
		}
	}
}
