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

func TestTotalMemory(t *testing.T) {
	if bytes, ok := totalMemory("MemFree: 1 kB\nMemTotal:       24576 kB\n"); !ok || bytes != 24576*1024 {
		t.Errorf("%d, %v; want %d", bytes, ok, 24576*1024)
	}
	for _, meminfo := range []string{"", "MemTotal: many kB\n", "MemTotal: 1 MB\n"} {
		if bytes, ok := totalMemory(meminfo); ok {
			t.Errorf("%q: %d bytes; want none", meminfo, bytes)
		}
	}
}

func TestBytes(t *testing.T) {
	for bytes, want := range map[float64]string{0: "0 B", 999: "999 B", 1e3: "1 kB", 999.6e3: "1 MB", 7.44e12: "7.44 TB",
		1e30: "1e+12 EB"} {
		if got := Bytes(bytes); got != want {
			t.Errorf("%g bytes are %s; want %s", bytes, got, want)
		}
	}
}
