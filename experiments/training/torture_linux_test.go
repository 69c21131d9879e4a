package training

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/geometric-complexity/toolkit/experiments/runs"
	"github.com/geometric-complexity/toolkit/experiments/runs/runstest"
	"github.com/geometric-complexity/toolkit/internal/gctest"
)

// The environment variables of TestTorture: its duration, such as "1h", without which it is
// skipped, and the seed of its random choices.
const (
	tortureVariable     = "GCML_TORTURE"
	tortureSeedVariable = "GCML_TORTURE_SEED"
)

// TestTorture interrupts runs at random, in every way that it can, until its time is over. After
// each history of interruptions it lets the run finish, and compares the record, bit for bit, with
// that of an uninterrupted run.
func TestTorture(t *testing.T) {
	text := os.Getenv(tortureVariable)
	if text == "" {
		t.Skipf("it takes as long as %s says; run make torture", tortureVariable)
	}
	duration, err := time.ParseDuration(text)
	if err != nil {
		t.Fatalf("%s: %v", tortureVariable, err)
	}
	seed := uint64(time.Now().UnixNano())
	if text := os.Getenv(tortureSeedVariable); text != "" {
		if seed, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatalf("%s: %v", tortureSeedVariable, err)
		}
	}
	x := newTorture(t, seed)
	t.Logf("seed %d, for %v", seed, duration)
	for _, k := range x.kinds {
		t.Run(k.name, func(t *testing.T) {
			if k.notRun != "" {
				t.Skipf("not run: %s", k.notRun)
			}
			share := duration / time.Duration(len(x.kinds))
			for end := time.Now().Add(share); time.Now().Before(end) && !t.Failed(); {
				x.history(t, k)
			}
			t.Logf("%d histories of %d starts, %d of them interrupted; %d ended with other numbers",
				k.histories, k.starts, k.interrupted, k.different)
		})
	}
}

// torture is the state of the test.
type torture struct {
	env    runs.Env // without a folder
	random *rand.Rand
	tasks  []tortured
	kinds  []*kind
}

// tortured is a run with the record of its uninterrupted execution.
type tortured struct {
	name string
	run  runs.Run
	want *runs.Record
	took time.Duration // from the creation of its folder to its end, with a checkpoint after each step
}

// kind is a way to interrupt runs, with its counts.
type kind struct {
	name string
	// notRun is the reason why it is not possible here; empty if it is.
	notRun string
	// interrupt starts a run that may be interrupted, and returns whether it was.
	interrupt func(t *testing.T, v *child, r tortured) (interrupted bool)
	// storage returns the folder of a history, and the function that frees it.
	storage func(t *testing.T) (out string, free func())

	histories, starts, interrupted, different int
}

func newTorture(t *testing.T, seed uint64) *torture {
	x := &torture{env: runs.Env{Backend: gctest.GoBackend(t)}, random: rand.New(rand.NewPCG(seed, 0))}
	tasks := tasksToKill()
	for _, name := range slices.Sorted(maps.Keys(tasks)) {
		v := child{Task: tasks[name], Seed: 3, Out: t.TempDir(), Every: time.Nanosecond}
		env := x.env
		env.Out = t.TempDir()
		r := tortured{name: name, run: v.run(), want: execute(t, env, v.run())}
		cmd := v.command(t)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		r.waitForBegin(t, v.Out)
		began := time.Now()
		if ended(t, cmd.Wait()) {
			t.Fatal("the process was killed by somebody else")
		}
		r.took = time.Since(began)
		x.tasks = append(x.tasks, r)
	}
	folder := func(t *testing.T) (string, func()) {
		dir, err := os.MkdirTemp(t.TempDir(), "history-")
		if err != nil {
			t.Fatal(err)
		}
		return dir, func() { _ = os.RemoveAll(dir) } // If it fails, the test removes the folder at its end.
	}
	noStrace := straceWorks()
	x.kinds = []*kind{
		{name: "kills at random moments", interrupt: x.killLater, storage: folder},
		{name: "kills at random system calls", interrupt: x.killAtCall, storage: folder, notRun: noStrace},
		{name: "failing writes", interrupt: x.failCalls, storage: folder, notRun: noStrace},
		{name: "power cuts", interrupt: x.cutPower, storage: mountedImage, notRun: mountWorks(t)},
	}
	return x
}

