// Command extract makes the embedded set of doc comments from the source of Go's standard library,
// which it finds in the GOROOT of the toolchain, and writes two gzipped text files into the folder
// given as its argument, by default the current one:
//
//	go run ./datasets/go_docs/extract datasets/go_docs
//
// The toolchain has to be Go 1.27.0, whose comments the embedded files hold.
package main

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/geometric-complexity/toolkit/datasets"
	"github.com/geometric-complexity/toolkit/internal/atomicfile"
)

const (
	// toolchain is the version whose comments are embedded.
	toolchain = "go1.27.0"
	// seed draws the files of the test split and the texts of both splits.
	seed          = 2209_13083 // The paper's number on arXiv.
	trainPerClass = 480
	testPerClass  = 120
	// testFiles is the share of the files whose comments are test texts.
	testFiles = 0.25
	// minWords and maxWords bound the length of a text; longer ones are cut off.
	minWords, maxWords = 6, 48
	// similar is the share of common words from which two texts are near duplicates.
	similar = 0.6
)

// areas are the folders of GOROOT/src whose comments each class of datasets.GoDocClasses holds,
// with all folders below.
var areas = map[string][]string{
	"crypto":   {"crypto", "hash"},
	"encoding": {"encoding", "compress", "archive", "image", "mime"},
	"files":    {"os", "syscall", "io", "path", "bufio", "embed", "internal/poll", "internal/syscall", "internal/oserror"},
	"language": {"go"},
	"math":     {"math", "sort", "container", "slices", "cmp"},
	"network":  {"net"},
	"runtime":  {"runtime", "sync", "reflect", "time", "context", "internal/runtime"},
	"text":     {"text", "strings", "bytes", "unicode", "regexp", "html", "strconv", "fmt", "internal/strconv"},
}

func main() {
	dir := "."
	if len(os.Args) > 1 {
		dir = os.Args[1]
	}
	if err := extract(dir, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "extract:", err)
		os.Exit(1)
	}
}

// goRoot returns the root of the toolchain and its version.
func goRoot() (root, version string, err error) {
	out, err := exec.Command("go", "env", "GOROOT", "GOVERSION").Output()
	if err != nil {
		return "", "", fmt.Errorf("go env: %w", err)
	}
	root, version, _ = strings.Cut(strings.TrimSpace(string(out)), "\n")
	return root, version, nil
}

func extract(dir string, report io.Writer) error {
	root, version, err := goRoot()
	if err != nil {
		return err
	}
	if version != toolchain {
		return fmt.Errorf("the toolchain is %s, but the embedded texts are of %s", version, toolchain)
	}
	all, err := comments(filepath.Join(root, "src"))
	if err != nil {
		return err
	}
	train, test := split(withoutDuplicates(all))
	for _, part := range []struct {
		file     string
		texts    []text
		perClass int
	}{{"train.txt", train, trainPerClass}, {"test.txt", withoutSimilar(test, train), testPerClass}} {
		drawn, err := balanced(part.texts, part.perClass, report)
		if err != nil {
			return fmt.Errorf("%s: %w", part.file, err)
		}
		if err := write(filepath.Join(dir, part.file), drawn, report); err != nil {
			return err
		}
	}
	return nil
}

// withoutDuplicates keeps the first of texts with the same set of words, whatever the name that
// they begin with.
func withoutDuplicates(texts []text) (kept []text) {
	seen := make(map[string]bool)
	for _, t := range texts {
		if key := strings.Join(distinct(t.words[1:]), " "); !seen[key] {
			seen[key] = true
			kept = append(kept, t)
		}
	}
	return kept
}

// split divides the texts by their files: all comments of a file are in one split.
func split(texts []text) (train, test []text) {
	var files []string
	for _, t := range texts {
		files = append(files, t.file)
	}
	files = slices.Compact(files) // The texts are in the order of their files.
	forTest := make(map[string]bool)
	random := rand.New(rand.NewPCG(seed, 0))
	for _, i := range random.Perm(len(files))[:int(testFiles*float64(len(files)))] {
		forTest[files[i]] = true
	}
	for _, t := range texts {
		if forTest[t.file] {
			test = append(test, t)
		} else {
			train = append(train, t)
		}
	}
	return train, test
}

// withoutSimilar keeps the texts that are no near duplicate of one of the others: of the distinct
// words of the two, less than the share similar is common to both.
func withoutSimilar(texts, others []text) (kept []text) {
	containing := make(map[string][]int) // From a word to the indices of others with it.
	sizes := make([]int, len(others))
	for i, other := range others {
		words := distinct(other.words)
		sizes[i] = len(words)
		for _, w := range words {
			containing[w] = append(containing[w], i)
		}
	}
	for _, t := range texts {
		words := distinct(t.words)
		common := make(map[int]int)
		for _, w := range words {
			for _, i := range containing[w] {
				common[i]++
			}
		}
		near := false
		for i, n := range common {
			near = near || float64(n) >= similar*float64(len(words)+sizes[i]-n)
		}
		if !near {
			kept = append(kept, t)
		}
	}
	return kept
}

// balanced draws perClass texts of each class without replacement and keeps their order.
func balanced(texts []text, perClass int, report io.Writer) (drawn []text, err error) {
	for _, class := range datasets.GoDocClasses() {
		of := slices.DeleteFunc(slices.Clone(texts), func(t text) bool { return t.class != class })
		fmt.Fprintf(report, "%s: %d texts\n", class, len(of))
		if len(of) < perClass {
			return nil, fmt.Errorf("%d texts of class %s, want %d", len(of), class, perClass)
		}
		order := rand.New(rand.NewPCG(seed, 1)).Perm(len(of))[:perClass]
		slices.Sort(order)
		for _, i := range order {
			drawn = append(drawn, of[i])
		}
	}
	slices.SortStableFunc(drawn, func(a, b text) int { return cmp.Compare(a.file, b.file) })
	return drawn, nil
}

// write stores a line for each text, its class, a tab and its words, as path.gz. The gzip header
// has neither name nor time, so that the file depends only on its content.
func write(path string, texts []text, report io.Writer) error {
	var plain bytes.Buffer
	for _, t := range texts {
		fmt.Fprintf(&plain, "%s\t%s\n", t.class, strings.Join(t.words, " "))
	}
	packed, err := atomicfile.WriteGzip(path+".gz", plain.Bytes())
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(report, "%s.gz: %d texts, %d bytes, SHA-256 %x, content %x\n", filepath.Base(path), len(texts),
		len(packed), sha256.Sum256(packed), sha256.Sum256(plain.Bytes()))
	return err
}
