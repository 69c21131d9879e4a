//go:build linux && cgo && !noxla

package keepmemory

import (
	"os"
	"os/exec"
	"testing"

	"github.com/geometric-complexity/toolkit/backend/keepmemory/internal/mallocinfo"
)

// blockSize is larger than the blocks that the C library keeps by itself, and largeBlock larger
// than those that this package makes it keep.
const blockSize, largeBlock = 256 << 20, 1 << 30

// TestKept checks, in processes of their own and with glibc, that a block is kept, unless it is
// large or the user has set how the C library allocates.
func TestKept(t *testing.T) {
	if os.Getenv("GCML_TEST_CHILD") != "" {
		if !mallocinfo.Mapped(largeBlock) {
			os.Exit(6)
		}
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
		err := child.Run()
		if code := child.ProcessState.ExitCode(); (err == nil) != kept || code != 0 && code != 3 {
			t.Errorf("with %s the exit code is %d, want 0 if the block is kept (%v) and 3 if not", setting, code, kept)
		}
	}
}
