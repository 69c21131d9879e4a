package rooms

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	_ "github.com/geometric-complexity/toolkit/capacity"
	_ "github.com/geometric-complexity/toolkit/datasets"
	_ "github.com/geometric-complexity/toolkit/gcml"
	_ "github.com/geometric-complexity/toolkit/layers"
	_ "github.com/geometric-complexity/toolkit/regularizers"
	_ "github.com/geometric-complexity/toolkit/representation"
	_ "github.com/geometric-complexity/toolkit/schedule"
)

// libraries are the packages that this file's tests are about: those that a program imports besides
// the backend that it opens itself.
var libraries = []string{"./gcml", "./layers", "./regularizers", "./schedule", "./datasets", "./representation",
	"./capacity"}

// TestImportsLeaveTheEnvironment runs this test program, which imports the libraries, and checks
// that they do not change its environment.
func TestImportsLeaveTheEnvironment(t *testing.T) {
	if os.Getenv("GCML_TEST_CHILD") != "" {
		fmt.Print(strings.Join(slices.Sorted(slices.Values(os.Environ())), "\n"))
		os.Exit(0)
	}
	child := exec.Command(os.Args[0], "-test.run=^TestImportsLeaveTheEnvironment$")
	child.Env = []string{"GCML_TEST_CHILD=1", "HOME=/nowhere"}
	out, err := child.Output()
	if err != nil {
		t.Fatal(err)
	}
	if want := strings.Join(child.Env, "\n"); string(out) != want {
		t.Errorf("the program's environment is\n%s\nwant\n%s", out, want)
	}
}

// TestImportsNeedNoC checks that the libraries can be built without a C compiler: no package that
// they import has C code, apart from Go's own.
func TestImportsNeedNoC(t *testing.T) {
	command := exec.Command("go", append([]string{"list", "-deps", "-f",
		"{{if and (not .Standard) (or .CgoFiles .CFiles .CXXFiles)}}{{.ImportPath}}\n{{end}}"}, libraries...)...)
	command.Dir = filepath.Join("..", "..")
	command.Env = append(os.Environ(), "CGO_ENABLED=1")
	out, err := command.Output()
	if err != nil {
		t.Fatal(err)
	}
	if names := strings.Fields(string(out)); len(names) > 0 {
		t.Errorf("the libraries import %v, which have C code: only cmd and backend may", names)
	}
}
