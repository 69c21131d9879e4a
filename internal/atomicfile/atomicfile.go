// Package atomicfile writes files atomically: a reader, or the next start after a kill, finds a
// complete file or none.
package atomicfile

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
)

// Write writes data to the file at path, and the file survives a power failure: Write fills a
// temporary file beside path, syncs it to the disk, renames it to path and syncs the folder. It
// creates missing folders. If it fails before the rename, path is unchanged and the temporary file
// is removed.
func Write(path string, data []byte) error { return write(path, data, true) }

// Replace is Write without the wait for the disk, for files that the program can produce again. A
// kill still leaves the old file or the new one; after a power failure the file may be empty.
func Replace(path string, data []byte) error { return write(path, data, false) }

// File is a file with its content.
type File struct {
	Path string
	Data []byte
}

// ReplaceAll is Replace for files that belong together. It fills all temporary files before it
// renames the first one, so that a full disk leaves every file as it was.
func ReplaceAll(files ...File) error {
	var filled []string
	defer func() {
		for _, name := range filled {
			_ = os.Remove(name) // Those that were renamed are gone.
		}
	}()
	for _, file := range files {
		name, err := fill(file.Path, file.Data, false)
		if err != nil {
			return err
		}
		filled = append(filled, name)
	}
	for i, file := range files {
		if err := os.Rename(filled[i], file.Path); err != nil {
			return fmt.Errorf("writing %s: %w", file.Path, err)
		}
	}
	return nil
}

func write(path string, data []byte, durable bool) error {
	name, err := fill(path, data, durable)
	if err != nil {
		return err
	}
	if err := os.Rename(name, path); err != nil {
		_ = os.Remove(name)
		return fmt.Errorf("writing %s: %w", path, err)
	}
	if !durable {
		return nil
	}
	if err := SyncDir(filepath.Dir(path)); err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	return nil
}

// fill writes data to a temporary file beside path, and returns its name.
func fill(path string, data []byte, durable bool) (name string, err error) {
	dir := filepath.Dir(path)
	if err := MkdirAll(dir); err != nil {
		return "", err
	}
	f, err := os.CreateTemp(dir, "."+filepath.Base(path)+temporary+"*")
	if err != nil {
		return "", err
	}
	defer func() {
		if err != nil {
			_ = f.Close()
			_ = os.Remove(f.Name())
			err = fmt.Errorf("writing %s: %w", path, err)
		}
	}()
	if _, err = f.Write(data); err != nil {
		return "", err
	}
	// CreateTemp makes files that only their owner can read; results are for everybody.
	if err = f.Chmod(0o644); err != nil {
		return "", err
	}
	if durable {
		if err = f.Sync(); err != nil {
			return "", err
		}
	}
	return f.Name(), f.Close()
}

// temporary is the part of a temporary file's name between the final file name and a random number.
const temporary = ".tmp-"

// RemoveTemporary removes the temporary files that killed writers left in a folder. Call it only
// while nobody writes there. It does nothing if the folder does not exist.
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

// WriteGzip writes data to path compressed; see Write. The gzip header has neither name nor time,
// so that the file depends only on data. It returns the compressed data.
func WriteGzip(path string, data []byte) (packed []byte, err error) {
	var b bytes.Buffer
	compressor, err := gzip.NewWriterLevel(&b, gzip.BestCompression)
	if err != nil {
		return nil, err
	}
	if _, err := compressor.Write(data); err != nil {
		return nil, err
	}
	if err := compressor.Close(); err != nil {
		return nil, err
	}
	return b.Bytes(), Write(path, b.Bytes())
}

// WriteJSON writes value as indented JSON with a closing newline; see Write.
func WriteJSON(path string, value any) error {
	data, err := json.MarshalIndent(value, "", "  ")
	if err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	return Write(path, append(data, '\n'))
}

// MkdirAll creates a folder and its missing parents, and they survive a power failure.
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
			return nil // Another process created it meanwhile.
		}
		return err
	}
	return SyncDir(above)
}

// SyncDir makes the entries of a folder survive a power failure: the files created, renamed and
// removed there. It does nothing on Windows, which cannot sync a folder.
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

// SyncFiles makes the files of a folder, and their names, survive a power failure. It does not sync
// the folder's own name in its parent. No file may be open, and all entries have to be files.
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
