package onnxmodel

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/gomlx/compute-onnx/support/protos"
	"github.com/gomlx/onnx-gomlx/onnx"
)

// dataFolder reads the weights that a network keeps in files beside it. The file of the network
// names these files, and may come from a stranger. So only regular files inside its own folder are
// opened: no path that leads out, no link, no device, no FIFO. It implements
// onnx.ExternalDataReader.
type dataFolder struct {
	root *os.Root
	open map[string]*os.File // by location
}

var _ onnx.ExternalDataReader = (*dataFolder)(nil)

// openDataFolder opens the folder of a network. It stays open until release is called or nothing
// refers to it.
func openDataFolder(dir string) (*dataFolder, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	return &dataFolder{root: root, open: make(map[string]*os.File)}, nil
}

// file opens the file at a location, once.
func (d *dataFolder) file(location string) (*os.File, error) {
	if f, ok := d.open[location]; ok {
		return f, nil
	}
	path := filepath.FromSlash(location)
	if !filepath.IsLocal(path) {
		return nil, fmt.Errorf("external data file %q is outside of the network's folder: not opened", location)
	}
	if err := d.checkPlain(location, path); err != nil {
		return nil, err
	}
	f, err := d.root.Open(path)
	if err != nil {
		return nil, fmt.Errorf("external data file %q: %w", location, withoutPath(err))
	}
	// The file may have been replaced since the check.
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		f.Close()
		return nil, fmt.Errorf("external data file %q is not a regular file", location)
	}
	d.open[location] = f
	return f, nil
}

// checkPlain checks, without opening anything, that a path consists of folders and ends in a
// regular file.
func (d *dataFolder) checkPlain(location, path string) error {
	parts := strings.Split(filepath.Clean(path), string(filepath.Separator))
	for i := range parts {
		info, err := d.root.Lstat(filepath.Join(parts[:i+1]...))
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return fmt.Errorf("external data file %q is not in the network's folder: it belongs beside the .onnx file", location)
		case err != nil:
			return fmt.Errorf("external data file %q: %w", location, withoutPath(err))
		case info.Mode()&fs.ModeSymlink != 0:
			return fmt.Errorf("external data file %q is a link: not opened; put a copy of the file in its place", location)
		case i < len(parts)-1 && !info.IsDir() || i == len(parts)-1 && !info.Mode().IsRegular():
			return fmt.Errorf("external data file %q is not a regular file: not opened", location)
		}
	}
	return nil
}

// check compares the location and length that a tensor claims with the file and with the tensor's
// size.
func (d *dataFolder) check(t *protos.TensorProto, bytes int64) error {
	location, offset, length, err := externalData(t)
	if err != nil {
		return err
	}
	f, err := d.file(location)
	if err != nil {
		return fmt.Errorf("tensor %s: %w", t.Name, err)
	}
	info, err := f.Stat()
	if err != nil {
		return fmt.Errorf("tensor %s: external data file %q: %w", t.Name, location, withoutPath(err))
	}
	if length >= 0 && length != bytes {
		return fmt.Errorf("tensor %s of shape %v takes %d bytes, but %d of external data file %q",
			t.Name, t.Dims, bytes, length, location)
	}
	if offset < 0 || offset > info.Size() || bytes > info.Size()-offset {
		return fmt.Errorf("tensor %s takes %d bytes from byte %d of external data file %q, which has %d",
			t.Name, bytes, offset, location, info.Size())
	}
	return nil
}

// externalData is where a tensor's data is; length is -1 where that is not said.
func externalData(t *protos.TensorProto) (location string, offset, length int64, err error) {
	length = -1
	for _, entry := range t.ExternalData {
		switch entry.Key {
		case "location":
			location = entry.Value
		case "offset":
			offset, err = strconv.ParseInt(entry.Value, 10, 64)
		case "length":
			length, err = strconv.ParseInt(entry.Value, 10, 64)
		}
		if err != nil {
			return "", 0, 0, fmt.Errorf("tensor %s: %s %q of its external data is not a whole number",
				t.Name, entry.Key, entry.Value)
		}
	}
	return location, offset, length, nil
}

// ReadInto implements onnx.ExternalDataReader.
func (d *dataFolder) ReadInto(info onnx.ExternalDataInfo, output []byte) error {
	f, err := d.file(info.Location)
	if err != nil {
		return err
	}
	if _, err := f.ReadAt(output, info.Offset); err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("external data file %q: %w", info.Location, withoutPath(err))
	} else if err != nil {
		return fmt.Errorf("external data file %q ends before byte %d", info.Location, info.Offset+int64(len(output)))
	}
	return nil
}

// Close implements onnx.ExternalDataReader: it closes the files, and ReadInto opens them anew.
func (d *dataFolder) Close() error {
	var errs []error
	for location, f := range d.open {
		errs = append(errs, f.Close())
		delete(d.open, location)
	}
	return errors.Join(errs...)
}

// release closes the files and the folder.
func (d *dataFolder) release() error { return errors.Join(d.Close(), d.root.Close()) }
