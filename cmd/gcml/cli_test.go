package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gomlx/compute"
	"github.com/rogpeppe/go-internal/testscript"

	"github.com/geometric-complexity/toolkit/backend"
	"github.com/geometric-complexity/toolkit/experiments"
	"github.com/geometric-complexity/toolkit/experiments/runs"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"gcml": main, "crash": crash})
}

// crash panics in another goroutine, which cannot be recovered, as a fault in a backend does.
func crash() {
	quietCrashes()
	go func() { panic(errors.New("a goroutine's fault")) }()
	select {}
}

// The scripts in testdata run the command and check what it prints and which files it writes.
func TestScripts(t *testing.T) {
	commands := maps.Clone(sweepCommands)
	commands["waitlines"] = waitLines
	testscript.Run(t, testscript.Params{
		Dir: "testdata",
		Setup: func(env *testscript.Env) error {
			env.Setenv("GOMLX_BACKEND", "go")
			networks, err := filepath.Abs("../../internal/onnxmodel/testdata")
			env.Setenv("NETWORKS", networks)
			return err
		},
		Condition: func(condition string) (bool, error) {
			if condition != "xla" {
				return false, fmt.Errorf("unknown condition %q", condition)
			}
			builtIn := slices.Contains(compute.List(), "xla")
			if !builtIn && os.Getenv("GCML_REQUIRE_XLA") != "" {
				return false, errors.New("this program was built without XLA, which GCML_REQUIRE_XLA asks for")
			}
			return builtIn, nil
		},
		Cmds: commands,
	})
}

// waitLines waits until a file that matches a pattern has a number of lines.
func waitLines(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: waitlines PATTERN LINES")
	}
	want, err := strconv.Atoi(args[1])
	ts.Check(err)
	for range 1200 {
		paths, err := filepath.Glob(ts.MkAbs(args[0]))
		ts.Check(err)
		for _, path := range paths {
			if raw, err := os.ReadFile(path); err == nil && bytes.Count(raw, []byte("\n")) >= want {
				return
			}
		}
		time.Sleep(50 * time.Millisecond)
	}
	ts.Fatalf("%s has less than %d lines", args[0], want)
}

func TestExitCode(t *testing.T) {
	for _, tc := range []struct {
		err  error
		want int
	}{
		{nil, 0},
		{errors.New("a run failed"), 1},
		{usagef("wrong"), 2},
		{fmt.Errorf("wrapped: %w", usagef("wrong")), 2},
		{&runs.InterruptedError{Cause: context.Canceled}, 130},
		{fmt.Errorf("measuring: %w", context.Canceled), 130},
	} {
		if got := exitCode(tc.err); got != tc.want {
			t.Errorf("exit code of %v = %d; want %d", tc.err, got, tc.want)
		}
	}
}

func TestSameCommandIsQuoted(t *testing.T) {
	a := &app{args: []string{"run", "01", "--out", "it's"}}
	for name, value := range map[string]string{"GOMLX_BACKEND": "xla:cpu", "GCML_DATA": "my data",
		backend.PluginDirEnv: "", backend.PluginPathEnv: ""} {
		t.Setenv(name, value)
	}
	if got, want := a.resumeCommand(), `GOMLX_BACKEND=xla:cpu GCML_DATA='my data' `+a.sameCommand(); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if got, want := a.sameCommand(), `gcml run 01 --out 'it'"'"'s'`; got != want {
		t.Errorf("command %s; want %s", got, want)
	}
}

// docs/commands.md lists every command, and the experiments with their questions.
func TestDocsListCommands(t *testing.T) {
	raw, err := os.ReadFile("../../docs/commands.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range commandNames((&app{}).root()) {
		if name != "help" && !bytes.Contains(raw, []byte("| `gcml "+name)) {
			t.Errorf("docs/commands.md does not list gcml %s", name)
		}
	}
	for _, e := range experiments.All() {
		info := e.Info()
		if row := fmt.Sprintf("| %s `%s` | %s |", info.Number, info.Name, info.Question); !bytes.Contains(raw, []byte(row)) {
			t.Errorf("docs/commands.md does not list %s", row)
		}
	}
}

