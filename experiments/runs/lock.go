package runs

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/gofrs/flock"

	"github.com/geometric-complexity/toolkit/internal/atomicfile"
)

// lockFile is locked by the process that works in its folder. The lock belongs to the open file,
// not to the file's existence: the system releases it when the process ends, even if it is killed,
// so no lock is ever stale.
const lockFile = ".lock"

// lockPoll is the time between two attempts to take a lock that another process holds.
const lockPoll = 250 * time.Millisecond

// ErrBusy says that another process is doing the run.
var ErrBusy = errors.New("another process is doing this run")

func newLock(dir string) (*flock.Flock, error) {
	if err := atomicfile.MkdirAll(dir); err != nil {
		return nil, err
	}
	// Network file systems lock only files that are open for writing.
	return flock.New(filepath.Join(dir, lockFile), flock.SetFlag(os.O_CREATE|os.O_RDWR), flock.SetPermissions(0o666)), nil
}

// tryLock locks a folder, or returns ErrBusy if another process has locked it.
func tryLock(dir string) (*flock.Flock, error) {
	lock, err := newLock(dir)
	if err != nil {
		return nil, err
	}
	locked, err := lock.TryLock()
	switch {
	case err != nil:
		return nil, lockError(dir, err)
	case !locked:
		return nil, ErrBusy
	}
	return lock, nil
}

// Lock waits until no other process has locked the folder, and locks it.
func Lock(ctx context.Context, dir string) (*flock.Flock, error) {
	lock, err := newLock(dir)
	if err != nil {
		return nil, err
	}
	if _, err := lock.TryLockContext(ctx, lockPoll); err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, lockError(dir, err)
	}
	return lock, nil
}

func lockError(dir string, err error) error {
	return fmt.Errorf("cannot lock %s: %w; choose an output folder on a file system that supports flock", dir, err)
}

// Unlock releases the lock. The file stays: if it were removed, two processes could lock two files
// of the same name.
func Unlock(lock *flock.Flock) { _ = lock.Unlock() } // The system releases it when the process ends.
