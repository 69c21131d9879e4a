package datasets

import (
	"embed"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/geometric-complexity/toolkit/internal/nearest"
)

// The names of the data sets.
const (
	NameFashionMNISTSubset = "fashion-mnist-subset"
	NameFashionMNIST       = "fashion-mnist"
	NameMNIST              = "mnist"
	NameCIFAR10            = "cifar10"
)

// EnvData is the environment variable with the path of the data folder. Without it the data folder
// is "data" in the current folder.
const EnvData = "GCML_DATA"

// debianFashionMNIST is the folder of Debian's package dataset-fashion-mnist.
const debianFashionMNIST = "/usr/share/datasets/fashion-mnist"

//go:embed fashion_mnist_subset/*.gz
var embedded embed.FS

// Source describes where a data set is, or how to get it.
type Source struct {
	// Name is the name that [Load] accepts; Title describes the set.
	Name, Title string
	// Found is true if the set can be loaded.
	Found bool
	// Embedded is true if the set is part of the program.
	Embedded bool
	// Path is the folder of the set, or for CIFAR-10 possibly its archive. It is empty if the set
	// is embedded or not found.
	Path string
	// Hint explains in one line how to get a set that was not found; otherwise it is empty.
	Hint string
}

// String describes the source in one line.
func (s Source) String() string {
	switch {
	case s.Embedded:
		return fmt.Sprintf("%s: embedded", s.Name)
	case s.Found:
		return fmt.Sprintf("%s: %s", s.Name, s.Path)
	}
	return fmt.Sprintf("%s: not found; %s", s.Name, s.Hint)
}

// Names returns the names of all data sets, the embedded one first.
func Names() []string {
	names := make([]string, len(catalog))
	for i, set := range catalog {
		names[i] = set.name
	}
	return names
}

// Locate looks for a data set in the data folder ($GCML_DATA, or else ./data) and then, for
// Fashion-MNIST, in the folder of Debian's package. If the set is not there, Found is false and
// Hint explains how to get it. Locate returns an error for an unknown name, and if GCML_DATA is not
// a folder.
func Locate(name string) (Source, error) {
	set, err := lookup(name)
	if err != nil {
		return Source{}, err
	}
	source := Source{Name: set.name, Title: set.title, Embedded: set.embedded, Found: set.embedded}
	if set.embedded {
		return source, nil
	}
	root, err := DataDir()
	if err != nil {
		return Source{}, err
	}
	source.Path = set.find(root)
	source.Found = source.Path != ""
	if !source.Found {
		source.Hint = set.hint(root)
	}
	return source, nil
}

// DataDir returns the data folder: $GCML_DATA if it is set, or else "data", which need not exist.
func DataDir() (string, error) {
	dir := os.Getenv(EnvData)
	if dir == "" {
		return "data", nil
	}
	info, err := os.Stat(dir)
	if err != nil {
		return "", fmt.Errorf("%s: %w: create the folder or unset %s", EnvData, err, EnvData)
	}
	if !info.IsDir() {
		return "", fmt.Errorf("%s: %s is not a folder", EnvData, dir)
	}
	return dir, nil
}

// NotFoundError reports that a known data set is not on this machine.
type NotFoundError struct{ Source Source }

// Error names the data set and explains how to get it.
func (e *NotFoundError) Error() string {
	return fmt.Sprintf("data set %s not found; %s", e.Source.Name, e.Source.Hint)
}

// Load reads a split of a data set by name, see [Names]. It never downloads: if the set is not
// there, it returns a [NotFoundError], which explains how to get it.
func Load(name string, split Split) (*Images, error) {
	if split != Train && split != Test {
		return nil, fmt.Errorf("%s: unknown split %s, want Train or Test", name, split)
	}
	set, source, err := locate(name)
	if err != nil {
		return nil, err
	}
	content, err := set.identify(source)
	if err != nil {
		return nil, err
	}
	hashes := make(fileHashes)
	images, err := set.read(source, split, hashes)
	if err != nil {
		return nil, err
	}
	if err := hashes.check(content, source); err != nil {
		return nil, err
	}
	images.Name, images.Classes, images.SHA256 = set.name+"/"+split.String(), slices.Clone(set.classes), content.SHA256
	if images.H != set.side || images.W != set.side {
		return nil, fmt.Errorf("%s: images of %d×%d pixels in %s, want %d×%d", name, images.H, images.W, source.Path,
			set.side, set.side)
	}
	return images, images.check()
}

