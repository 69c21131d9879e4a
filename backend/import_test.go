package backend

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gomlx/compute"
)

// TestImportChangesNothing checks, in a process of its own, that neither importing this package nor
// opening XLA on the CPU changes the environment, except for TF_CPP_MIN_LOG_LEVEL, which go-xla
// sets when it is imported.
func TestImportChangesNothing(t *testing.T) {
	environment := func(env []string) string {
		env = slices.DeleteFunc(slices.Clone(env),
			func(e string) bool { return strings.HasPrefix(e, "TF_CPP_MIN_LOG_LEVEL=") })
		slices.Sort(env)
		return strings.Join(env, "\n") + "\n"
	}
	if os.Getenv("GCML_TEST_CHILD") != "" {
		fmt.Print(environment(os.Environ()))
		if _, _, err := OpenConfig("xla:cpu"); err != nil {
			fmt.Println(err)
		}
		fmt.Print(environment(os.Environ()), compute.DefaultConfig)
		os.Exit(0)
	}
	child := exec.Command(os.Args[0], "-test.run=^TestImportChangesNothing$")
	child.Env = []string{"GCML_TEST_CHILD=1", "HOME=/", PluginPathEnv + "=" + filepath.Dir(realPlugin(t)),
		"XLA_FLAGS=--xla_dump_max_hlo_modules=1"}
	out, err := child.Output()
	if err != nil {
		t.Fatal(err)
	}
	if want := environment(child.Env) + environment(child.Env) + "xla"; string(out) != want {
		t.Errorf("the process says\n%s\nwant\n%s", out, want)
	}
}
