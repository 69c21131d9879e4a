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
	"strings"
	"sync"
	"time"
)

// Content says what a data set holds, whoever packed its files.
type Content struct {
	// SHA256 is that of a list of the set's files in the order of their names, one line
	// "SUM  FILE\n" each, as sha256sum writes it: the SHA-256 of a file's uncompressed bytes, two
	// spaces, its name without .gz.
	SHA256 string
	// Published says that every file is the published one.
	Published bool
	// Copy describes a known copy that differs from the published files; empty for others.
	Copy string
	// Differs names the first file that is not the published one; empty if Published.
	Differs string
	// sums of the files.
	sums map[string]string
}

// String says in a few words what the content is.
func (c Content) String() string {
	switch {
	case c.Published:
		return "the published content"
	case c.Copy != "":
		return c.Copy
	}
	return "not the published content (" + c.Differs + " differs)"
}

// Identify says what a data set holds on this machine. The files are read once: their sums are
// kept, by path, size and time. Errors are those of [Locate], a [NotFoundError], and files that
// cannot be read.
func Identify(name string) (Content, error) {
	set, source, err := locate(name)
	if err != nil {
		return Content{}, err
	}
	return set.identify(source)
}

// PublishedContent is what Identify gives where a data set's files are the published ones.
func PublishedContent(name string) (Content, error) {
	set, err := lookup(name)
	if err != nil {
		return Content{}, err
	}
	return set.content(set.contents), nil
}

// locate finds a data set that is there.
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

// content judges the sums of a set's files.
func (set *dataSet) content(sums map[string]string) Content {
	c := Content{sums: sums}
	var list strings.Builder
	for _, file := range slices.Sorted(maps.Keys(sums)) {
		fmt.Fprintf(&list, "%s  %s\n", sums[file], file)
		if sums[file] != set.contents[file] && c.Differs == "" {
			c.Differs = file
		}
	}
	whole := sha256.Sum256([]byte(list.String()))
	c.SHA256, c.Published = hex.EncodeToString(whole[:]), c.Differs == ""
	for _, known := range set.copies {
		if maps.Equal(known.contents, sums) {
			c.Copy = known.title
		}
	}
	return c
}

// fileSums gives the SHA-256 of the uncompressed bytes of each file of the set.
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
	key := stamp(filepath.Join(source.Path, file), info)
	known, err := sumsOnce(key, func() (map[string]string, error) {
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

// open opens a file of the set, as it was packed.
func (set *dataSet) open(source Source, file string) (fs.File, error) {
	if set.embedded {
		return embedded.Open("fashion_mnist_subset/" + file + ".gz")
	}
	at := filepath.Join(source.Path, file)
	if found := existing(at); found != "" {
		at = found
	}
	return os.Open(at)
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
	return sumsOnce(stamp(archive, info), func() (map[string]string, error) {
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

// fileStamp tells a file from another, and from what it was before it was changed.
type fileStamp struct {
	path string
	size int64
	time time.Time
}

func stamp(path string, info fs.FileInfo) fileStamp {
	return fileStamp{path, info.Size(), info.ModTime()}
}

// summed keeps the sums of files that were read.
var summed sync.Map // of map[string]string, by fileStamp

func sumsOnce(key fileStamp, read func() (map[string]string, error)) (map[string]string, error) {
	if known, ok := summed.Load(key); ok {
		return known.(map[string]string), nil
	}
	sums, err := read()
	if err == nil {
		summed.Store(key, sums)
	}
	return sums, err
}

// tap sums files while they are read. A nil tap does not.
type tap map[string]hash.Hash

// reader gives the uncompressed bytes of a file, which have to be read to their end.
func (t tap) reader(file string, plain io.Reader) io.Reader {
	if t == nil {
		return plain
	}
	t[file] = sha256.New()
	return io.TeeReader(plain, t[file])
}

// check compares what was read with the sums of the set, which may have been taken before.
func (t tap) check(c Content, source Source) error {
	for file, hash := range t {
		if hex.EncodeToString(hash.Sum(nil)) != c.sums[file] {
			return fmt.Errorf("%s: the file was changed while the program ran; start it again",
				filepath.Join(source.Path, file))
		}
	}
	return nil
}
