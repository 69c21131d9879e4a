// Package machine describes the machine that a program runs on.
package machine

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
)

// Processor returns the model name of the processor as Linux reports it, or else the architecture
// that the program was built for.
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

// Memory returns how many bytes of memory the program may use: the machine's memory, or the limit
// of its control group if that is lower. ok is false if the system reports no memory.
func Memory() (bytes int64, ok bool) {
	info, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return 0, false
	}
	if bytes, ok = totalMemory(string(info)); !ok {
		return 0, false
	}
	for _, path := range []string{"/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"} {
		if raw, err := os.ReadFile(path); err == nil {
			if limit, err := strconv.ParseInt(strings.TrimSpace(string(raw)), 10, 64); err == nil {
				bytes = min(bytes, limit)
			}
		}
	}
	return bytes, true
}

// totalMemory reads the line "MemTotal: 24576000 kB".
func totalMemory(meminfo string) (bytes int64, ok bool) {
	for line := range strings.Lines(meminfo) {
		if words := strings.Fields(line); len(words) == 3 && words[0] == "MemTotal:" && words[2] == "kB" {
			kilobytes, err := strconv.ParseInt(words[1], 10, 64)
			return kilobytes << 10, err == nil
		}
	}
	return 0, false
}

// HasNVIDIA says whether this machine has an NVIDIA device. It is a variable so that tests can
// replace it.
var HasNVIDIA = func() bool {
	for _, pattern := range []string{"/dev/nvidia[0-9]*", "/dev/nvidiactl", "/dev/dxg"} {
		if found, _ := filepath.Glob(pattern); len(found) > 0 {
			return true
		}
	}
	return false
}

// Bytes formats a number of bytes in decimal units, such as "7.4 TB".
func Bytes(bytes float64) string {
	if bytes < 1000 {
		return fmt.Sprintf("%.0f B", bytes)
	}
	units := "kMGTPE"
	for bytes /= 1000; bytes >= 999.5 && len(units) > 1; units = units[1:] {
		bytes /= 1000
	}
	return fmt.Sprintf("%.3g %cB", bytes, units[0])
}
