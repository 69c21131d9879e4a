package datasets

import (
	"archive/tar"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"sync"
	"time"
)

// Content identifies what a data set contains, independently of how its files are packed.
type Content struct {
	// SHA256 is the sum of a list of the set's files, sorted by name, with one line "SUM  FILE\n"
	// for each file as sha256sum writes it: the SHA-256 of the file's uncompressed bytes, two
	// spaces, and its name without .gz.
	SHA256 string
	// Published is true if every file is the published one.
	Published bool
	// Copy describes the files if they are a known copy that differs from the published ones;
	// otherwise it is empty.
	Copy string
	// Differs is the first file that differs from the published one; it is empty if Published.
	Differs string
	sums    map[string]string
}

// String describes the content in a few words.
func (c Content) String() string {
	switch {
	case c.Published:
		return "the published content"
	case c.Copy != "":
		return c.Copy
	}
	return "not the published content (" + c.Differs + " differs)"
}

// Identify identifies the content of a data set on this machine. It reads the files once and keeps
// their sums by path, size and modification time. It returns the errors of [Locate], a
// [NotFoundError] if the set is not there, and an error if a file cannot be read.
func Identify(name string) (Content, error) {
	set, source, err := locate(name)
	if err != nil {
		return Content{}, err
	}
	return set.identify(source)
}

// PublishedContent returns the content that Identify returns for the published files of a data set.
func PublishedContent(name string) (Content, error) {
	set, err := lookup(name)
	if err != nil {
		return Content{}, err
	}
	return set.content(set.contents), nil
}

// locate is Locate with an error for a data set that is not found.
func locate(name string) (*dataSet, Source, error) {
	source, err := Locate(name)
	if err != nil {
		return nil, source, err
	}
	if !source.Found {
		return nil, source, &NotFoundError{source}
	}
	set, err := lookup(name)
	return set, source, err
}

func (set *dataSet) identify(source Source) (Content, error) {
	sums, err := set.fileSums(source)
	if err != nil {
		return Content{}, err
	}
	return set.content(sums), nil
}

// content compares the sums of a set's files with the catalog.
func (set *dataSet) content(sums map[string]string) Content {
	c := Content{sums: sums}
	for _, file := range slices.Sorted(maps.Keys(sums)) {
		if sums[file] != set.contents[file] {
			c.Differs = file
			break
		}
	}
	c.SHA256, c.Published = sumOfSums(sums), c.Differs == ""
	for _, known := range set.copies {
		if maps.Equal(known.contents, sums) {
			c.Copy = known.title
		}
	}
	return c
}

// sumOfSums returns the sum that Content.SHA256 describes, from the sum of each file.
func sumOfSums(sums map[string]string) string {
	list := sha256.New()
	for _, file := range slices.Sorted(maps.Keys(sums)) {
		fmt.Fprintf(list, "%s  %s\n", sums[file], file)
	}
	return hex.EncodeToString(list.Sum(nil))
}

// fileSums returns the SHA-256 of the uncompressed bytes of each file of the set.
func (set *dataSet) fileSums(source Source) (map[string]string, error) {
	if info, err := os.Stat(source.Path); err == nil && !info.IsDir() {
		return set.archiveSums(source.Path)
	}
	sums := make(map[string]string)
	for file := range set.contents {
		var err error
		if sums[file], err = set.fileSum(source, file); err != nil {
			return nil, err
		}
	}
	return sums, nil
}

func (set *dataSet) fileSum(source Source, file string) (string, error) {
	f, err := set.open(source, file)
	if err != nil {
		return "", err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return "", err
	}
	key := stampOf(filepath.Join(source.Path, file), info)
	known, err := cachedSums(key, func() (map[string]string, error) {
		plain, err := gunzip(f, key.path)
		if err != nil {
			return nil, err
		}
		sum, err := sum(plain)
		if err != nil {
			return nil, readError(key.path, err)
		}
		return map[string]string{file: sum}, nil
	})
	return known[file], err
}

// open opens a file of the set, which may be compressed.
func (set *dataSet) open(source Source, file string) (fs.File, error) {
	if set.embedded {
		return embedded.Open("fashion_mnist_subset/" + file + ".gz")
	}
	path := filepath.Join(source.Path, file)
	if found := existingFile(path); found != "" {
		path = found
	}
	return os.Open(path)
}

func (set *dataSet) archiveSums(archive string) (map[string]string, error) {
	f, err := os.Open(archive)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	return cachedSums(stampOf(archive, info), func() (map[string]string, error) {
		plain, err := gunzip(f, archive)
		if err != nil {
			return nil, err
		}
		return set.sumArchive(plain, archive)
	})
}

func (set *dataSet) sumArchive(plain io.Reader, archive string) (map[string]string, error) {
	sums := make(map[string]string)
	for reader := tar.NewReader(plain); len(sums) < len(set.contents); {
		header, err := reader.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, archiveError(archive, err)
		}
		file := path.Base(header.Name)
		if _, ours := set.contents[file]; !ours || header.Typeflag != tar.TypeReg {
			continue
		}
		if sums[file], err = sum(reader); err != nil {
			return nil, archiveError(archive, err)
		}
	}
	for _, file := range slices.Sorted(maps.Keys(set.contents)) {
		if sums[file] == "" {
			return nil, noFileInArchive(archive, file)
		}
	}
	return sums, nil
}

func sum(r io.Reader) (string, error) {
	hash := sha256.New()
	if _, err := io.Copy(hash, r); err != nil {
		return "", err
	}
	return hex.EncodeToString(hash.Sum(nil)), nil
}

// fileStamp identifies one version of a file.
type fileStamp struct {
	path string
	size int64
	time time.Time
}

func stampOf(path string, info fs.FileInfo) fileStamp {
	return fileStamp{path, info.Size(), info.ModTime()}
}

// sumCache holds the sums of the files that have been read.
var sumCache sync.Map // From fileStamp to map[string]string.

func cachedSums(key fileStamp, read func() (map[string]string, error)) (map[string]string, error) {
	if known, ok := sumCache.Load(key); ok {
		return known.(map[string]string), nil
	}
	sums, err := read()
	if err == nil {
		sumCache.Store(key, sums)
	}
	return sums, err
}

// fileHashes hashes files while they are read. Nil fileHashes do nothing.
type fileHashes map[string]hash.Hash

// reader returns a reader of the same bytes that hashes them. The caller must read them to their
// end.
func (h fileHashes) reader(file string, plain io.Reader) io.Reader {
	if h == nil {
		return plain
	}
	h[file] = sha256.New()
	return io.TeeReader(plain, h[file])
}

// check compares the hashes with the sums of the set, which may come from an earlier reading.
func (h fileHashes) check(c Content, source Source) error {
	for file, hash := range h {
		if hex.EncodeToString(hash.Sum(nil)) != c.sums[file] {
			return fmt.Errorf("%s: the file was changed while the program ran: start the program again",
				filepath.Join(source.Path, file))
		}
	}
	return nil
}
