// Package atomicfile writes files that are either complete or not there: a
// reader, or the next start after a kill, never finds half of one.
package atomicfile

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
)

// Write puts data into the file at path so that it also outlasts a power
// failure: into a temporary file beside it, synced to the disk, then renamed
// over path; the folder is synced too. Missing folders are created. On an error
// before the rename path is as it was and the temporary file is gone.
func Write(path string, data []byte) error { return write(path, data, true) }

// Replace is Write without the wait for the disk, for files that can be made
// again. A kill still leaves the old file or the new one; after a power failure
// the file may be empty.
func Replace(path string, data []byte) error { return write(path, data, false) }

func write(path string, data []byte, durable bool) (err error) {
	dir := filepath.Dir(path)
	if err := MkdirAll(dir); err != nil {
		return err
	}
	f, err := os.CreateTemp(dir, "."+filepath.Base(path)+temporary+"*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = f.Close()
			_ = os.Remove(f.Name())
			err = fmt.Errorf("writing %s: %w", path, err)
		}
	}()
	if _, err = f.Write(data); err != nil {
		return err
	}
	// CreateTemp makes files that only their owner reads; results are no secret.
	if err = f.Chmod(0o644); err != nil {
		return err
	}
	if durable {
		if err = f.Sync(); err != nil {
			return err
		}
	}
	if err = f.Close(); err != nil {
		return err
	}
	if err = os.Rename(f.Name(), path); err != nil || !durable {
		return err
	}
	return SyncDir(dir)
}

// temporary stands in the names of temporary files, between the name of the file
// that it is to be and a random number.
const temporary = ".tmp-"

// RemoveTemporary removes from a folder the temporary files of writers that were
// killed. Nobody may be writing there. A folder that is not there has none.
func RemoveTemporary(dir string) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if name := entry.Name(); strings.HasPrefix(name, ".") && strings.Contains(name, temporary) {
			if err := os.Remove(filepath.Join(dir, name)); err != nil {
				return err
			}
		}
	}
	return nil
}

// WriteJSON writes value as indented JSON with a closing newline; see Write.
func WriteJSON(path string, value any) error {
	data, err := json.MarshalIndent(value, "", "  ")
	if err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	return Write(path, append(data, '\n'))
}

// MkdirAll makes a folder and those above it that are missing, so that they
// outlast a power failure.
func MkdirAll(dir string) error {
	if info, err := os.Stat(dir); err == nil && info.IsDir() {
		return nil
	}
	above := filepath.Dir(dir)
	if above != dir {
		if err := MkdirAll(above); err != nil {
			return err
		}
	}
	if err := os.Mkdir(dir, 0o777); err != nil {
		if info, statErr := os.Stat(dir); statErr == nil && info.IsDir() {
			return nil // another process made it meanwhile
		}
		return err
	}
	return SyncDir(above)
}

// SyncDir makes the names in a folder last through a power failure: what was
// created, renamed and removed there. Windows offers no such call.
func SyncDir(dir string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// SyncFiles makes a folder of files, none of them open, last through a power
// failure, but not its name in the folder above.
func SyncFiles(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		f, err := os.OpenFile(filepath.Join(dir, entry.Name()), os.O_RDWR, 0)
		if err != nil {
			return err
		}
		if err := errors.Join(f.Sync(), f.Close()); err != nil {
			return err
		}
	}
	return SyncDir(dir)
}
