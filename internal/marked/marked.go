// Package marked replaces generated sections of hand-written Markdown files:
// those between the lines <!-- NAME:begin --> and <!-- NAME:end -->.
package marked

import (
	"bytes"
	"fmt"
	"os"
	"slices"
	"strings"

	"example.com/geometric-complexity/internal/atomicfile"
)

// Begin and End are the lines that a section stands between.
func Begin(name string) string { return "<!-- " + name + ":begin -->" }
func End(name string) string   { return "<!-- " + name + ":end -->" }

// Update puts the content between the markers of the file at path, and says
// whether that changed it.
func Update(path, name, content string) (changed bool, err error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return false, err
	}
	from, to, err := find(text, name)
	if err != nil {
		return false, fmt.Errorf("%s %w, to put the generated text between", path, err)
	}
	section := "\n" + strings.Trim(content, "\n") + "\n\n"
	updated := slices.Concat(text[:from], []byte(section), text[to:])
	if bytes.Equal(updated, text) {
		return false, nil
	}
	return true, atomicfile.Replace(path, updated)
}

// Section is what stands between the markers of the file at path, without the
// empty lines around it.
func Section(path, name string) (string, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	from, to, err := find(text, name)
	if err != nil {
		return "", fmt.Errorf("%s %w", path, err)
	}
	return strings.Trim(string(text[from:to]), "\n"), nil
}

// find gives where the section begins and ends. It wants each marker once, and
// the end after the beginning.
func find(text []byte, name string) (from, to int, err error) {
	begin, end := []byte(Begin(name)), []byte(End(name))
	from, to = bytes.Index(text, begin)+len(begin), bytes.Index(text, end)
	if bytes.Count(text, begin) != 1 || bytes.Count(text, end) != 1 || to < from {
		return 0, 0, fmt.Errorf("must have one line %s and after it one line %s", begin, end)
	}
	return from, to, nil
}
