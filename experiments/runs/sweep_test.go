package runs

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/geometric-complexity/toolkit/internal/gctest"
)

// scripted is a task whose name selects its outcome.
type scripted struct {
	Does string `json:"does"` // "complete", "diverge", or what it fails with
	N    int    `json:"n"`
}

func (*scripted) Kind() string  { return "scripted" }
func (*scripted) Revision() int { return 1 }
func (*scripted) Units() int64  { return 10 }

func (s *scripted) Do(_ context.Context, job *Job) error {
	job.Record.Points = []Point{{Step: 10, Values: map[string]Number{"n": Number(s.N)}}}
	job.Record.Step = 10
	switch s.Does {
	case "complete":
		job.Record.Status = Complete
	case "diverge":
		job.Record.Status, job.Record.Step = Diverged, 5
	default:
		return errors.New(s.Does)
	}
	return nil
}

// scriptedItems returns the runs of a part, one for each word and seed.
func scriptedItems(t *testing.T, out, name string, seeds []int64, words ...string) (*Part, []Item) {
	t.Helper()
	part := &Part{Number: "77", Name: name, Title: "A script", Out: filepath.Join(out, name)}
	for _, seed := range seeds {
		for i, word := range words {
			part.Runs = append(part.Runs, Run{Label: fmt.Sprintf("word %d", i), Seed: seed, Task: &scripted{word, i}})
		}
	}
	return part, Items(part)
}

func workersOf(t *testing.T, n int) []Worker {
	t.Helper()
	env := Env{Backend: gctest.GoBackend(t), BackendName: "go"}
	workers := make([]Worker, n)
	for i := range workers {
		workers[i] = NewWorker(env)
	}
	return workers
}

// recordingProgress is a progress display that records the calls of its methods.
type recordingProgress struct {
	NoProgress
	total, added int64
	texts        []string
	finished     int
}

func (p *recordingProgress) Start(total int64, _ string) { p.total = total }
func (p *recordingProgress) Add(n int64)                 { p.added += n }
func (p *recordingProgress) Describe(text string)        { p.texts = append(p.texts, text) }
func (p *recordingProgress) Finish()                     { p.finished++ }

func TestSweepGoesOnAfterFailures(t *testing.T) {
	out := t.TempDir()
	first, items := scriptedItems(t, out, "first", []int64{0, 1}, "complete", "no such data", "diverge")
	second, more := scriptedItems(t, out, "second", []int64{0}, "shapes\ndiffer", "complete")
	items = append(items, more...)
	progress := &recordingProgress{}
	sweep := &Schedule{Items: items, BackendName: "go", Progress: progress}
	_, err := sweep.Run(context.Background(), workersOf(t, 3)...)
	var failed *FailedError
	if !errors.As(err, &failed) || failed.Error() != "3 of 8 runs failed" {
		t.Fatalf("error %v; want 3 of 8 failures", err)
	}
	lines := strings.Join(failed.Lines(), "\n")
	for _, want := range []string{"(word 1, seed 0) and 1 of the others: no such data", "second: run ",
		"(word 0, seed 0): shapes differ"} {
		if !strings.Contains(lines, want) {
			t.Errorf("lines\n%s\nlack %q", lines, want)
		}
	}
	if progress.total != 80 || progress.added != 80 || progress.finished != 1 {
		t.Errorf("progress reached %d of %d and finished %d times; want all units, finished once", progress.added,
			progress.total, progress.finished)
	}
	// Runs that succeeded are not repeated.
	reused, err := sweep.Run(context.Background(), workersOf(t, 1)...)
	if reused[first] != 4 || reused[second] != 1 || !errors.As(err, &failed) || len(failed.Failures) != 3 {
		t.Errorf("second time: reused %v, error %v", reused, err)
	}
}

