// Package docs has only the tests of the pages beside it.
package docs

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var (
	goBlock = regexp.MustCompile("(?s)```go\n(.*?)```")
	link    = regexp.MustCompile(`\]\(([^)#:]+)\)`)
)

// pages returns the texts of this folder's pages by name.
func pages(t *testing.T) map[string]string {
	t.Helper()
	names, err := filepath.Glob("*.md")
	if err != nil || len(names) == 0 {
		t.Fatalf("no pages: %v", err)
	}
	texts := make(map[string]string)
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		texts[name] = string(text)
	}
	return texts
}

// withoutIndent returns code without the indentation of its lines.
func withoutIndent(code string) string {
	lines := strings.Split(strings.TrimSpace(code), "\n")
	for i, line := range lines {
		lines[i] = strings.TrimSpace(line)
	}
	return strings.Join(lines, "\n")
}

// TestCodeIsThatOfTheExamples checks that every block of Go in the pages stands in a test file. So
// it compiles, and its output is that of the test.
func TestCodeIsThatOfTheExamples(t *testing.T) {
	var examples []string
	err := filepath.WalkDir("..", func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() && strings.HasPrefix(entry.Name(), ".") && entry.Name() != ".." {
			return fs.SkipDir
		}
		if strings.HasPrefix(entry.Name(), "example") && strings.HasSuffix(path, "_test.go") {
			code, err := os.ReadFile(path)
			examples = append(examples, withoutIndent(string(code)))
			return err
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	all := strings.Join(examples, "\n")
	blocks := 0
	for name, text := range pages(t) {
		for _, block := range goBlock.FindAllStringSubmatch(text, -1) {
			blocks++
			if !strings.Contains(all, withoutIndent(block[1])) {
				t.Errorf("%s: not in any example:\n%s", name, block[1])
			}
		}
	}
	if blocks == 0 {
		t.Error("no block of Go found")
	}
}

// TestFirstProgram checks that the program in README.md is examples/first, whose output a test
// knows.
func TestFirstProgram(t *testing.T) {
	readme, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	program, err := os.ReadFile("../examples/first/main.go")
	if err != nil {
		t.Fatal(err)
	}
	_, code, _ := strings.Cut(string(program), "package main")
	if block := goBlock.FindSubmatch(readme); block == nil || string(block[1]) != "package main"+code {
		t.Errorf("README.md has not the program of examples/first/main.go")
	}
}

// TestLinks checks that the targets of the pages' links exist, and that the index has all pages.
func TestLinks(t *testing.T) {
	texts := pages(t)
	for name, text := range texts {
		for _, target := range link.FindAllStringSubmatch(goBlock.ReplaceAllString(text, ""), -1) {
			if _, err := os.Stat(target[1]); err != nil {
				t.Errorf("%s links to %s: %v", name, target[1], err)
			}
		}
		if name != "README.md" && !strings.Contains(texts["README.md"], "("+name+")") {
			t.Errorf("the index does not link to %s", name)
		}
	}
}
