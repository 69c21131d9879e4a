package gctest_test

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/gomlx/compute"

	"github.com/geometric-complexity/toolkit/internal/gctest"
)

// TestRequireXLA runs itself in child processes that find no plugin. It checks that the XLA subtest
// is skipped, and that it fails if XLA is required.
func TestRequireXLA(t *testing.T) {
	if os.Getenv("GCML_TEST_CHILD") != "" {
		gctest.ForEachBackend(t, func(*testing.T, compute.Backend) {})
		return
	}
	if matches, _ := os.ReadDir("/usr/local/lib/go-xla"); len(matches) > 0 {
		t.Skip("a plugin is installed for the whole system")
	}
	for setting, want := range map[string]string{
		"OTHER=1":            "--- SKIP: TestRequireXLA/xla",
		"GCML_REQUIRE_XLA=1": "--- FAIL: TestRequireXLA/xla",
	} {
		child := exec.Command(os.Args[0], "-test.v", "-test.run=^TestRequireXLA$")
		child.Dir = t.TempDir()
		child.Env = []string{"GCML_TEST_CHILD=1", "HOME=" + child.Dir, setting}
		out, err := child.CombinedOutput()
		if failed := strings.Contains(want, "FAIL"); !strings.Contains(string(out), want) || (err != nil) != failed ||
			!strings.Contains(string(out), "--- PASS: TestRequireXLA/go") {
			t.Errorf("with %s (%v):\n%s", setting, err, out)
		}
	}
}

// TestBackends runs itself in child processes that find no plugin. It checks which subtests
// EnvBackends selects.
func TestBackends(t *testing.T) {
	if os.Getenv("GCML_TEST_CHILD") != "" {
		gctest.ForEachBackend(t, func(*testing.T, compute.Backend) {})
		return
	}
	for list, want := range map[string]string{
		"go":      "--- PASS: TestBackends/go",
		"go,cuda": "GCML_TEST_BACKENDS names cuda, which does not open: ", // A named backend has to open.
		"gpu":     `GCML_TEST_BACKENDS="gpu": no backend "gpu"; known: go, xla, cuda`,
	} {
		child := exec.Command(os.Args[0], "-test.v", "-test.run=^TestBackends$")
		child.Dir = t.TempDir()
		child.Env = []string{"GCML_TEST_CHILD=1", "HOME=" + child.Dir, gctest.EnvBackends + "=" + list}
		out, err := child.CombinedOutput()
		if !strings.Contains(string(out), want) || (err == nil) != (list == "go") ||
			strings.Contains(string(out), "TestBackends/xla") {
			t.Errorf("%s (%v):\n%s", list, err, out)
		}
	}
}
