package training

import (
	"bytes"
	"context"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/geometric-complexity/toolkit/experiments/runs"
	"github.com/geometric-complexity/toolkit/experiments/runs/runstest"
	"github.com/geometric-complexity/toolkit/internal/gctest"
	"github.com/geometric-complexity/toolkit/internal/sealed"
)

// interruptedAt runs up to a step, with a checkpoint after each step, and returns the run's folder.
func interruptedAt(t *testing.T, env runs.Env, run runs.Run, step int64) (dir string) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	env.Progress, env.CheckpointEvery = &cancelAt{cancel: cancel, left: step}, time.Nanosecond
	if _, err := runstest.Do(ctx, env, run); err == nil {
		t.Fatalf("the run was not interrupted at step %d", step)
	}
	return runDir(t, env.Out, run)
}

func checkpointDirs(t *testing.T, dir string) []string {
	t.Helper()
	found, err := runs.ListCheckpoints(dir)
	if err != nil {
		t.Fatal(err)
	}
	var dirs []string
	for _, s := range found {
		dirs = append(dirs, filepath.Join(dir, runs.CheckpointDir, s.Name()))
	}
	return dirs
}

// TestKilledBeforeTheRecord resumes a run that was killed, or met a full disk, between its last
// checkpoint and its record: its folder has no record. A diverged run must not train further.
func TestKilledBeforeTheRecord(t *testing.T) {
	for name, task := range map[string]*Train{"complete": resumableTask(), "diverged": divergingTask()} {
		t.Run(name, func(t *testing.T) {
			env := runs.Env{Backend: gctest.GoBackend(t), Out: t.TempDir()}
			run := runs.Run{Label: name, Seed: 3, Task: task}
			want := execute(t, env, run)
			if string(want.Status) != name || name == "diverged" && want.Step != divergesAt {
				t.Fatalf("the run ended %s at step %d", want.Status, want.Step)
			}
			dir := runDir(t, env.Out, run)
			before := checkpointDirs(t, dir)
			if err := os.Remove(filepath.Join(dir, runs.RecordFile)); err != nil {
				t.Fatal(err)
			}
			assertSameNumbers(t, execute(t, env, run), want)
			if after := checkpointDirs(t, dir); len(after) != 1 || after[0] != before[0] {
				t.Errorf("checkpoints %v became %v; want the one", before, after)
			}
		})
	}
}

// TestKeepCheckpoints: a run keeps the network of every measured step, also one that was
// interrupted at a step in between, and computes the same numbers as one that keeps none.
func TestKeepCheckpoints(t *testing.T) {
	backend := gctest.GoBackend(t)
	run := runs.Run{Label: "kept", Seed: 3, Task: resumableTask()}
	want := execute(t, runs.Env{Backend: backend, Out: t.TempDir()}, run)
	for name, interruptAt := range map[string]int64{"at once": 0, "interrupted": 6} {
		t.Run(name, func(t *testing.T) {
			env := runs.Env{Backend: backend, Out: t.TempDir(), KeepCheckpoints: true}
			steps := []int64{12, 8, 4} // The newest first.
			if interruptAt > 0 {
				// It has a checkpoint after each step until then.
				interruptedAt(t, env, run, interruptAt)
				steps = []int64{12, 8, 6, 5, 4, 3, 2, 1}
			}
			assertSameNumbers(t, execute(t, env, run), want)
			dir := runDir(t, env.Out, run)
			found, err := runs.ListCheckpoints(dir)
			if err != nil {
				t.Fatal(err)
			}
			var got []int64
			for _, s := range found {
				got = append(got, s.Step)
			}
			if !slices.Equal(got, steps) {
				t.Fatalf("checkpoints of steps %v; want %v", got, steps)
			}
			networks, err := OpenCheckpoints(dir)
			if err != nil || len(networks) != len(steps) {
				t.Fatalf("%d networks, error %v", len(networks), err)
			}
			last, err := weightsDigest(networks[len(networks)-1].Store)
			if err != nil || last != want.Weights {
				t.Errorf("the last network has weights %q, error %v; want %q", last, err, want.Weights)
			}
		})
	}
}

// damage damages a checkpoint.
type damage func(t *testing.T, checkpoint string)

// changeByte changes a byte in the middle of the file that matches the pattern.
func changeByte(pattern string) damage {
	return func(t *testing.T, checkpoint string) {
		path := theFile(t, checkpoint, pattern)
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		data[len(data)/2] ^= 1
		write(t, path, string(data))
	}
}

func truncate(pattern string) damage {
	return func(t *testing.T, checkpoint string) { write(t, theFile(t, checkpoint, pattern), "") }
}

func removeFile(pattern string) damage {
	return func(t *testing.T, checkpoint string) {
		if err := os.Remove(theFile(t, checkpoint, pattern)); err != nil {
			t.Fatal(err)
		}
	}
}

func theFile(t *testing.T, dir, pattern string) string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(dir, pattern))
	if err != nil || len(found) != 1 {
		t.Fatalf("%s has %v of %s (%v); want one", dir, found, pattern, err)
	}
	return found[0]
}