func (set *dataSet) read(source Source, split Split, hashes fileHashes) (*Images, error) {
	if set.name == NameCIFAR10 {
		return readCIFAR10(source.Path, split, hashes)
	}
	var arrays [2]IDX
	var paths [2]string
	for i, file := range idxFiles(split) {
		paths[i] = filepath.Join(source.Path, file)
		var err error
		if arrays[i], err = set.readIDX(source, file, hashes); err != nil {
			return nil, err
		}
	}
	return pairIDX(arrays[0], arrays[1], paths[0], paths[1])
}

func (set *dataSet) readIDX(source Source, file string, hashes fileHashes) (IDX, error) {
	f, err := set.open(source, file)
	if err != nil {
		return IDX{}, err
	}
	defer f.Close()
	name := filepath.Join(source.Path, file)
	plain, err := gunzip(f, name)
	if err != nil {
		return IDX{}, err
	}
	return ReadIDX(hashes.reader(file, plain), name)
}

// idxFiles are the standard names of the images and labels of a split, without .gz.
func idxFiles(split Split) [2]string {
	prefix := "train"
	if split == Test {
		prefix = "t10k"
	}
	return [2]string{prefix + "-images-idx3-ubyte", prefix + "-labels-idx1-ubyte"}
}

// existingFile returns the path of the gzipped or plain file, or "" if there is none.
func existingFile(path string) string {
	for _, candidate := range []string{path + ".gz", path} {
		if info, err := os.Stat(candidate); err == nil && info.Mode().IsRegular() {
			return candidate
		}
	}
	return ""
}

// find returns the first location that contains all files of the set, or "".
func (set *dataSet) find(root string) string {
	for _, path := range set.locations {
		if !filepath.IsAbs(path) {
			path = filepath.Join(root, path)
		}
		if set.completeAt(path) {
			return path
		}
	}
	return ""
}

func (set *dataSet) completeAt(path string) bool {
	if info, err := os.Stat(path); err != nil {
		return false
	} else if !info.IsDir() {
		return true // An archive: reading it will check what it contains.
	}
	for file := range set.contents {
		if existingFile(filepath.Join(path, file)) == "" {
			return false
		}
	}
	return true
}

// hint explains in one line how to get the set.
func (set *dataSet) hint(root string) string {
	return fmt.Sprintf("to get it: gcml fetch %s, or %s", set.name, set.alternatives(root))
}

// alternatives explains how to get the set without gcml fetch.
func (set *dataSet) alternatives(root string) string {
	last := set.downloads[len(set.downloads)-1]
	address := strings.TrimSuffix(last.urls[0], last.file)
	what := "the published files"
	if len(set.downloads) == 1 {
		what = last.file
	}
	ways := fmt.Sprintf("put %s (%s) into %s, or set %s to your data folder",
		what, address, filepath.Join(root, set.locations[0]), EnvData)
	if set.debianPackage != "" {
		ways += ", or apt-get install " + set.debianPackage
	}
	return ways
}

// lookup returns the set with this name.
func lookup(name string) (*dataSet, error) {
	for _, set := range catalog {
		if set.name == name {
			return set, nil
		}
	}
	return nil, nearest.Unknown("data set", name, Names())
}

// Verify compares the files of a data set with the published ones by the SHA-256 of their
// uncompressed content, however they are compressed; see [Identify]. It returns nil if all are the
// published ones, and a [NotFoundError] if the set is not there.
func Verify(name string) error {
	set, source, err := locate(name)
	if err != nil {
		return err
	}
	c, err := set.identify(source)
	if err != nil || c.Published {
		return err
	}
	return fmt.Errorf("%s: the content has SHA-256 %s, want %s as published",
		filepath.Join(source.Path, c.Differs), c.sums[c.Differs], set.contents[c.Differs])
}
