package datasets

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
)

// maxIDXBytes limits the size that a header may announce. The largest IDX set in common use, EMNIST
// ByClass, has 547 MB.
const maxIDXBytes = 1 << 30

// idxUint8 is the IDX code of the element type "unsigned byte", which all image sets use.
const idxUint8 = 0x08

// IDX is the content of an IDX file of unsigned bytes: a row-major array Data of shape Dims.
type IDX struct {
	Dims []int
	Data []uint8
}

// ReadIDX reads one IDX array of unsigned bytes, plain or compressed by gzip (recognised by its
// first two bytes). Error messages call the file name.
//
// It returns an error for a wrong magic number, an element type other than uint8, dimensions that
// no image set has, truncated data, bytes after the end, and a damaged gzip stream. It never
// allocates more than a small multiple of the bytes that r contains.
//
// The format: two zero bytes, the element type, the rank, then each dimension as a big-endian
// uint32, then the data (http://yann.lecun.com/exdb/mnist/, "The IDX file format").
func ReadIDX(r io.Reader, name string) (IDX, error) {
	plain, err := gunzip(r, name)
	if err != nil {
		return IDX{}, err
	}
	dims, total, err := readIDXHeader(plain, name)
	if err != nil {
		return IDX{}, err
	}
	// The buffer grows with the data that arrives, so a forged header cannot make it large.
	var data bytes.Buffer
	n, err := io.Copy(&data, io.LimitReader(plain, int64(total)))
	if err != nil {
		return IDX{}, readError(name, err)
	}
	if n < int64(total) {
		return IDX{}, fmt.Errorf("%s: truncated: the header announces %d bytes of data for dimensions %v, found %d",
			name, total, dims, n)
	}
	// Reading to the end of the file also makes gzip compare its checksum.
	switch _, err := io.ReadFull(plain, make([]byte, 1)); {
	case err == nil:
		return IDX{}, fmt.Errorf("%s: bytes after the end: dimensions %v need %d bytes of data, the file has more",
			name, dims, total)
	case !errors.Is(err, io.EOF):
		return IDX{}, readError(name, err)
	}
	return IDX{Dims: dims, Data: data.Bytes()}, nil
}

// readIDXHeader returns the dimensions and their product, the number of data bytes.
func readIDXHeader(r io.Reader, name string) (dims []int, total int, err error) {
	var magic [4]byte
	if _, err := io.ReadFull(r, magic[:]); err != nil {
		return nil, 0, headerError(name, err)
	}
	if magic[0] != 0 || magic[1] != 0 {
		return nil, 0, fmt.Errorf("%s: not an IDX file: it begins with %#x, want 0x0000, the type and the rank", name, magic)
	}
	if magic[2] != idxUint8 {
		return nil, 0, fmt.Errorf("%s: IDX element type %#02x is not supported, want 0x08 (uint8)", name, magic[2])
	}
	rank := int(magic[3])
	if rank == 0 {
		return nil, 0, fmt.Errorf("%s: IDX array of rank 0, want at least one dimension", name)
	}
	raw := make([]byte, 4*rank)
	if _, err := io.ReadFull(r, raw); err != nil {
		return nil, 0, headerError(name, err)
	}
	dims, total = make([]int, rank), 1
	for i := range dims {
		dim := binary.BigEndian.Uint32(raw[4*i:])
		dims[i] = int(dim)
		if dim == 0 {
			return nil, 0, fmt.Errorf("%s: IDX dimension %d is 0", name, i)
		}
		// Compares by division because the product of forged dimensions may overflow.
		if int64(dim) > int64(maxIDXBytes/total) {
			return nil, 0, fmt.Errorf("%s: IDX dimensions %v need more than %d bytes: the header is probably damaged",
				name, dims[:i+1], maxIDXBytes)
		}
		total *= int(dim)
	}
	return dims, total, nil
}

// WriteIDX writes a row-major array of unsigned bytes, uncompressed. It returns an error if
// len(data) is not the product of the dimensions.
func WriteIDX(w io.Writer, dims []int, data []uint8) error {
	if len(dims) == 0 || len(dims) > 255 {
		return fmt.Errorf("cannot write an IDX array of rank %d", len(dims))
	}
	header, total := []byte{0, 0, idxUint8, byte(len(dims))}, 1
	for _, dim := range dims {
		if dim <= 0 || dim > maxIDXBytes/total {
			return fmt.Errorf("cannot write an IDX array of dimensions %v", dims)
		}
		header = binary.BigEndian.AppendUint32(header, uint32(dim))
		total *= dim
	}
	if total != len(data) {
		return fmt.Errorf("cannot write an IDX array of dimensions %v from %d bytes, want %d", dims, len(data), total)
	}
	if _, err := w.Write(header); err != nil {
		return err
	}
	_, err := w.Write(data)
	return err
}

// ReadIDXImages reads grey images [n, h, w] and their labels [n] from two IDX files, each plain or
// gzipped. The result has C = 1 channel and no class names. It returns an error that names the file
// if either cannot be read, has the wrong rank, or if their counts differ.
func ReadIDXImages(imagesPath, labelsPath string) (*Images, error) {
	pixels, err := readIDXFile(imagesPath)
	if err != nil {
		return nil, err
	}
	labels, err := readIDXFile(labelsPath)
	if err != nil {
		return nil, err
	}
	return pairIDX(pixels, labels, imagesPath, labelsPath)
}

// pairIDX joins an array of images and one of labels.
func pairIDX(pixels, labels IDX, imagesName, labelsName string) (*Images, error) {
	if len(pixels.Dims) != 3 {
		return nil, fmt.Errorf("%s: dimensions %v, want [images, height, width]", imagesName, pixels.Dims)
	}
	if len(labels.Dims) != 1 {
		return nil, fmt.Errorf("%s: dimensions %v, want [labels]", labelsName, labels.Dims)
	}
	if pixels.Dims[0] != labels.Dims[0] {
		return nil, fmt.Errorf("%s has %d images, but %s has %d labels: they belong to different sets",
			imagesName, pixels.Dims[0], labelsName, labels.Dims[0])
	}
	return &Images{
		Pixels: pixels.Data, Labels: labels.Data,
		N: pixels.Dims[0], H: pixels.Dims[1], W: pixels.Dims[2], C: 1,
	}, nil
}

func readIDXFile(path string) (IDX, error) {
	f, err := os.Open(path)
	if err != nil {
		return IDX{}, err
	}
	defer f.Close()
	return ReadIDX(f, path)
}

// gunzip returns the uncompressed content of r, whether r is compressed or not.
func gunzip(r io.Reader, name string) (io.Reader, error) {
	buffered := bufio.NewReader(r)
	start, err := buffered.Peek(2)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, readError(name, err)
	}
	if !bytes.Equal(start, []byte{0x1f, 0x8b}) {
		return buffered, nil
	}
	plain, err := gzip.NewReader(buffered)
	if err != nil {
		return nil, readError(name, err)
	}
	return plain, nil
}

func headerError(name string, err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("%s: truncated: the file ends inside its header", name)
	}
	return readError(name, err)
}

// readError adds the file's name, and explains errors of a damaged gzip stream.
func readError(name string, err error) error {
	switch {
	case errors.Is(err, gzip.ErrHeader), errors.Is(err, gzip.ErrChecksum), isCorrupt(err):
		return fmt.Errorf("%s: damaged gzip file: %w", name, err)
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF):
		return fmt.Errorf("%s: truncated gzip file: %w", name, err)
	}
	return fmt.Errorf("%s: %w", name, err)
}
