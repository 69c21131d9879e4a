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

// While another process is doing a run, Execute waits, and then returns that process's record.
func TestExecuteWaitsForTheLock(t *testing.T) {
	env := Env{Backend: gctest.GoBackend(t), Out: t.TempDir()}
	run := Run{Label: "shared", Seed: 1, Task: &scripted{"complete", 3}}
	address, err := run.Address("Go Backend")
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(env.Out, RunsDir, address)
	lock, err := tryLock(dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tryExecute(context.Background(), env, run); !errors.Is(err, ErrBusy) {
		t.Fatalf("trying a locked run: %v; want ErrBusy", err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Millisecond)
	defer cancel()
	var interrupted *InterruptedError
	if _, err := Execute(ctx, env, run); !errors.As(err, &interrupted) {
		t.Fatalf("interrupted while waiting: %v", err)
	}
	waited := make(chan *Record)
	go func() {
		record, err := Execute(context.Background(), env, run)
		if err != nil {
			t.Error(err)
		}
		waited <- record
	}()
	blank, err := run.newRecord("Go Backend")
	if err != nil {
		t.Fatal(err)
	}
	complete, err := env.WithDefaults()
	if err != nil {
		t.Fatal(err)
	}
	record, err := do(context.Background(), complete, run, dir, blank)
	if err != nil {
		t.Fatal(err)
	}
	Unlock(lock)
	if got := <-waited; got == nil || got.Provenance.Starts != 1 || got.Final().Value("n") != record.Final().Value("n") {
		t.Errorf("after the wait: %+v; want the other process's record", got)
	}
}