// history starts a run up to three times, each of which may be interrupted, and then lets it
// finish.
func (x *torture) history(t *testing.T, k *kind) {
	r := x.tasks[x.random.IntN(len(x.tasks))]
	for _, other := range x.tasks { // Every other run diverges: those had the fault that was found last.
		if other.want.Status == runs.Diverged && x.random.IntN(2) == 0 {
			r = other
		}
	}
	out, free := k.storage(t)
	defer free()
	k.histories++
	var story []string
	for range 1 + x.random.IntN(3) {
		every := []time.Duration{time.Nanosecond, 5 * time.Millisecond, time.Hour}[x.random.IntN(3)]
		v := &child{Task: r.run.Task.(*Train), Seed: r.run.Seed, Out: out, Every: every}
		k.starts++
		interrupted := k.interrupt(t, v, r)
		if interrupted {
			k.interrupted++
		}
		story = append(story, fmt.Sprintf("checkpoints every %v, interrupted %t", every, interrupted))
	}
	env := x.env
	env.Out = out
	record, err := runstest.Do(context.Background(), env, r.run)
	if err == nil {
		err = differs(record, r.want)
	}
	if err != nil {
		k.different++
		kept, keepErr := os.MkdirTemp("", "torture-")
		keepErr = errors.Join(keepErr, os.CopyFS(filepath.Join(kept, "out"), os.DirFS(out)))
		t.Errorf("%s, %s (%s): %v; its folder is in %s (%v)", k.name, r.name, strings.Join(story, "; "), err, kept, keepErr)
	}
}

// differs returns an error if two records differ in more than their provenance.
func differs(got, want *runs.Record) error {
	a, b := *got, *want
	a.Provenance, b.Provenance = runs.Provenance{}, runs.Provenance{}
	first, errFirst := json.Marshal(a)
	second, errSecond := json.Marshal(b)
	if err := errors.Join(errFirst, errSecond); err != nil {
		return err
	}
	if string(first) != string(second) {
		return fmt.Errorf("the record is\n%s\nwant\n%s", first, second)
	}
	return nil
}

// waitForBegin waits until the process has begun the run. Many runs resume an interrupted one, so
// their folder already exists.
func (r tortured) waitForBegin(t *testing.T, out string) {
	file := filepath.Join(out, runs.RunsDir, r.want.Hash, runs.RunFile)
	before, _ := os.Stat(file) // It need not be there.
	for range 300_000 {        // Five minutes: on a busy machine a process takes its time.
		now, err := os.Stat(file)
		if err == nil && (before == nil || !os.SameFile(before, now)) {
			return
		}
		time.Sleep(time.Millisecond)
	}
	t.Fatalf("%s: the process does not begin", r.name)
}

// startUntil starts the process and waits for a random part of the run's duration. The run may end
// before.
func (x *torture) startUntil(t *testing.T, v *child, r tortured) *exec.Cmd {
	if record, err := runs.ReadRecord(filepath.Join(v.Out, runs.RunsDir, r.want.Hash)); err != nil || record != nil {
		return nil // The process does not run. The end of the history finds what is wrong.
	}
	cmd := v.command(t)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	r.waitForBegin(t, v.Out)
	time.Sleep(time.Duration(x.random.Float64() * float64(r.took)))
	return cmd
}

// killLater kills the process at a random moment.
func (x *torture) killLater(t *testing.T, v *child, r tortured) bool {
	cmd := x.startUntil(t, v, r)
	if cmd == nil {
		return false
	}
	_ = cmd.Process.Kill() // It may have come to its end.
	return ended(t, cmd.Wait())
}

// ended returns whether a process was killed. Any other failure fails the test.
func ended(t *testing.T, err error) (killed bool) {
	t.Helper()
	var exit *exec.ExitError
	if err != nil && !(errors.As(err, &exit) && exit.ExitCode() == -1) {
		t.Fatalf("the other process: %v", err)
	}
	return err != nil
}

