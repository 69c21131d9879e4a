package machine

import (
	"runtime"
	"testing"
)

func TestProcessor(t *testing.T) {
	for _, tc := range []struct{ name, cpuinfo, want string }{
		{"model", "processor\t: 0\nmodel\t\t: 106\nmodel name\t: A Processor @ 2 GHz\nprocessor\t: 1\nmodel name\t: another\n", "A Processor @ 2 GHz"},
		{"none", "processor\t: 0\nBogoMIPS\t: 50\n", runtime.GOARCH},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := processor(tc.cpuinfo); got != tc.want {
				t.Errorf("processor %q; want %q", got, tc.want)
			}
		})
	}
}
