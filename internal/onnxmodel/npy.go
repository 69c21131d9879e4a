package onnxmodel

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/bits"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/core/tensors/numpy"

	"github.com/geometric-complexity/toolkit/internal/machine"
)

// ReadArray reads a .npy file, or from an .npz file the array of that name, or
// the only one that it holds; no other is read. An array of more than limit
// bytes is refused, since a small .npz file can hold one of any size, and so is
// one whose header claims more than the file holds.
func ReadArray(path, name string, limit int64) (*tensors.Tensor, error) {
	return readNamed(path, name, false, limit)
}

// ReadMember reads the array of that name from an .npz file with those of several inputs, as
// ReadArray does.
func ReadMember(path, name string, limit int64) (*tensors.Tensor, error) {
	return readNamed(path, name, true, limit)
}

func readNamed(path, name string, exact bool, limit int64) (*tensors.Tensor, error) {
	t, err := readArray(path, name, exact, limit)
	var pathErr *fs.PathError
	switch {
	case errors.As(err, &pathErr):
		return nil, fmt.Errorf("%s: cannot be read: %w", path, pathErr.Err)
	case err != nil:
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return t, nil
}

func readArray(path, name string, exact bool, limit int64) (*tensors.Tensor, error) {
	const advice = "write it with numpy.save or numpy.savez"
	read := readNpy
	switch strings.ToLower(filepath.Ext(path)) {
	case ".npy":
	case ".npz":
		read = readNpz
	default:
		if _, err := os.Stat(path); err != nil {
			return nil, err
		}
		return nil, errors.New("neither .npy nor .npz; " + advice)
	}
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, errors.New("cannot be read: it is not a regular file")
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	t, err := read(f, info.Size(), name, exact, limit)
	var wrong *formatError
	if errors.As(err, &wrong) {
		return nil, fmt.Errorf("%w; %s", err, advice)
	}
	return t, err
}

// formatError is a file that is not as NumPy writes it.
type formatError struct{ error }

func (e *formatError) Unwrap() error { return e.error }

func readNpy(f *os.File, size int64, _ string, _ bool, limit int64) (*tensors.Tensor, error) {
	return decodeNpy(f, size, limit)
}

func readNpz(f *os.File, size int64, name string, exact bool, limit int64) (*tensors.Tensor, error) {
	archive, err := zip.NewReader(f, size)
	if err != nil {
		return nil, &formatError{err}
	}
	var names []string
	var member *zip.File
	for _, m := range archive.File {
		array, ok := strings.CutSuffix(m.Name, ".npy")
		if !ok {
			continue
		}
		names = append(names, array)
		if array == name || member == nil {
			member = m
		}
	}
	if member == nil || (exact || len(names) > 1) && member.Name != name+".npy" {
		const enough = 12
		if more := len(names) - enough; more > 0 {
			names = append(names[:enough:enough], fmt.Sprintf("and %d others", more))
		}
		return nil, fmt.Errorf("no array %q among these: %s", name, strings.Join(names, ", "))
	}
	body, err := member.Open()
	if err != nil {
		return nil, &formatError{err}
	}
	defer body.Close()
	t, err := decodeNpy(body, int64(min(member.UncompressedSize64, 1<<62)), limit)
	if err != nil {
		return nil, fmt.Errorf("array %s: %w", strings.TrimSuffix(member.Name, ".npy"), err)
	}
	// At the end of the member its checksum is compared.
	if n, err := body.Read(make([]byte, 1)); n > 0 || err != io.EOF {
		if err == nil || err == io.EOF {
			err = errors.New("there is more than its header says")
		}
		return nil, &formatError{fmt.Errorf("array %s: %w", strings.TrimSuffix(member.Name, ".npy"), err)}
	}
	return t, nil
}

// decodeNpy reads an array of size bytes with its header, once what the header claims was found to
// fit.
func decodeNpy(r io.Reader, size, limit int64) (t *tensors.Tensor, err error) {
	header, claimed, err := npyHeader(r)
	if err != nil {
		return nil, &formatError{err}
	}
	switch {
	case claimed > uint64(limit):
		return nil, &LimitError{Bytes: claimed, Limit: limit}
	case claimed > uint64(max(0, size-int64(len(header)))):
		return nil, &formatError{fmt.Errorf("its header says %d bytes, but there are only %d",
			claimed, max(0, size-int64(len(header))))}
	}
	err = attempt(func() (err error) {
		t, err = numpy.FromNpyReader(io.MultiReader(bytes.NewReader(header), r))
		return err
	})
	if err != nil {
		return nil, &formatError{err}
	}
	return t, nil
}

// LimitError is an array that is larger than allowed.
type LimitError struct {
	Bytes uint64 // of the array, the largest number if there are even more
	Limit int64
}

// Error says both sizes.
func (e *LimitError) Error() string {
	return fmt.Sprintf("the array needs %s, and the limit is %s",
		machine.Bytes(float64(e.Bytes)), machine.Bytes(float64(e.Limit)))
}

var (
	npyShape = regexp.MustCompile(`'shape'\s*:\s*\(([^)]*)\)`)
	npyDescr = regexp.MustCompile(`'descr'\s*:\s*'[<>=|]?(?:\?|[a-zA-Z](\d{1,3}))'`)
)

// npyHeader reads the header of an array, and returns it with the number of bytes that it says will
// follow.
func npyHeader(r io.Reader) (header []byte, claimed uint64, err error) {
	const magic = "\x93NUMPY"
	header = make([]byte, len(magic)+2, 128) // with the version
	if _, err := io.ReadFull(r, header); err != nil || !bytes.HasPrefix(header, []byte(magic)) {
		return nil, 0, errors.New("not an array of NumPy's")
	}
	width := 2 // bytes of the header's length
	if header[len(magic)] > 1 {
		width = 4
	}
	length := make([]byte, 4)
	if _, err := io.ReadFull(r, length[:width]); err != nil {
		return nil, 0, errors.New("it ends within its header")
	}
	n := binary.LittleEndian.Uint32(length)
	if n > 1<<16-1 {
		return nil, 0, fmt.Errorf("its header says that it is itself %d bytes long", n)
	}
	header = append(header, length[:width]...)
	text := make([]byte, n)
	if _, err := io.ReadFull(r, text); err != nil {
		return nil, 0, errors.New("it ends within its header")
	}
	claimed, err = npyBytes(string(text))
	return append(header, text...), claimed, err
}

// npyBytes is the number of bytes of the array that a header describes.
func npyBytes(header string) (uint64, error) {
	shape, descr := npyShape.FindStringSubmatch(header), npyDescr.FindStringSubmatch(header)
	if shape == nil || descr == nil {
		return 0, errors.New("its header names no shape, or no type of numbers")
	}
	if kind, big := strings.CutPrefix(strings.TrimLeft(descr[0][len("'descr'"):], ": '"), ">"); big {
		return 0, fmt.Errorf("its numbers are big-endian: convert them with astype('<%s)", kind)
	}
	claimed := uint64(1)
	if descr[1] != "" {
		claimed, _ = strconv.ParseUint(descr[1], 10, 64) // At most three digits.
	}
	empty := false
	for word := range strings.SplitSeq(shape[1], ",") {
		if word = strings.TrimSpace(word); word == "" {
			continue
		}
		d, err := strconv.ParseUint(word, 10, 63)
		if err != nil {
			return 0, fmt.Errorf("its header says the impossible shape (%s)", shape[1])
		}
		empty = empty || d == 0
		high, low := bits.Mul64(claimed, max(1, d))
		if high != 0 {
			low = 1<<64 - 1
		}
		claimed = low
	}
	if empty {
		return 0, nil
	}
	return claimed, nil
}