func TestOneReasonIsSaidOnce(t *testing.T) {
	_, items := scriptedItems(t, t.TempDir(), "only", []int64{0, 1, 2}, "no such data")
	_, err := (&Schedule{Items: items, BackendName: "go"}).Run(context.Background(), workersOf(t, 1)...)
	if err == nil || !strings.HasSuffix(err.Error(), "(word 0, seed 0) and 2 of the others: no such data") {
		t.Errorf("error %v", err)
	}
}

// Runs that another process is doing come last, and are done once that process gives them up.
func TestSweepComesBackToBusyRuns(t *testing.T) {
	_, items := scriptedItems(t, t.TempDir(), "busy", []int64{0, 1}, "complete")
	address, err := items[0].Address("go")
	if err != nil {
		t.Fatal(err)
	}
	lock, err := tryLock(filepath.Join(items[0].Part.Out, RunsDir, address))
	if err != nil {
		t.Fatal(err)
	}
	progress := &releasingProgress{release: func() { Unlock(lock) }}
	if _, err := (&Schedule{Items: items, BackendName: "go", Progress: progress}).Run(context.Background(),
		workersOf(t, 2)...); err != nil {
		t.Fatal(err)
	}
	for _, item := range items {
		if record, err := Lookup(item.Part.Out, "go", item.Run); err != nil || record == nil ||
			record.Provenance.Starts != 1 {
			t.Errorf("record %+v, %v", record, err)
		}
	}
}

// releasingProgress releases a lock when the schedule reports that it waits for another process.
type releasingProgress struct {
	NoProgress
	release func()
}

func (p *releasingProgress) Describe(text string) {
	if text == "waiting for another process that is doing 1 of 2 runs" {
		p.release()
	}
}

// cancellingWorker cancels the context when its second run begins.
type cancellingWorker struct {
	Worker
	cancel context.CancelFunc
	runs   int
}

func (w *cancellingWorker) Do(ctx context.Context, item Item, advance func(int64)) error {
	if w.runs++; w.runs == 2 {
		w.cancel()
	}
	return w.Worker.Do(ctx, item, advance)
}

func TestSweepIsInterrupted(t *testing.T) {
	part, items := scriptedItems(t, t.TempDir(), "stopped", []int64{0, 1, 2, 3}, "complete")
	ctx, cancel := context.WithCancel(context.Background())
	_, err := (&Schedule{Items: items, BackendName: "go"}).Run(ctx,
		&cancellingWorker{Worker: workersOf(t, 1)[0], cancel: cancel})
	var interrupted *InterruptedError
	if !errors.As(err, &interrupted) || !errors.Is(err, context.Canceled) {
		t.Fatalf("error %v; want an interruption", err)
	}
	reused, err := (&Schedule{Items: items, BackendName: "go"}).Run(context.Background(), workersOf(t, 1)...)
	if err != nil || reused[part] != 1 {
		t.Errorf("resumed: reused %v, error %v; want the one complete run reused", reused, err)
	}
}

// stoppedWorker is interrupted in each of its first runs, as a process is that gets a signal alone.
type stoppedWorker struct {
	Worker
	stops int
}

func (w *stoppedWorker) Do(ctx context.Context, item Item, advance func(int64)) error {
	if w.stops--; w.stops >= 0 {
		return &InterruptedError{Cause: context.Canceled, Label: item.Label, Seed: item.Seed, Step: 1, End: 10}
	}
	return w.Worker.Do(ctx, item, advance)
}

// TestWorkerIsInterrupted: a run that its worker alone stopped is not complete, so the schedule
// says so.
func TestWorkerIsInterrupted(t *testing.T) {
	for stops, want := range map[int]string{1: "interrupted at step 1 of 10 (word 0, seed 0)",
		2: "interrupted; what was done"} {
		_, items := scriptedItems(t, t.TempDir(), "stopped", []int64{0, 1, 2}, "complete")
		_, err := (&Schedule{Items: items, BackendName: "go"}).Run(context.Background(),
			&stoppedWorker{Worker: workersOf(t, 1)[0], stops: stops})
		var interrupted *InterruptedError
		if !errors.As(err, &interrupted) || !errors.Is(err, context.Canceled) || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%d stopped runs: error %v, want %q", stops, err, want)
		}
		if record, err := Lookup(items[2].Part.Out, "go", items[2].Run); err != nil || record == nil {
			t.Errorf("the last run has no record (%v); want it complete", err)
		}
	}
}

