package docs

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"unicode"
)

var (
	anyLink  = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	fence    = regexp.MustCompile("(?ms)^ *(```|~~~).*?^ *(```|~~~)$")
	code     = regexp.MustCompile("`[^`\n]*`")
	heading  = regexp.MustCompile(`(?m)^#{1,6} +(.*?) *#*$`)
	mdTarget = regexp.MustCompile(`\[([^]]*)\]\([^)]*\)`)
)

// TestAllLinks checks the links within the repository of all Markdown files and notebooks: the file
// is there, and has the heading that the link names.
func TestAllLinks(t *testing.T) {
	links := 0
	for _, path := range repositoryFiles(t, "*.md", "*.ipynb") {
		for _, target := range anyLink.FindAllStringSubmatch(code.ReplaceAllString(prose(t, path), ""), -1) {
			if strings.Contains(target[1], ":") {
				continue
			}
			links++
			checkLink(t, path, target[1])
		}
	}
	if links == 0 {
		t.Error("no link found")
	}
}

// repositoryFiles returns the paths of the repository's files whose names match a pattern, also of
// those that are not committed yet.
func repositoryFiles(t *testing.T, patterns ...string) (paths []string) {
	t.Helper()
	arguments := append([]string{"ls-files", "-z", "--cached", "--others", "--exclude-standard"}, patterns...)
	command := exec.Command("git", arguments...)
	command.Dir = ".."
	listed, err := command.Output()
	if err != nil {
		t.Skipf("git ls-files: %v", err)
	}
	for name := range bytes.SplitSeq(bytes.TrimRight(listed, "\x00"), []byte{0}) {
		path := filepath.Join("..", string(name))
		if _, err := os.Stat(path); err == nil { // Else it was removed, and is still in the index.
			paths = append(paths, path)
		}
	}
	return paths
}

// checkLink reports a link in a page that leads nowhere.
func checkLink(t *testing.T, page, target string) {
	t.Helper()
	file, anchor, _ := strings.Cut(target, "#")
	there := page
	if file != "" {
		there = filepath.Join(filepath.Dir(page), filepath.FromSlash(file))
	}
	if _, err := os.Stat(there); err != nil {
		t.Errorf("%s links to %s: %v", page, target, err)
		return
	}
	if anchor != "" && filepath.Ext(there) == ".md" && !hasAnchor(prose(t, there), anchor) {
		t.Errorf("%s links to %s, but no heading has that anchor", page, target)
	}
}

// prose is the Markdown of a page or notebook without its blocks of code.
func prose(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if filepath.Ext(path) == ".ipynb" {
		var notebook struct {
			Cells []struct {
				Type   string   `json:"cell_type"`
				Source []string `json:"source"`
			} `json:"cells"`
		}
		if err := json.Unmarshal(text, &notebook); err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		text = nil
		for _, cell := range notebook.Cells {
			if cell.Type == "markdown" {
				text = append(text, strings.Join(cell.Source, "")+"\n\n"...)
			}
		}
	}
	return fence.ReplaceAllString(string(text), "")
}

// hasAnchor reports whether a heading has the anchor that GitHub gives it.
func hasAnchor(text, anchor string) bool {
	for _, h := range heading.FindAllStringSubmatch(text, -1) {
		if slug(h[1]) == anchor {
			return true
		}
	}
	return false
}

// slug is a heading's anchor: in lower case, with hyphens for spaces, without punctuation.
func slug(heading string) string {
	heading = mdTarget.ReplaceAllString(heading, "$1")
	return strings.Map(func(r rune) rune {
		switch {
		case r == ' ':
			return '-'
		case r == '-', r == '_', unicode.IsLetter(r), unicode.IsDigit(r):
			return unicode.ToLower(r)
		}
		return -1
	}, heading)
}

func TestHasAnchor(t *testing.T) {
	const text = "# What does `gcml.Regularize` cost, in 2022?\n\n## A [link](x.md) here ##\n"
	for anchor, want := range map[string]bool{
		"what-does-gcmlregularize-cost-in-2022": true,
		"a-link-here":                           true,
		"what-does-it-cost":                     false,
		"a-link":                                false,
	} {
		if got := hasAnchor(text, anchor); got != want {
			t.Errorf("anchor %q: %v, want %v", anchor, got, want)
		}
	}
}
