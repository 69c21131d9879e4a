package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"unicode"
)

// text is a doc comment.
type text struct {
	class, file string // The file's path below GOROOT/src.
	words       []string
}

// distinct returns the distinct ones of words, sorted.
func distinct(words []string) []string { return slices.Compact(slices.Sorted(slices.Values(words))) }

// comments reads the doc comments of all areas, in the order of their files and of their places
// there.
func comments(src string) (texts []text, err error) {
	files, err := sources(src)
	if err != nil {
		return nil, err
	}
	names := pathWords(files)
	for _, path := range slices.Sorted(maps.Keys(files)) {
		file, err := parser.ParseFile(token.NewFileSet(), filepath.Join(src, path), nil,
			parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return nil, err
		}
		if ast.IsGenerated(file) {
			continue
		}
		for _, doc := range docs(file) {
			if words := wordsOf(doc, names); len(words) >= minWords {
				texts = append(texts, text{files[path], path, words[:min(len(words), maxWords)]})
			}
		}
	}
	return texts, nil
}

// sources returns the areas of the Go files below src by their paths there. Tests and their data,
// and what the library takes from elsewhere, are left out.
func sources(src string) (map[string]string, error) {
	files := make(map[string]string)
	for area, folders := range areas {
		for _, folder := range folders {
			err := filepath.WalkDir(filepath.Join(src, folder), func(path string, d fs.DirEntry, err error) error {
				switch {
				case err != nil:
					return err
				case d.IsDir() && (d.Name() == "testdata" || d.Name() == "vendor"):
					return filepath.SkipDir
				case d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go"):
					return nil
				}
				relative, err := filepath.Rel(src, path)
				files[filepath.ToSlash(relative)] = area
				return err
			})
			if err != nil {
				return nil, err
			}
		}
	}
	return files, nil
}

// pathWords are the words of the files' import paths, which would give the area away.
func pathWords(files map[string]string) map[string]bool {
	words := make(map[string]bool)
	for path := range files {
		for _, w := range wordsOf(filepath.ToSlash(filepath.Dir(path)), nil) {
			words[w] = true
		}
	}
	return words
}

// wordsOf returns the words of a text in lower case, without those named: runs of letters.
func wordsOf(s string, without map[string]bool) (words []string) {
	for _, w := range strings.FieldsFunc(s, func(r rune) bool { return !unicode.IsLetter(r) }) {
		if w = strings.ToLower(w); !without[w] {
			words = append(words, w)
		}
	}
	return words
}

// docs are the doc comments of the file's declarations and fields, without the package's own.
func docs(file *ast.File) (texts []string) {
	ast.Inspect(file, func(n ast.Node) bool {
		var doc *ast.CommentGroup
		switch n := n.(type) {
		case *ast.FuncDecl:
			doc = n.Doc
		case *ast.GenDecl:
			doc = n.Doc
		case *ast.TypeSpec:
			doc = n.Doc
		case *ast.ValueSpec:
			doc = n.Doc
		case *ast.Field:
			doc = n.Doc
		}
		if doc != nil {
			texts = append(texts, doc.Text())
		}
		return true
	})
	return texts
}
