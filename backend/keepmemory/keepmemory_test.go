//go:build linux && cgo && !noxla && !asan && !msan

package keepmemory

import (
	"fmt"
	"os"
	"os/exec"
	"sync"
	"testing"

	"github.com/geometric-complexity/toolkit/backend"
	"github.com/geometric-complexity/toolkit/backend/keepmemory/internal/heaptest"
)

// block is larger than those that the C library keeps by itself, and largest as large as those that
// this package gives back.
const block, largest = 256 << 20, 1 << 30

// few page faults are those of a block whose memory was kept.
const few = 64

// child runs this test again in a process with these environment variables alone, where
// GCML_TEST_CHILD is set, and returns its output.
func child(t *testing.T, settings ...string) string {
	t.Helper()
	program := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$")
	program.Env = append(settings, "GCML_TEST_CHILD=1", "HOME=/")
	out, err := program.CombinedOutput()
	if err != nil {
		t.Fatalf("with %v: %v\n%s", settings, err, out)
	}
	return string(out)
}

func isChild() bool { return os.Getenv("GCML_TEST_CHILD") != "" }

// TestKept checks, in processes of their own and with glibc, that a block is kept, unless it is one
// of the largest or the user has set how the C library allocates.
func TestKept(t *testing.T) {
	if isChild() {
		heaptest.Faults(block)
		kept := heaptest.Faults(block) < few
		heaptest.Faults(largest)
		fmt.Println("kept", kept, heaptest.Faults(largest) < few)
		os.Exit(0)
	}
	for setting, want := range map[string]string{
		"OTHER=1":                               "kept true false\n",
		"MALLOC_ARENA_MAX=7":                    "kept false false\n",
		"GLIBC_TUNABLES=glibc.malloc.perturb=0": "kept false false\n",
	} {
		if out := child(t, setting); out != want {
			t.Errorf("with %s: %q, want %q", setting, out, want)
		}
	}
}

// TestMerged checks that small blocks make room for a large one again, in whatever order they are
// freed, and that FreeOSMemory gives the memory back.
func TestMerged(t *testing.T) {
	if isChild() {
		heaptest.AllocateAndFree(block/64, 64)
		kept := heaptest.Faults(block) < few
		backend.FreeOSMemory()
		fmt.Println("kept", kept, heaptest.Faults(block) < few)
		os.Exit(0)
	}
	if out, want := child(t), "kept true false\n"; out != want {
		t.Errorf("%q, want %q", out, want)
	}
}

// TestStress checks that no block overlaps with another one, while threads allocate and free, with
// the heap of this package and without it.
func TestStress(t *testing.T) {
	if isChild() {
		var threads sync.WaitGroup
		for seed := range uint64(4) {
			threads.Go(func() {
				if !heaptest.Stress(seed, 20_000) {
					fmt.Println("seed", seed, "found a fault")
				}
			})
		}
		threads.Wait()
		os.Exit(0)
	}
	for _, setting := range []string{"OTHER=1", "MALLOC_ARENA_MAX=7"} {
		if out := child(t, setting); out != "" {
			t.Errorf("with %s: %s", setting, out)
		}
	}
}
