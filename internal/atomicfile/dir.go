package atomicfile

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// ReplaceDir puts a new folder at path, in the place of one that may be there.
// The function fills it under a temporary name beside path; it is renamed only
// when that went well. On an error path is as it was. On Linux the two folders
// change places at once; elsewhere, and on file systems that cannot do that, a
// kill between two renames leaves the old folder under the temporary name.
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
		return nil // The old one is removed with the hidden folder.
	}
	if err := os.Rename(path, old); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := os.Rename(fresh, path); err != nil {
		return errors.Join(err, putBack(old, path))
	}
	return nil
}

// putBack renames the old folder again, if there was one.
func putBack(old, path string) error {
	if err := os.Rename(old, path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