func TestShards(t *testing.T) {
	_, items := scriptedItems(t, t.TempDir(), "shards", []int64{0, 1, 2}, "complete", "diverge", "fail")
	seen := make([]int, len(items))
	for i := range 4 {
		shard, err := ParseShard(fmt.Sprintf("%d/4", i))
		if err != nil {
			t.Fatal(err)
		}
		for _, item := range shard.Of(items) {
			if at := item.Index; at%4 != i {
				t.Errorf("run %d is in shard %d/4", at, i)
			}
			seen[item.Index]++
		}
	}
	for i, n := range seen {
		if n != 1 {
			t.Errorf("run %d is in %d shards", i, n)
		}
	}
	for text, want := range map[string]string{
		"": "want i/n", "2": "want i/n", "-1/2": "want i/n", "1/2/3": "want i/n", "a/b": "want i/n",
		"0/0": "n, the number of shards, must be",
		"4/4": "the last of 4 shards is 3/4", "0/99999999999999999999": "n, the number of shards, must be",
	} {
		if _, err := ParseShard(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("ParseShard(%q): %v; want %q", text, err, want)
		}
	}
}

// otherTask is a task of another kind, whose units take a different time.
type otherTask struct{ scripted }

func (*otherTask) Kind() string { return "drawn" }

func TestTimeLeft(t *testing.T) {
	_, cheap := scriptedItems(t, t.TempDir(), "cheap", []int64{0, 1}, "complete")
	_, costly := scriptedItems(t, t.TempDir(), "costly", []int64{0, 1}, "complete", "another")
	otherKind := cheap[1]
	otherKind.Task = &otherTask{}
	now := time.Now()
	record := func(seconds float64) *Record {
		return &Record{Status: Complete, Provenance: Provenance{Seconds: seconds}}
	}
	for _, tc := range []struct {
		name    string
		workers int
		done    map[*Item]float64 // seconds
		active  []*activeRun
		waiting []Item
		want    time.Duration
	}{
		{"like its seed", 1, map[*Item]float64{&cheap[0]: 2, &costly[0]: 50}, nil, []Item{cheap[1]}, 2 * time.Second},
		{"like its experiment", 1, map[*Item]float64{&cheap[0]: 2, &costly[0]: 50}, nil, []Item{costly[1]}, 50 * time.Second},
		{"like any", 1, map[*Item]float64{&cheap[0]: 2}, nil, []Item{costly[1], costly[2]}, 4 * time.Second},
		{"side by side", 2, map[*Item]float64{&cheap[0]: 2, &costly[0]: 50}, nil, []Item{costly[1], costly[2]},
			50 * time.Second},
		{"resumed at 4, now at 6 after 3 s", 1, nil,
			[]*activeRun{{Item: costly[0], done: 6, base: 4, since: now.Add(-3 * time.Second)}}, nil, 6 * time.Second},
		{"another kind of task", 1, map[*Item]float64{&cheap[0]: 2}, nil, []Item{cheap[1], otherKind}, -1},
		{"nothing known", 1, nil, []*activeRun{{Item: costly[0]}}, cheap, -1},
	} {
		t.Run(tc.name, func(t *testing.T) {
			v := newDisplay(nil, 10, tc.workers)
			for item, seconds := range tc.done {
				v.costs.addRecord(*item, record(seconds))
			}
			v.active = tc.active
			left, known := v.left(now, tc.waiting)
			if known != (tc.want >= 0) || known && left.Round(time.Millisecond) != tc.want {
				t.Errorf("%v left, known %t; want %v", left, known, tc.want)
			}
		})
	}
}
