// Package examples holds nothing but the test of the programs in the folders beside it.
package examples

import (
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/geometric-complexity/toolkit/internal/gctest"
)

var number = regexp.MustCompile(`\d+(\.\d+)?`)

// TestExamples runs each program on the pure Go backend and compares its output with what its
// comment promises. On XLA, whose random numbers are others, it compares the words of
// examples/train alone.
func TestExamples(t *testing.T) {
	mains, err := filepath.Glob("*/main.go")
	if err != nil || len(mains) == 0 {
		t.Fatalf("no examples: %v", err)
	}
	bin := t.TempDir()
	if out, err := exec.Command("go", "build", "-o", bin+"/", "./...").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	for _, main := range mains {
		name := filepath.Dir(main)
		want := expectedOutput(t, main)
		t.Run(name, func(t *testing.T) {
			got := output(t, filepath.Join(bin, name), "go")
			compareWords(t, got, want)
			compareNumbers(t, got, want)
		})
	}
	t.Run("xla", func(t *testing.T) {
		if gctest.XLABackend(t) == nil {
			gctest.WithoutXLA(t)
		}
		compareWords(t, output(t, filepath.Join(bin, "train"), "xla:cpu"), expectedOutput(t, "train/main.go"))
	})
}

// expectedOutput returns the indented lines of the comment that a program begins with.
func expectedOutput(t *testing.T, path string) string {
	t.Helper()
	code, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	comment, _, _ := strings.Cut(string(code), "package main")
	var lines []string
	for line := range strings.Lines(comment) {
		if promised, ok := strings.CutPrefix(line, "//\t"); ok {
			lines = append(lines, promised)
		}
	}
	if len(lines) == 0 {
		t.Fatalf("%s: its comment does not say what it prints", path)
	}
	return strings.Join(lines, "")
}

// output runs a program on the named backend and returns what it prints.
func output(t *testing.T, program, backendName string) string {
	t.Helper()
	command := exec.Command(program)
	command.Env = append(os.Environ(), "GOMLX_BACKEND="+backendName, "TMPDIR="+t.TempDir())
	var errors strings.Builder
	command.Stderr = &errors
	out, err := command.Output()
	if err != nil {
		t.Fatalf("%s: %v\n%s", program, err, errors.String())
	}
	return string(out)
}

// compareWords wants all but the numbers to be the same.
func compareWords(t *testing.T, got, want string) {
	t.Helper()
	if number.ReplaceAllString(got, "#") != number.ReplaceAllString(want, "#") {
		t.Fatalf("printed\n%s\nwant, but for the numbers,\n%s", got, want)
	}
}

// compareNumbers wants them within 5 %, or within a unit of the second decimal.
func compareNumbers(t *testing.T, got, want string) {
	t.Helper()
	wanted := number.FindAllString(want, -1)
	for i, text := range number.FindAllString(got, -1) {
		g, errGot := strconv.ParseFloat(text, 64)
		w, errWant := strconv.ParseFloat(wanted[i], 64)
		if errGot != nil || errWant != nil {
			t.Fatalf("%q, %q: not numbers", text, wanted[i])
		}
		if !(math.Abs(g-w) <= math.Max(0.01, 0.05*math.Abs(w))) {
			t.Errorf("number %d is %s, want %s; printed\n%s", i+1, text, wanted[i], got)
		}
	}
}
