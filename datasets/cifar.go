package datasets

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
)

const (
	cifarSide   = 32
	cifarPixels = cifarSide * cifarSide * 3
	// cifarRecord is the size of a record: one label byte, then the red, the green and the blue
	// plane, each row-major 32×32.
	cifarRecord = 1 + cifarPixels
	// maxCIFARBytes bounds one batch file; the real ones have 10,000 records, 30.7 MB.
	maxCIFARBytes = 100_000 * cifarRecord
)

var cifar10Classes = []string{
	"airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck",
}

// cifarFiles are the batch files of a split, in order.
func cifarFiles(split Split) []string {
	if split == Test {
		return []string{"test_batch.bin"}
	}
	files := make([]string, 5)
	for i := range files {
		files[i] = fmt.Sprintf("data_batch_%d.bin", i+1)
	}
	return files
}

// ReadCIFAR10 reads a split of CIFAR-10 in its binary version, from the folder that holds the batch
// files (cifar-10-batches-bin) or from the archive cifar-10-binary.tar.gz. The images are [n, 32,
// 32, 3] with red, green and blue on the last axis; the files hold them as planes. It returns an
// error that names the file if one is missing, truncated or damaged, or contains a label above 9.
//
// The format: https://www.cs.toronto.edu/~kriz/cifar.html, "Binary version".
func ReadCIFAR10(dirOrArchive string, split Split) (*Images, error) {
	return readCIFAR10(dirOrArchive, split, nil)
}

func readCIFAR10(dirOrArchive string, split Split, hashes fileHashes) (*Images, error) {
	info, err := os.Stat(dirOrArchive)
	if err != nil {
		return nil, err
	}
	images := &Images{H: cifarSide, W: cifarSide, C: 3, Classes: cifar10Classes, Name: NameCIFAR10 + "/" + split.String()}
	if info.IsDir() {
		err = readCIFARFolder(images, dirOrArchive, split, hashes)
	} else {
		err = readCIFARArchive(images, dirOrArchive, split, hashes)
	}
	if err != nil {
		return nil, err
	}
	return images, nil
}

func readCIFARFolder(images *Images, dir string, split Split, hashes fileHashes) error {
	for _, name := range cifarFiles(split) {
		if err := readCIFARFile(images, dir, name, hashes); err != nil {
			return err
		}
	}
	return nil
}

func readCIFARFile(images *Images, dir, name string, hashes fileHashes) error {
	path := filepath.Join(dir, name)
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	return appendCIFAR(images, hashes.reader(name, f), path)
}

// readCIFARArchive reads the batch files from a tar archive, which may hold them in any order.
func readCIFARArchive(images *Images, archive string, split Split, hashes fileHashes) error {
	f, err := os.Open(archive)
	if err != nil {
		return err
	}
	defer f.Close()
	plain, err := gunzip(f, archive)
	if err != nil {
		return err
	}
	wanted := cifarFiles(split)
	found := make(map[string]*Images, len(wanted))
	for reader := tar.NewReader(plain); len(found) < len(wanted); {
		header, err := reader.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return archiveError(archive, err)
		}
		for _, name := range wanted {
			if header.Typeflag == tar.TypeReg && path.Base(header.Name) == name {
				batch := *images
				if err := appendCIFAR(&batch, hashes.reader(name, reader), archive+": "+header.Name); err != nil {
					return err
				}
				found[name] = &batch
			}
		}
	}
	for _, name := range wanted {
		batch, ok := found[name]
		if !ok {
			return noFileInArchive(archive, name)
		}
		images.N += batch.N
		images.Pixels = append(images.Pixels, batch.Pixels...)
		images.Labels = append(images.Labels, batch.Labels...)
	}
	return nil
}

func noFileInArchive(archive, name string) error {
	return fmt.Errorf("%s: no %s in this archive, want cifar-10-binary.tar.gz, the binary version", archive, name)
}

func archiveError(archive string, err error) error {
	if errors.Is(err, tar.ErrHeader) {
		return fmt.Errorf("%s: not a tar archive: %w", archive, err)
	}
	return readError(archive, err)
}

// appendCIFAR reads all records of one batch file and moves the channels to the last axis.
func appendCIFAR(images *Images, r io.Reader, name string) error {
	var raw bytes.Buffer
	n, err := io.Copy(&raw, io.LimitReader(r, maxCIFARBytes+1))
	switch {
	case err != nil:
		return readError(name, err)
	case n == 0:
		return fmt.Errorf("%s: the file is empty", name)
	case n > maxCIFARBytes:
		return fmt.Errorf("%s: more than %d bytes, want a CIFAR-10 batch of 10000 records of %d bytes",
			name, maxCIFARBytes, cifarRecord)
	case n%cifarRecord != 0:
		return fmt.Errorf("%s: %d bytes are not a whole number of CIFAR-10 records of %d bytes: "+
			"truncated, or not the binary version", name, n, cifarRecord)
	}
	count := int(n) / cifarRecord
	images.Pixels = slices.Grow(images.Pixels, count*cifarPixels)
	for i := range count {
		record := raw.Bytes()[i*cifarRecord : (i+1)*cifarRecord]
		if int(record[0]) >= len(cifar10Classes) {
			return fmt.Errorf("%s: record %d has label %d, want 0 to 9; is this CIFAR-100?", name, i, record[0])
		}
		images.Labels = append(images.Labels, record[0])
		images.Pixels = appendInterleaved(images.Pixels, record[1:])
	}
	images.N += count
	return nil
}

// appendInterleaved appends planes [3, 32, 32] as [32, 32, 3].
func appendInterleaved(pixels, planes []uint8) []uint8 {
	const plane = cifarSide * cifarSide
	for i := range plane {
		pixels = append(pixels, planes[i], planes[plane+i], planes[2*plane+i])
	}
	return pixels
}