// The version is that of a release, or the commit of a checkout.
func TestProgramVersion(t *testing.T) {
	commit := []debug.BuildSetting{{Key: "vcs.revision", Value: "0123abc"}, {Key: "vcs.modified", Value: "false"}}
	changed := []debug.BuildSetting{{Key: "vcs.revision", Value: "0123abc"}, {Key: "vcs.modified", Value: "true"}}
	for _, tc := range []struct {
		name, version string
		settings      []debug.BuildSetting
		want          string
	}{
		{"go install of a release", "v0.1.0", nil, "v0.1.0"},
		{"go build in a checkout", "v0.1.1-0.2026-0123abc", commit, "v0.1.1-0.2026-0123abc, commit 0123abc"},
		{"go build in a changed checkout", "v0.1.1-0.2026-0123abc+dirty", changed,
			"v0.1.1-0.2026-0123abc+dirty, commit 0123abc with changes"},
		{"go run", "(devel)", nil, "(devel), commit unknown: go build and go run -buildvcs=true record it"},
	} {
		info := &debug.BuildInfo{Settings: tc.settings}
		info.Main.Version = tc.version
		if got := programVersion(info); got != tc.want {
			t.Errorf("%s: %q, want %q", tc.name, got, tc.want)
		}
	}
}

func TestEstimateText(t *testing.T) {
	for want, e := range map[string]runs.Estimate{
		"about 2h5m, from the times of 4 similar runs": {Todo: 6, Known: 6, Sources: 4, Time: 125 * time.Minute},
		"at least 5m0s for 2 of the 6 runs; runs like the others have not finished here yet": {
			Todo: 6, Known: 2, Sources: 4, Time: 5 * time.Minute},
		"unknown, because no similar run has finished here yet; the progress display will have one": {Todo: 6},
	} {
		if got := estimateText(e); got != want {
			t.Errorf("%+v: %q, want %q", e, got, want)
		}
	}
}

func TestProgress(t *testing.T) {
	var out bytes.Buffer
	a := &app{stderr: &out}
	for _, kind := range []string{"auto", "lines", "bar"} {
		out.Reset()
		p, err := a.newProgress(kind)
		if err != nil {
			t.Fatal(err)
		}
		p.Start(200, "a title")
		p.Describe("run 1/1: a label")
		for range 20 {
			p.Add(10)
		}
		p.Finish()
		lines := bytes.Count(out.Bytes(), []byte("so far"))
		if kind != "bar" && lines != 10 {
			t.Errorf("%s: %d lines; want one per tenth:\n%s", kind, lines, &out)
		}
		if first, _, _ := strings.Cut(out.String(), "\n"); kind != "bar" && first != "  0 %  run 1/1: a label" {
			t.Errorf("%s: the first line is %q; want what is done first", kind, first)
		}
		if kind == "bar" && !bytes.Contains(out.Bytes(), []byte("a title")) {
			t.Errorf("the bar does not say what is done:\n%s", &out)
		}
	}
	if p, err := a.newProgress("none"); p != nil || err != nil {
		t.Errorf("none: %v, %v", p, err)
	}
}

// TestLinesBeforeTheFirstTenth checks that the lines of slow work begin after ten seconds, and get
// rarer.
func TestLinesBeforeTheFirstTenth(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		p := &lineProgress{w: &out}
		p.Start(1000, "")
		p.Describe("slow")
		for range 100 {
			time.Sleep(time.Second)
			p.Add(0)
		}
		// After 10 seconds, 20 more, and 40 more.
		if lines := strings.Count(out.String(), "so far"); lines != 3 {
			t.Errorf("%d lines in 100 seconds, want 3:\n%s", lines, &out)
		}
	})
}

func TestFileProgress(t *testing.T) {
	var out bytes.Buffer
	p := &fileProgress{app: &app{stderr: &out}, kind: "lines"}
	for _, call := range []struct {
		file        string
		done, total int64
	}{{"images", 50, 100}, {"images", 10, 100}, {"images", 100, 100}, {"labels", 5, 5}} {
		p.show(call.file, call.done, call.total)
	}
	p.finish()
	var got []string
	for line := range strings.Lines(out.String()) {
		got = append(got, strings.Join(strings.Fields(line)[:3], " "))
	}
	// From its second address the first file starts again at 0, which prints no line.
	want := []string{"0 % images", "50 % images", "100 % images", "0 % labels", "100 % labels"}
	if !slices.Equal(got, want) {
		t.Errorf("lines %q; want %q", got, want)
	}
}
