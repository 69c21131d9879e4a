package datasets

import (
	"embed"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"example.com/geometric-complexity/internal/nearest"
)

// The names of the data sets.
const (
	NameFashionMNISTSubset = "fashion-mnist-subset"
	NameFashionMNIST       = "fashion-mnist"
	NameMNIST              = "mnist"
	NameCIFAR10            = "cifar10"
)

// EnvData is the environment variable that names the data folder. Without it the folder is "data"
// in the current one.
const EnvData = "GCML_DATA"

// debianFashionMNIST is where Debian's package dataset-fashion-mnist installs the four files.
const debianFashionMNIST = "/usr/share/datasets/fashion-mnist"

//go:embed fashion_mnist_subset/*.gz
var embedded embed.FS

// Source says where a data set is, or how to get it.
type Source struct {
	// Name is what [Load] takes; Title what people call the set.
	Name, Title string
	// Found says whether the set can be loaded.
	Found bool
	// Embedded says that the set is part of the program.
	Embedded bool
	// Path is the folder, or for CIFAR-10 possibly the archive, in which the set was found; empty
	// for an embedded set and for one not found.
	Path string
	// Hint says how to get a set that was not found, in one line; empty otherwise.
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

// Locate looks for a data set in the data folder ($GCML_DATA, else ./data) and then, for
// Fashion-MNIST, where Debian's package puts it. That the set is not there is no error, but Found
// false and a Hint. Errors are an unknown name, and a GCML_DATA that is not a folder.
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

// DataDir returns the data folder: $GCML_DATA if that is set, else "data", which need not exist.
func DataDir() (string, error) {
	dir := os.Getenv(EnvData)
	if dir == "" {
		return "data", nil
	}
	info, err := os.Stat(dir)
	if err != nil {
		return "", fmt.Errorf("%s: %w; create the folder or unset %s", EnvData, err, EnvData)
	}
	if !info.IsDir() {
		return "", fmt.Errorf("%s: %s is not a folder", EnvData, dir)
	}
	return dir, nil
}

// NotFoundError reports that a known data set is not on this machine.
type NotFoundError struct{ Source Source }

// Error says what is missing and how to get it.
func (e *NotFoundError) Error() string {
	return fmt.Sprintf("data set %s not found; %s", e.Source.Name, e.Source.Hint)
}

// Load reads a split of a data set by name, see [Names]. It never downloads: a set that is not
// there is a [NotFoundError], whose text says how to get it.
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
	sums := make(tap)
	images, err := set.read(source, split, sums)
	if err != nil {
		return nil, err
	}
	if err := sums.check(content, source); err != nil {
		return nil, err
	}
	images.Name, images.Classes, images.SHA256 = set.name+"/"+split.String(), slices.Clone(set.classes), content.SHA256
	if images.H != set.side || images.W != set.side {
		return nil, fmt.Errorf("%s: images of %d×%d pixels in %s, want %d×%d", name, images.H, images.W, source.Path,
			set.side, set.side)
	}
	return images, images.check()
}

func (set *dataSet) read(source Source, split Split, sums tap) (*Images, error) {
	if set.name == NameCIFAR10 {
		return readCIFAR10(source.Path, split, sums)
	}
	var arrays [2]IDX
	var paths [2]string
	for i, file := range idxFiles(split) {
		paths[i] = filepath.Join(source.Path, file)
		var err error
		if arrays[i], err = set.readIDX(source, file, sums); err != nil {
			return nil, err
		}
	}
	return pairIDX(arrays[0], arrays[1], paths[0], paths[1])
}

func (set *dataSet) readIDX(source Source, file string, sums tap) (IDX, error) {
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
	return ReadIDX(sums.reader(file, plain), name)
}

// idxFiles are the standard names of the images and labels of a split, without .gz.
func idxFiles(split Split) [2]string {
	prefix := "train"
	if split == Test {
		prefix = "t10k"
	}
	return [2]string{prefix + "-images-idx3-ubyte", prefix + "-labels-idx1-ubyte"}
}

// existing returns the path of a plain or gzipped file, or "".
func existing(path string) string {
	for _, candidate := range []string{path + ".gz", path} {
		if info, err := os.Stat(candidate); err == nil && info.Mode().IsRegular() {
			return candidate
		}
	}
	return ""
}

// find returns the first place that holds all files of the set, or "".
func (set *dataSet) find(root string) string {
	for _, place := range set.places {
		if !filepath.IsAbs(place) {
			place = filepath.Join(root, place)
		}
		if set.completeAt(place) {
			return place
		}
	}
	return ""
}

func (set *dataSet) completeAt(place string) bool {
	if info, err := os.Stat(place); err != nil {
		return false
	} else if !info.IsDir() {
		return true // an archive: what it holds is seen when it is read
	}
	for file := range set.contents {
		if existing(filepath.Join(place, file)) == "" {
			return false
		}
	}
	return true
}

// hint says how to get the set, in one line.
func (set *dataSet) hint(root string) string {
	return fmt.Sprintf("to get it: gcml fetch %s, or %s", set.name, set.otherWays(root))
}

// otherWays says how to get the set without gcml fetch.
func (set *dataSet) otherWays(root string) string {
	last := set.downloads[len(set.downloads)-1]
	address := strings.TrimSuffix(last.urls[0], last.file)
	what := "the published files"
	if len(set.downloads) == 1 {
		what = last.file
	}
	ways := fmt.Sprintf("put %s (%s) into %s, or have %s name your data folder",
		what, address, filepath.Join(root, set.places[0]), EnvData)
	if set.packaged != "" {
		ways += ", or apt-get install " + set.packaged
	}
	return ways
}

// lookup finds a set by name.
func lookup(name string) (*dataSet, error) {
	for _, set := range catalog {
		if set.name == name {
			return set, nil
		}
	}
	return nil, nearest.Unknown("data set", name, Names())
}

// Verify compares the files of a data set with the published ones by the SHA-256 of their
// uncompressed content, so that it does not matter who compressed them; see [Identify]. It returns
// nil if all are genuine, and a [NotFoundError] if there are none.
func Verify(name string) error {
	set, source, err := locate(name)
	if err != nil {
		return err
	}
	c, err := set.identify(source)
	if err != nil || c.Published {
		return err
	}
	return fmt.Errorf("%s: content has SHA-256 %s, the published file %s",
		filepath.Join(source.Path, c.Differs), c.sums[c.Differs], set.contents[c.Differs])
}