func renameTo(name string) damage {
	return func(t *testing.T, checkpoint string) {
		if err := os.Rename(checkpoint, filepath.Join(filepath.Dir(checkpoint), name)); err != nil {
			t.Fatal(err)
		}
	}
}

// TestDamagedCheckpoint checks that a damaged checkpoint is skipped for the one before it, that one
// line of the log says so, and that the numbers stay the same.
func TestDamagedCheckpoint(t *testing.T) {
	backend := gctest.GoBackend(t)
	run := runs.Run{Label: "damaged", Seed: 3, Task: resumableTask()}
	want := execute(t, runs.Env{Backend: backend, Out: t.TempDir()}, run)
	source := runs.Env{Backend: backend, Out: t.TempDir()}
	interruptedAt(t, source, run, 6)
	other := run
	other.Seed = 4
	foreign := checkpointDirs(t, interruptedAt(t, source, other, 6))[0]
	for _, tc := range []struct {
		name   string
		damage damage
		says   string
	}{
		{"a byte of the weights", changeByte("checkpoint-*.bin"), "its content does not match its checksum"},
		{"a byte of their list", changeByte("checkpoint-*.json"), "its content does not match its checksum"},
		{"a byte of the state", changeByte(runs.StateFile), runs.StateFile},
		{"no weights", removeFile("checkpoint-*.bin"), "its content does not match its checksum"},
		{"no state", removeFile(runs.StateFile), "state.json: no such file"},
		{"empty state", truncate(runs.StateFile), "unexpected end of JSON"},
		{"another file", func(t *testing.T, dir string) {
			write(t, filepath.Join(dir, "checkpoint-n0000001.json"), "{}")
		}, "were not saved there"},
		{"another step", renameTo("save-9-step-9"), "it was saved as save-"},
		{"another run's", func(t *testing.T, dir string) {
			if err := os.RemoveAll(dir); err != nil {
				t.Fatal(err)
			}
			if err := os.CopyFS(filepath.Join(filepath.Dir(dir), filepath.Base(foreign)), os.DirFS(foreign)); err != nil {
				t.Fatal(err)
			}
		}, "it belongs to run "},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var log bytes.Buffer
			handler := slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelWarn})
			env := runs.Env{Backend: backend, Out: t.TempDir(), Log: slog.New(handler)}
			if err := os.CopyFS(env.Out, os.DirFS(source.Out)); err != nil {
				t.Fatal(err)
			}
			dir := runDir(t, env.Out, run)
			found := checkpointDirs(t, dir)
			if len(found) != 2 {
				t.Fatalf("checkpoints %v; want the newest two", found)
			}
			tc.damage(t, found[0])
			got := execute(t, env, run)
			assertSameNumbers(t, got, want)
			text := log.String()
			if strings.Count(text, "\n") != 1 || !strings.Contains(text, tc.says) ||
				!strings.Contains(text, "resumes at step 5") {
				t.Errorf("log %q; want one line with %q and the step before", text, tc.says)
			}
			if left := checkpointDirs(t, dir); len(left) != 1 {
				t.Errorf("checkpoints %v are left; want the last", left)
			}
		})
	}
}

// TestNoCheckpointCanBeUsed checks that a run without a usable checkpoint is refused with an error
// that says what to remove.
func TestNoCheckpointCanBeUsed(t *testing.T) {
	env := runs.Env{Backend: gctest.GoBackend(t), Out: t.TempDir()}
	run := runs.Run{Label: "damaged", Seed: 3, Task: resumableTask()}
	dir := interruptedAt(t, env, run, 6)
	for _, checkpoint := range checkpointDirs(t, dir) {
		changeByte("checkpoint-*.bin")(t, checkpoint)
	}
	_, err := runstest.Do(context.Background(), env, run)
	remove := filepath.Join(dir, runs.CheckpointDir)
	if err == nil || !strings.HasSuffix(err.Error(), "remove "+remove+" to restart the run") ||
		strings.Contains(err.Error(), "\n") {
		t.Fatalf("error %v; want one line that says to remove %s", err, remove)
	}
	if _, err := OpenRun(dir); err == nil || !strings.Contains(err.Error(), "remove "+checkpointDirs(t, dir)[0]) {
		t.Errorf("opening it: %v", err)
	}
	if err := os.RemoveAll(remove); err != nil {
		t.Fatal(err)
	}
	got := execute(t, env, run)
	env.Out = t.TempDir()
	assertSameNumbers(t, got, execute(t, env, run))
}

