package atomicfile

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// ReplaceDir puts a new folder at path and removes the old one, if there was one. It calls fill
// with a temporary folder beside path, and renames this folder to path only if fill succeeds. On an
// error path is unchanged. On Linux the two folders change places atomically; elsewhere, and on
// file systems without this operation, a kill between two renames leaves the old folder under the
// temporary name.
func ReplaceDir(path string, fill func(dir string) error) (err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("replacing %s: %w", path, err)
		}
	}()
	parent := filepath.Dir(path)
	if err := os.MkdirAll(parent, 0o777); err != nil {
		return err
	}
	// Both names lie in one hidden folder, so that a kill leaves one thing to remove.
	scratch, err := os.MkdirTemp(parent, "."+filepath.Base(path)+".tmp-*")
	if err != nil {
		return err
	}
	defer os.RemoveAll(scratch)
	fresh, old := filepath.Join(scratch, "new"), filepath.Join(scratch, "old")
	if err := os.Mkdir(fresh, 0o777); err != nil {
		return err
	}
	if err := fill(fresh); err != nil {
		return err
	}
	if err := exchange(fresh, path); err == nil {
		return nil // Removing the hidden folder removes the old one.
	}
	if err := os.Rename(path, old); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := os.Rename(fresh, path); err != nil {
		return errors.Join(err, putBack(old, path))
	}
	return nil
}

// putBack renames the old folder back to path, if there was one.
func putBack(old, path string) error {
	if err := os.Rename(old, path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
