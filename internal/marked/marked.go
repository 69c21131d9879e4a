// Package marked replaces generated sections of hand-written Markdown files. A section stands
// between the lines <!-- NAME:begin --> and <!-- NAME:end -->.
package marked

import (
	"bytes"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/geometric-complexity/toolkit/internal/atomicfile"
)

// Begin and End return the lines before and after a section.
func Begin(name string) string { return "<!-- " + name + ":begin -->" }
func End(name string) string   { return "<!-- " + name + ":end -->" }

// Update puts the content between the markers of the file at path, and returns whether the file
// changed. It returns an error if the file cannot be read or written, or if its markers are wrong.
func Update(path, name, content string) (changed bool, err error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return false, err
	}
	from, to, err := find(text, name)
	if err != nil {
		return false, fmt.Errorf("%s %w: the generated text goes between them", path, err)
	}
	section := "\n" + strings.Trim(content, "\n") + "\n"
	updated := slices.Concat(text[:from], []byte(section), text[to:])
	if bytes.Equal(updated, text) {
		return false, nil
	}
	return true, atomicfile.Replace(path, updated)
}

// Section returns the text between the markers of the file at path, without leading and trailing
// newlines.
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

// find returns where the section begins and ends. It returns an error unless each marker occurs
// once, the end marker after the begin marker.
func find(text []byte, name string) (from, to int, err error) {
	begin, end := []byte(Begin(name)), []byte(End(name))
	from, to = bytes.Index(text, begin)+len(begin), bytes.Index(text, end)
	if bytes.Count(text, begin) != 1 || bytes.Count(text, end) != 1 || to < from {
		return 0, 0, fmt.Errorf("must have one line %s and after it one line %s", begin, end)
	}
	return from, to, nil
}
