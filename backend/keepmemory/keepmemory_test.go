//go:build linux && cgo && !noxla

package keepmemory

import (
	"os"
	"os/exec"
	"testing"

	"github.com/geometric-complexity/toolkit/backend/keepmemory/internal/mallocinfo"
)

// blockSize is more than the C library keeps by itself.
const blockSize = 256 << 20

// TestKept checks, in processes of their own and with glibc, that a large block is kept, unless the
// user has set how the C library allocates.
func TestKept(t *testing.T) {
	if os.Getenv("GCML_TEST_CHILD") != "" {
		if mallocinfo.Mapped(blockSize) {
			os.Exit(3)
		}
		os.Exit(0)
	}
	for setting, kept := range map[string]bool{
		"OTHER=1":                               true,
		"MALLOC_ARENA_MAX=7":                    false,
		"GLIBC_TUNABLES=glibc.malloc.perturb=0": false,
	} {
		child := exec.Command(os.Args[0], "-test.run=^TestKept$")
		child.Env = []string{"GCML_TEST_CHILD=1", setting}
		if err := child.Run(); (err == nil) != kept || child.ProcessState.ExitCode()%3 != 0 {
			t.Errorf("with %s: %v", setting, err)
		}
	}
}