// call is a system call that changes files, with its approximate count in the busiest thread of a
// run with a checkpoint after each step.
type call struct {
	name string
	most int
}

var calls = []call{{"openat", 250}, {"close", 250}, {"write", 170}, {"unlinkat", 110}, {"fsync", 70}, {"renameat", 40},
	{"mkdirat", 14}, {"fchmod", 14}}

// at returns the number of a random call, in strace's syntax for injections. Half of the numbers
// are small, because runs with fewer checkpoints make fewer calls.
func (c call) at(random *rand.Rand) int {
	most := c.most
	if random.IntN(2) == 0 {
		most = max(2, c.most/8)
	}
	return 1 + random.IntN(most)
}

// killAtCall kills the process at a random call of a thread, before or after the call takes effect.
func (x *torture) killAtCall(t *testing.T, v *child, _ tortured) bool {
	c := calls[x.random.IntN(len(calls))]
	made := []string{"", "error=EIO:"}[x.random.IntN(2)]
	return ended(t, strace(t, v, c.name, fmt.Sprintf("%ssignal=SIGKILL:when=%d", made, c.at(x.random))).Run())
}

// failCalls makes a random call of a thread fail as on a full or broken disk, once or from then on.
func (x *torture) failCalls(t *testing.T, v *child, _ tortured) bool {
	c := calls[x.random.IntN(len(calls))]
	reason := []string{"ENOSPC", "EIO"}[x.random.IntN(2)]
	on := []string{"", "+"}[x.random.IntN(2)]
	err := strace(t, v, c.name, fmt.Sprintf("error=%s:when=%d%s", reason, c.at(x.random), on)).Run()
	return err != nil // The process reports the failure, or could not start.
}

// strace returns the command that starts the process with an injection into its calls. The flag
// --seccomp-bpf would be faster, but does not inject signals (strace 6.1).
func strace(t *testing.T, v *child, name, what string) *exec.Cmd {
	return v.command(t, "strace", "-f", "-qqq", "-o", "/dev/null", "-e", "trace="+name, "-e", "inject="+name+":"+what)
}

func straceWorks() (why string) {
	out, err := exec.Command("strace", "-f", "-qqq", "-o", "/dev/null", "-e", "trace=close", "true").CombinedOutput()
	if err != nil {
		return fmt.Sprintf("strace: %v %s", err, out)
	}
	return ""
}

// An image is a file that contains a mounted file system. A copy of the file is what a power cut
// would leave.
const (
	imageFile  = "image"
	imageSize  = 48 << 20
	mountPoint = "mounted"
)

// mountOptions make the file system lose as much unsynced data as possible: it writes nothing
// because of elapsed time, or because a file replaces another.
const mountOptions = "loop,noauto_da_alloc,commit=300"

// mountedImage returns a folder on a new image, and the function that frees it.
func mountedImage(t *testing.T) (out string, free func()) {
	dir, err := os.MkdirTemp(t.TempDir(), "history-")
	if err != nil {
		t.Fatal(err)
	}
	err = newImage(dir)
	if err != nil {
		t.Fatal(err)
	}
	mounted := filepath.Join(dir, mountPoint)
	return filepath.Join(mounted, "out"), func() {
		if err := syscall.Unmount(mounted, 0); err != nil {
			t.Fatal(err)
		}
		_ = os.RemoveAll(dir) // The test's own folder is removed at its end.
	}
}

func newImage(dir string) error {
	image := filepath.Join(dir, imageFile)
	if err := os.WriteFile(image, nil, 0o600); err != nil {
		return err
	}
	if err := os.Truncate(image, imageSize); err != nil {
		return err
	}
	if out, err := exec.Command("mkfs.ext4", "-q", image).CombinedOutput(); err != nil {
		return fmt.Errorf("mkfs.ext4: %w %s", err, out)
	}
	if err := os.Mkdir(filepath.Join(dir, mountPoint), 0o777); err != nil {
		return err
	}
	return mountImage(dir)
}

func mountImage(dir string) error {
	image, at := filepath.Join(dir, imageFile), filepath.Join(dir, mountPoint)
	out, err := exec.Command("mount", "-t", "ext4", "-o", mountOptions, image, at).CombinedOutput()
	if err != nil {
		return fmt.Errorf("mount: %w %s", err, strings.TrimSpace(string(out)))
	}
	return nil
}

