package runs

import (
	"context"
	"errors"
	"path/filepath"
	"testing"
	"time"

	"github.com/geometric-complexity/toolkit/internal/gctest"
)

func TestLock(t *testing.T) {
	dir := t.TempDir()
	lock, err := tryLock(dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tryLock(dir); !errors.Is(err, ErrBusy) {
		t.Fatalf("locking a locked folder: %v; want ErrBusy", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := Lock(ctx, dir); !errors.Is(err, context.Canceled) {
		t.Errorf("waiting with a cancelled context: %v", err)
	}
	Unlock(lock)
	again, err := Lock(context.Background(), dir)
	if err != nil {
		t.Fatalf("locking a free folder: %v", err)
	}
	Unlock(again)
}

// While another process is doing a run, a schedule waits, and then finds that process's record.
func TestScheduleWaitsForTheLock(t *testing.T) {
	part, items := scriptedItems(t, t.TempDir(), "shared", []int64{1}, "complete")
	env := Env{Backend: gctest.GoBackend(t), BackendName: "go", Out: part.Out}
	run := items[0].Run
	address, err := run.Address("go")
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(env.Out, RunsDir, address)
	lock, err := tryLock(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := attempt(context.Background(), env, run); !errors.Is(err, ErrBusy) {
		t.Fatalf("attempting a locked run: %v; want ErrBusy", err)
	}
	schedule := Schedule{Items: items, BackendName: "go"}
	ctx, cancel := context.WithTimeout(context.Background(), time.Millisecond)
	defer cancel()
	var interrupted *InterruptedError
	if _, err := schedule.Run(ctx, NewWorker(env)); !errors.As(err, &interrupted) {
		t.Fatalf("interrupted while waiting: %v", err)
	}
	waited := make(chan error)
	go func() {
		_, err := schedule.Run(context.Background(), NewWorker(env))
		waited <- err
	}()
	blank, err := run.newRecord("go")
	if err != nil {
		t.Fatal(err)
	}
	complete, err := env.WithDefaults()
	if err != nil {
		t.Fatal(err)
	}
	if err := do(context.Background(), complete, run, dir, blank); err != nil {
		t.Fatal(err)
	}
	Unlock(lock)
	if err := <-waited; err != nil {
		t.Fatal(err)
	}
	if got, err := ReadRecord(dir); err != nil || got.Provenance.Starts != 1 {
		t.Errorf("after the wait: %+v, %v; want the record of a single start", got, err)
	}
}
