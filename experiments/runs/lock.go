package runs

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/gofrs/flock"

	"example.com/geometric-complexity/internal/atomicfile"
)

// lockFile is locked by the process that works in its folder. The lock belongs
// to the open file and not to the file's being there: the system lets go of it
// however the process ends, so that no lock is ever stale.
const lockFile = ".lock"

// lockPoll is how often a lock that another process holds is tried again.
const lockPoll = 250 * time.Millisecond

// ErrBusy says that another process is at the run.
var ErrBusy = errors.New("another process is doing this run")

func newLock(dir string) (*flock.Flock, error) {
	if err := atomicfile.MkdirAll(dir); err != nil {
		return nil, err
	}
	// Network file systems lock only files that are open for writing.
	return flock.New(filepath.Join(dir, lockFile), flock.SetFlag(os.O_CREATE|os.O_RDWR), flock.SetPermissions(0o666)), nil
}

// tryLock locks a folder; ErrBusy if another process has it locked.
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

// waitLock locks a folder once it is free.
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
	return fmt.Errorf("%s cannot be locked: %w; results need a file system with locks (flock)", dir, err)
}

// Unlock lets go of the lock. The file stays: removing it would let two
// processes lock two files of the same name.
func Unlock(lock *flock.Flock) { _ = lock.Unlock() } // closing it at the process's end does the same