// TestCheckpointWithoutAPoint checks that a state is refused if its points are not those of the
// measured steps, although its checksum is right.
func TestCheckpointWithoutAPoint(t *testing.T) {
	env := runs.Env{Backend: gctest.GoBackend(t), Out: t.TempDir()}
	run := runs.Run{Label: "a point less", Seed: 3, Task: resumableTask()}
	dir := interruptedAt(t, env, run, 6)
	newest := checkpointDirs(t, dir)[0]
	address := filepath.Base(dir)
	s, err := runs.ReadState(newest, address)
	if err != nil {
		t.Fatal(err)
	}
	doubled := append(s.Points[:1:1], s.Points...)
	for name, points := range map[string][]runs.Point{"lost": s.Points[1:], "doubled": doubled, "none": nil} {
		changed := *s
		changed.Points = points
		data, err := sealed.Marshal(changed)
		if err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(newest, runs.StateFile), string(data))
		if _, err := runstest.Do(context.Background(), env, run); err == nil ||
			!strings.Contains(err.Error(), "has points of steps") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestLogIsNotRead checks that nothing is read from the log, which is for people, and that it is
// written again.
func TestLogIsNotRead(t *testing.T) {
	backend := gctest.GoBackend(t)
	run := runs.Run{Label: "log", Seed: 3, Task: resumableTask()}
	whole := runs.Env{Backend: backend, Out: t.TempDir()}
	want := execute(t, whole, run)
	log, err := os.ReadFile(filepath.Join(runDir(t, whole.Out, run), runs.LogFile))
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.SplitAfter(string(log), "\n")
	for name, text := range map[string]string{
		"lost": "", "first line lost": lines[1], "doubled": lines[0] + lines[0] + lines[1],
		"cut":     lines[0] + lines[1][:20],
		"foreign": lines[0] + `{"step":4,"values":{"train_loss":99}}` + "\n",
		"ahead":   lines[0] + lines[1] + lines[2] + lines[3],
	} {
		t.Run(name, func(t *testing.T) {
			env := runs.Env{Backend: backend, Out: t.TempDir()}
			dir := interruptedAt(t, env, run, 6)
			write(t, filepath.Join(dir, runs.LogFile), text)
			assertSameNumbers(t, execute(t, env, run), want)
			if got, err := os.ReadFile(filepath.Join(dir, runs.LogFile)); err != nil || string(got) != string(log) {
				t.Errorf("the log is %q (%v); want %q", got, err, log)
			}
		})
	}
}

// TestDamagedRecord checks that a damaged record is refused, and that the run is done again once
// the record is removed.
func TestDamagedRecord(t *testing.T) {
	env := runs.Env{Backend: gctest.GoBackend(t), Out: t.TempDir()}
	run := runs.Run{Label: "damaged", Seed: 3, Task: &Train{Data: Data{Name: NameParabola, Train: 4},
		Network: MLP(0, 0), LearningRate: 0.1, Steps: 3, Measurements: 1}}
	want := execute(t, env, run)
	other := run
	other.Seed = 4
	execute(t, env, other)
	path := filepath.Join(runDir(t, env.Out, run), runs.RecordFile)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	foreign, err := os.ReadFile(filepath.Join(runDir(t, env.Out, other), runs.RecordFile))
	if err != nil {
		t.Fatal(err)
	}
	unsealed := *want
	unsealed.Seed = 5
	resealed, err := sealed.MarshalIndent(unsealed)
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"empty object": "{}", "empty": "", "null": "null", "another run's": string(foreign), "another seed": string(resealed),
		"a digit": strings.Replace(string(whole), `"step": 3`, `"step": 2`, 1), "cut": string(whole[:len(whole)/2]),
	} {
		write(t, path, text)
		_, err := runstest.Do(context.Background(), env, run)
		if err == nil || !strings.HasSuffix(err.Error(), "remove it to repeat the run") ||
			!strings.Contains(err.Error(), path) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v; want one line that says to remove %s", name, err, path)
		}
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	assertSameNumbers(t, execute(t, env, run), want)
}

// TestCheckpointIsReplacedByOneRename checks what a kill between the renames and removals of a
// checkpoint leaves.
func TestCheckpointIsReplacedByOneRename(t *testing.T) {
	env := runs.Env{Backend: gctest.GoBackend(t), Out: t.TempDir()}
	run := runs.Run{Label: "renamed", Seed: 3, Task: resumableTask()}
	want := execute(t, runs.Env{Backend: env.Backend, Out: t.TempDir()}, run)
	dir := interruptedAt(t, env, run, 6)
	found := checkpointDirs(t, dir)
	// A kill after the rename of the new checkpoint, before the old ones are removed; during a
	// removal; and during a write.
	parent := filepath.Join(dir, runs.CheckpointDir)
	for _, name := range []string{".tmp-save-1-step-1", ".tmp-12345"} {
		if err := os.CopyFS(filepath.Join(parent, name), os.DirFS(found[1])); err != nil {
			t.Fatal(err)
		}
		removeFile(runs.StateFile)(t, filepath.Join(parent, name))
	}
	assertSameNumbers(t, execute(t, env, run), want)
	entries, err := os.ReadDir(parent)
	if err != nil || len(entries) != 1 {
		t.Errorf("%v are left (%v); want the last checkpoint", names(entries), err)
	}
}

func names(entries []fs.DirEntry) (all []string) {
	for _, e := range entries {
		all = append(all, e.Name())
	}
	return all
}
