package datasets

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"embed"
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
	// SHA256 is the sum of the list of the set's files that [Content.SHA256] describes; empty for
	// texts that [GoDocs] did not return.
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
	sums := make(map[string]string)
	for split, file := range goDocFiles {
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
		sums[file] = fmt.Sprintf("%x", sha256.Sum256(content))
		if sets[split], err = parseTexts(bytes.NewReader(content), file, GoDocClasses()); err != nil {
			return nil, err
		}
		sets[split].Name = NameGoDocs + "/" + split.String()
	}
	for _, set := range sets {
		set.SHA256 = sumOfSums(sums)
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
	return checkLabels(t.Name, "text", len(t.Words), t.Labels, t.Classes)
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

// First returns the first n texts, which share the memory of t.
func (t *Texts) First(n int) (*Texts, error) {
	if n <= 0 || n > len(t.Words) {
		return nil, fmt.Errorf("%s: cannot take the first %d of %d texts", t.Name, n, len(t.Words))
	}
	out := *t
	out.Words, out.Labels = t.Words[:n], t.Labels[:n]
	return &out, nil
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
	chosen, left, err := splitBalanced(t.Name, t.Classes, t.Labels, perClass, seed)
	if err != nil {
		return nil, nil, err
	}
	return t.Select(chosen), t.Select(left), nil
}

// WithLabelNoise returns the texts with the labels of exactly round(fraction·N) of them replaced,
// as [Images.WithLabelNoise] does. The result shares the words of t.
func (t *Texts) WithLabelNoise(fraction float64, kind NoiseKind, seed uint64) (*Texts, error) {
	labels, err := noisyLabels(t.Name, t.Labels, len(t.Classes), fraction, kind, seed)
	if err != nil {
		return nil, err
	}
	out := *t
	out.Labels = labels
	return &out, nil
}
