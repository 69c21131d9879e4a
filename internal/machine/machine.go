// Package machine names the machine that a program runs on.
package machine

import (
	"os"
	"runtime"
	"strings"
)

// Processor is the processor's model where Linux says it, and otherwise the
// architecture that the program was built for.
func Processor() string {
	info, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return runtime.GOARCH
	}
	return processor(string(info))
}

func processor(cpuinfo string) string {
	for line := range strings.Lines(cpuinfo) {
		if key, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(key) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return runtime.GOARCH
}
