package datasets

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
)

// NameGoDocs names the embedded texts that [GoDocs] returns.
const NameGoDocs = "go-docs"

// Texts is a labelled set of texts in memory.
type Texts struct {
	// Words are the words of each text.
	Words [][]string
	// Labels are the class indices, one for each text.
	Labels []uint8
	// Classes are the names of the classes, by label.
	Classes []string
	// Name is the name of the set and the split, such as "go-docs/train".
	Name string
	// SHA256 identifies the content of the set's files; it is empty if they were not read from a
	// file.
	SHA256 string
}

//go:embed go_docs/*.gz
var goDocs embed.FS

// goDocFiles are the files of the splits, without .gz.
var goDocFiles = map[Split]string{Train: "train.txt", Test: "test.txt"}

// GoDocClasses returns the names of the classes of [GoDocs], by label.
func GoDocClasses() []string {
	return []string{"crypto", "encoding", "files", "language", "math", "network", "runtime", "text"}
}

// GoDocs returns a split of the embedded texts: doc comments of Go's standard library, labelled by
// the area of the package, 480 for training and 120 for testing of each class. Words are runs of
// letters in lower case; those of the packages' import paths, which would give the area away, are
// left out. No file of the library has comments in both splits. See go_docs/README.md.
func GoDocs(split Split) (*Texts, error) {
	if goDocFiles[split] == "" {
		return nil, fmt.Errorf("%s: unknown split %s, want Train or Test", NameGoDocs, split)
	}
	sets, err := readGoDocs()
	if err != nil {
		return nil, err
	}
	return sets[split], nil
}

var readGoDocs = sync.OnceValues(func() (map[Split]*Texts, error) {
	sets := make(map[Split]*Texts)
	var list strings.Builder                     // As Content.SHA256 describes.
	for _, split := range []Split{Test, Train} { // In the order of the files' names.
		file := goDocFiles[split]
		packed, err := goDocs.Open("go_docs/" + file + ".gz")
		if err != nil {
			return nil, err
		}
		plain, err := gunzip(packed, file)
		if err != nil {
			return nil, err
		}
		content, err := io.ReadAll(plain)
		if err != nil {
			return nil, readError(file, err)
		}
		fmt.Fprintf(&list, "%x  %s\n", sha256.Sum256(content), file)
		if sets[split], err = parseTexts(bytes.NewReader(content), file, GoDocClasses()); err != nil {
			return nil, err
		}
		sets[split].Name = NameGoDocs + "/" + split.String()
	}
	whole := sha256.Sum256([]byte(list.String()))
	for _, set := range sets {
		set.SHA256 = hex.EncodeToString(whole[:])
	}
	return sets, nil
})

// parseTexts reads a line for each text: the name of its class, a tab, and its words with a space
// between.
func parseTexts(r io.Reader, name string, classes []string) (*Texts, error) {
	t := &Texts{Classes: classes, Name: name}
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		class, words, found := strings.Cut(lines.Text(), "\t")
		label := slices.Index(classes, class)
		if !found || label < 0 {
			return nil, fmt.Errorf("%s: line %d is no class, tab and words", name, len(t.Words)+1)
		}
		t.Words, t.Labels = append(t.Words, strings.Fields(words)), append(t.Labels, uint8(label))
	}
	return t, lines.Err()
}

// check returns an error if the fields contradict each other, because callers may fill them too.
func (t *Texts) check() error {
	if t == nil || len(t.Words) == 0 {
		return fmt.Errorf("no texts: the data set is empty")
	}
	if len(t.Labels) != len(t.Words) {
		return fmt.Errorf("%s: %d labels for %d texts", t.Name, len(t.Labels), len(t.Words))
	}
	for i, label := range t.Labels {
		if int(label) >= len(t.Classes) {
			return fmt.Errorf("%s: label %d of text %d is not one of the %d classes", t.Name, label, i, len(t.Classes))
		}
	}
	return nil
}

// Counts returns the number of texts of each class.
func (t *Texts) Counts() []int { return countLabels(t.Labels, len(t.Classes)) }

// Select returns the texts with the given indices, in their order. They share the words of t. It
// panics on an index out of range.
func (t *Texts) Select(indices []int) *Texts {
	out := *t
	out.Words, out.Labels = make([][]string, len(indices)), make([]uint8, len(indices))
	for row, i := range indices {
		out.Words[row], out.Labels[row] = t.Words[i], t.Labels[i]
	}
	return &out
}

// Balanced draws perClass texts of every class without replacement, as [Images.Balanced] does.
func (t *Texts) Balanced(perClass int, seed uint64) (*Texts, error) {
	if err := t.check(); err != nil {
		return nil, err
	}
	chosen, err := drawBalanced(t.Name, t.Classes, t.Labels, perClass, seed)
	if err != nil {
		return nil, err
	}
	return t.Select(chosen), nil
}

// SplitBalanced returns the texts that [Texts.Balanced] draws, and all others, as
// [Images.SplitBalanced] does.
func (t *Texts) SplitBalanced(perClass int, seed uint64) (drawn, others *Texts, err error) {
	if err := t.check(); err != nil {
		return nil, nil, err
	}
	chosen, err := drawBalanced(t.Name, t.Classes, t.Labels, perClass, seed)
	if err != nil {
		return nil, nil, err
	}
	left := allBut(chosen, len(t.Words))
	if len(left) == 0 {
		return nil, nil, fmt.Errorf("%s: drawing %d texts per class leaves none of the %d texts", t.Name, perClass,
			len(t.Words))
	}
	return t.Select(chosen), t.Select(left), nil
}

// WithLabelNoise returns the texts with the labels of exactly round(fraction·N) of them replaced,
// as [Images.WithLabelNoise] does. The result shares the words of t.
func (t *Texts) WithLabelNoise(fraction float64, kind NoiseKind, seed uint64) (*Texts, error) {
	if err := checkNoise(t.Name, len(t.Classes), fraction, kind); err != nil {
		return nil, err
	}
	out := *t
	out.Labels = noisyLabels(t.Labels, len(t.Classes), fraction, kind, seed)
	return &out, nil
}