func mountWorks(t *testing.T) (why string) {
	dir := t.TempDir()
	if err := newImage(dir); err != nil {
		return err.Error()
	}
	if err := syscall.Unmount(filepath.Join(dir, mountPoint), 0); err != nil {
		t.Fatal(err)
	}
	return ""
}

// cutPower stops the process at a random moment, and continues with a copy of the image at that
// moment, without anything that the kernel had not written to it.
func (x *torture) cutPower(t *testing.T, v *child, r tortured) bool {
	mounted := filepath.Dir(v.Out)
	dir := filepath.Dir(mounted)
	v.Done = filepath.Join(dir, "done")
	endNeighbour := startNeighbour(t, filepath.Join(mounted, "neighbour"))
	cmd := x.startUntil(t, v, r)
	if cmd == nil {
		endNeighbour()
		return false
	}
	if err := cmd.Process.Signal(syscall.SIGSTOP); err != nil && !errors.Is(err, os.ErrProcessDone) {
		t.Fatal(err)
	}
	endNeighbour()
	runDir := filepath.Join(v.Out, runs.RunsDir, r.want.Hash)
	before := seen(t, runDir, v.Done)
	copied := filepath.Join(dir, "copy")
	if err := copyImage(filepath.Join(dir, imageFile), copied); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Process.Kill() // It may have come to its end.
	interrupted := ended(t, cmd.Wait())
	if err := errors.Join(syscall.Unmount(mounted, 0), os.Rename(copied, filepath.Join(dir, imageFile)),
		os.RemoveAll(v.Done), mountImage(dir)); err != nil {
		t.Fatal(err)
	}
	if err := before.lasted(runDir, r.want.Hash); err != nil {
		t.Errorf("%s, checkpoints every %v: %v", r.name, v.Every, err)
	}
	return interrupted
}

// startNeighbour syncs a file repeatedly, as other programs on the same disk do. That makes earlier
// renames durable, but not the content of other files.
func startNeighbour(t *testing.T, path string) (end func()) {
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	stop, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		defer f.Close()
		for {
			select {
			case <-stop:
				return
			case <-time.After(3 * time.Millisecond):
			}
			if _, err := f.WriteAt([]byte{'x'}, 0); err != nil {
				t.Error(err)
				return
			}
			if err := f.Sync(); err != nil {
				t.Error(err)
				return
			}
		}
	}()
	return func() { close(stop); <-ended }
}

// promised is the state that was visible before the power cut, and that has to be durable.
type promised struct {
	complete bool
	save     int64 // the number of the newest checkpoint
}

func seen(t *testing.T, runDir, done string) promised {
	found, err := runs.ListCheckpoints(runDir)
	if err != nil {
		t.Fatal(err)
	}
	var p promised
	if len(found) > 0 {
		p.save = found[0].Save
	}
	_, err = os.Stat(done)
	p.complete = err == nil
	return p
}

// lasted returns an error if any of it is lost. The newest checkpoint may be lost, because its name
// is synced after it becomes visible, but not the one before.
func (p promised) lasted(runDir, address string) error {
	record, err := runs.ReadRecord(runDir)
	switch {
	case err != nil:
		return err
	case record != nil:
		return nil
	case p.complete:
		return errors.New("the run was complete, and has no record after a power cut")
	case p.save < 2:
		return nil
	}
	found, err := runs.ListCheckpoints(runDir)
	if err != nil {
		return err
	}
	for _, s := range found {
		_, err := runs.ReadState(filepath.Join(runDir, runs.CheckpointDir, s.Name()), address)
		if err == nil && s.Save >= p.save-1 {
			return nil
		}
	}
	return fmt.Errorf("checkpoint %d was there, and after a power cut neither it nor the one before can be read: of %d that are there",
		p.save, len(found))
}

// copyImage copies a sparse file.
func copyImage(from, to string) error {
	out, err := exec.Command("cp", "--sparse=always", from, to).CombinedOutput()
	if err != nil {
		return fmt.Errorf("cp: %w %s", err, out)
	}
	return nil
}
